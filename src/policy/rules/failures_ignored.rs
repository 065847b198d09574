use crate::domain::job::Job;
use crate::domain::manifest::FailureRule;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job ignores failures of its pod.
    ///
    /// # What it checks
    ///
    /// `podFailurePolicy` has a rule with `action: Ignore` or `FailIndex` that applies to the
    /// migration container: one on pod conditions, one on exit codes of any container, or one on exit
    /// codes of the migration container. Rules on the exit codes of a waiter are fine, since nothing
    /// has touched the database by then.
    ///
    /// # Why it matters
    ///
    /// `Ignore` replaces the pod without counting the failure. A migration that was evicted half-way
    /// starts again, despite `backoffLimit: 0`.
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
    ///   podFailurePolicy:
    ///     rules:
    ///       - action: Ignore
    ///         onPodConditions: [{type: DisruptionTarget, status: "True"}]
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
    ///   podFailurePolicy:
    ///     rules:
    ///       - action: FailJob
    ///         onPodConditions: [{type: DisruptionTarget, status: "True"}]
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
    /// - [Job: pod failure policy](https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy)
    "WG106" "failures-ignored", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let Some(policy) = &job.manifest.spec.pod_failure_policy else { return };
    let migrates = job.migration_container().map(|(_, container)| container.name.as_str());
    for (index, rule) in policy.rules.iter().enumerate() {
        let retries = matches!(rule.action.as_str(), "Ignore" | "FailIndex");
        if retries && concerns_migration(rule, migrates) {
            found.push(
                format!("spec.podFailurePolicy.rules[{index}].action"),
                format!(
                    "is {}, so a migration that was cut off does not fail the Job; want FailJob",
                    rule.action
                ),
                "set action: FailJob, or name the waiter's container in onExitCodes",
            );
        }
    }
}

fn concerns_migration(rule: &FailureRule<'_>, migrates: Option<&str>) -> bool {
    let named = rule.on_exit_codes.as_ref().and_then(|codes| codes.container_name.as_deref());
    match (named, migrates) {
        (Some(named), Some(migrates)) => named == migrates,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn only_rules_about_the_migration_count() {
        let cases = [
            (
                r#"{"action":"Ignore","onExitCodes":{"containerName":"migrate","operator":"In","values":[3]}}"#,
                1,
            ),
            (r#"{"action":"Ignore","onExitCodes":{"operator":"In","values":[3]}}"#, 1),
            (
                r#"{"action":"Ignore","onExitCodes":{"containerName":"wait-for-db","operator":"In","values":[3]}}"#,
                0,
            ),
            (r#"{"action":"FailIndex","onPodConditions":[]}"#, 1),
            (r#"{"action":"FailJob","onPodConditions":[]}"#, 0),
            (r#"{"action":"Count","onPodConditions":[]}"#, 0),
        ];
        for (rule, want) in cases {
            let job =
                migration(&format!(r#"{{"spec":{{"podFailurePolicy":{{"rules":[{rule}]}}}}}}"#));
            assert_eq!(problems(&RULE, &job).len(), want, "{rule}");
        }
    }
}
