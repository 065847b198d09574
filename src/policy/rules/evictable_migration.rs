use crate::domain::fix::DO_NOT_EVICT;
use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// An autoscaler may evict the running migration.
    ///
    /// # What it checks
    ///
    /// The pod template lacks an annotation that keeps node autoscalers from evicting it:
    /// `karpenter.sh/do-not-disrupt: "true"` or `cluster-autoscaler.kubernetes.io/safe-to-evict:
    /// "false"`. Off unless a policy turns it on.
    ///
    /// # Why it matters
    ///
    /// Scaling down a node kills the migration half-way, and with `backoffLimit: 0` that fails the
    /// release.
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
    ///     metadata:
    ///       annotations: {karpenter.sh/do-not-disrupt: "true"}
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
    /// Off by default. `fixes.doNotEvict` writes both annotations where neither is.
    ///
    /// # References
    ///
    /// - [Karpenter: disruption](https://karpenter.sh/docs/concepts/disruption/)
    /// - [Cluster autoscaler FAQ](https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md)
    "WG112" "evictable-migration", Off, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let annotations = &job.manifest.spec.template.metadata.annotations;
    if DO_NOT_EVICT.iter().any(|(key, value)| annotations.get(key) == Some(value)) {
        return;
    }
    found.push(
        "spec.template.metadata.annotations",
        "nothing keeps an autoscaler from evicting the running migration",
        "annotate the pod template karpenter.sh/do-not-disrupt: \"true\"",
    );
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn either_annotation_will_do() {
        for (annotation, want) in [
            (r#""cluster-autoscaler.kubernetes.io/safe-to-evict":"false""#, 0),
            (r#""cluster-autoscaler.kubernetes.io/safe-to-evict":"true""#, 1),
        ] {
            let job = migration(&format!(
                r#"{{"spec":{{"template":{{"metadata":{{"annotations":{{{annotation}}}}}}}}}}}"#
            ));
            assert_eq!(problems(&RULE, &job).len(), want);
        }
    }
}
