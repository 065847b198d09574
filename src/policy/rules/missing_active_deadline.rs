use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

const PATH: &str = "spec.activeDeadlineSeconds";

declare_rule! {
    /// A migration Job may run for ever.
    ///
    /// # What it checks
    ///
    /// `spec.activeDeadlineSeconds` of a migration Job is absent, `null` or outside the policy's
    /// bounds (30 seconds to one day). A deadline on the pod template does not count: it ends one
    /// pod, not the Job.
    ///
    /// # Why it matters
    ///
    /// `backoffLimit: 0` does nothing for a pod that never starts. A missing ConfigMap, an image that
    /// cannot be pulled or a lock that is never granted keeps the Job running, and the sync with it,
    /// until a person looks. Only the Job's own deadline ends that. It counts from the Job's start
    /// and includes scheduling, image pull and waiting for the database.
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
    /// The bounds; `fixes.deadlineSeconds` writes a deadline where none is.
    ///
    /// # References
    ///
    /// - [Job: termination and cleanup](https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup)
    "WG102" "missing-active-deadline", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let bounds = &cx.policy.deadline_seconds;
    let want = format!("want {} to {} seconds", bounds.start(), bounds.end());
    match job.manifest.spec.active_deadline_seconds {
        Some(seconds) if bounds.contains(&seconds) => {}
        Some(seconds) => found.push(
            PATH,
            format!("is {seconds}; {want}"),
            "set a deadline that a healthy run never reaches but a stuck one does",
        ),
        None if job.pod().active_deadline_seconds.is_some() => found.push(
            PATH,
            format!("is absent, and the one on the pod template does not end the Job; {want}"),
            "move activeDeadlineSeconds from the pod template to the Job's spec",
        ),
        None => found.push(
            PATH,
            format!("is absent, so a stuck migration blocks the sync for ever; {want}"),
            "set activeDeadlineSeconds, for example 300",
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        for (deadline, want) in
            [("29", 1), ("30", 0), ("86400", 0), ("86401", 1), ("null", 1), ("0", 1)]
        {
            let job = migration(&format!(r#"{{"spec":{{"activeDeadlineSeconds":{deadline}}}}}"#));
            assert_eq!(problems(&RULE, &job).len(), want, "{deadline}");
        }
    }

    #[test]
    fn a_deadline_on_the_pod_is_told_apart() {
        let job = migration(
            r#"{"spec":{"activeDeadlineSeconds":null,"template":{"spec":{"activeDeadlineSeconds":60}}}}"#,
        );
        assert!(problems(&RULE, &job)[0].message.contains("pod template"));
    }
}
