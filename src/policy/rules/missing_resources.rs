use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The migration container sets no resources.
    ///
    /// # What it checks
    ///
    /// The migration container has no resource requests or no limits. Off unless a policy turns it
    /// on.
    ///
    /// # Why it matters
    ///
    /// A migration without requests is the first to be evicted when its node runs short, half-way
    /// through a change.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// Accepted:
    ///
    /// ```yaml accepted
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    ///           resources: {requests: {cpu: 100m, memory: 256Mi}, limits: {memory: 512Mi}}
    /// ```
    ///
    /// # Configuration
    ///
    /// Off by default.
    ///
    /// # References
    ///
    /// - [Resource management](https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/)
    "WG110" "missing-resources", Off, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let Some((place, container)) = job.migration_container() else { return };
    for (field, value) in
        [("requests", container.resources.requests), ("limits", container.resources.limits)]
    {
        if value.is_none_or(|raw| matches!(raw.get(), "null" | "{}")) {
            found.push(
                format!("spec.template.spec.{place}.resources.{field}"),
                format!("the migration container has no {field}"),
                format!("set resources.{field}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn empty_is_missing() {
        let with = |resources: &str| {
            migration(&format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"m","image":"a:1","command":["manage.py","migrate"],"resources":{resources}}}]}}}}}}}}"#
            ))
        };
        assert_eq!(problems(&RULE, &with("{}")).len(), 2);
        assert_eq!(problems(&RULE, &with(r#"{"requests":{"cpu":"1"},"limits":{}}"#)).len(), 1);
        assert_eq!(
            problems(&RULE, &with(r#"{"requests":{"cpu":"1"},"limits":{"cpu":"1"}}"#)).len(),
            0
        );
    }
}
