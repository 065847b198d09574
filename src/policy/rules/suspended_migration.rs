use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job is created suspended.
    ///
    /// # What it checks
    ///
    /// `spec.suspend` of a migration Job is true.
    ///
    /// # Why it matters
    ///
    /// A suspended hook keeps the sync waiting for ever. Once it is resumed, Argo CD takes the
    /// condition that this leaves behind for success and rolls the new code out while the migration
    /// still runs.
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
    ///   suspend: true
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
    /// ```
    ///
    /// # Configuration
    ///
    /// None.
    ///
    /// # References
    ///
    /// - [argo-cd#10600](https://github.com/argoproj/argo-cd/issues/10600)
    "WG105" "suspended-migration", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    if job.manifest.spec.suspend == Some(true) {
        found.push(
            "spec.suspend",
            "is true, so the sync waits, and after a resume takes the running migration for done; want false",
            "remove suspend",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn false_and_absent_pass() {
        for value in ["false", "null"] {
            let job = migration(&format!(r#"{{"spec":{{"suspend":{value}}}}}"#));
            assert_eq!(problems(&RULE, &job), []);
        }
    }
}
