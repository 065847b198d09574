use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The waiter may outlast the Job's deadline.
    ///
    /// # What it checks
    ///
    /// The bound of the waiter is not below the Job's `activeDeadlineSeconds`. A waiter without a
    /// bound of its own is bounded by the Job's deadline and passes. One that its tool sets counts where
    /// none is written: 15 s for `wait-for-it`, 10 s for `dockerize` and `wait4x`, 60 s for
    /// `wavegate wait-for-db`.
    ///
    /// # Why it matters
    ///
    /// The Job's clock includes the wait. A waiter that outlasts it never gets to say that the
    /// database did not come: the Job ends with `DeadlineExceeded`, and the reason has to be guessed.
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
    ///   activeDeadlineSeconds: 60
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       initContainers:
    ///         - name: wait-for-db
    ///           image: example.com/shop/tools:v3
    ///           command: [dockerize, -wait, "tcp://postgres:5432", -timeout, 120s]
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
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
    ///       initContainers:
    ///         - name: wait-for-db
    ///           image: example.com/shop/tools:v3
    ///           command: [dockerize, -wait, "tcp://postgres:5432", -timeout, 120s]
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    /// ```
    ///
    /// # Configuration
    ///
    /// None.
    ///
    /// # References
    ///
    /// - [Job: termination and cleanup](https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup)
    "WG108" "wait-exceeds-deadline", Warn, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let Some((place, waiter)) = job.waiter() else { return };
    let (Some(bound), Some(deadline)) = (waiter.bound, job.manifest.spec.active_deadline_seconds)
    else {
        return;
    };
    let bound = bound.as_secs();
    if u64::try_from(deadline).is_ok_and(|deadline| bound >= deadline) {
        found.push(
            format!("spec.template.spec.{place}"),
            format!("waits up to {bound} s for the database, but the Job ends after {deadline} s"),
            "wait for at most half of activeDeadlineSeconds",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn compares_bound_and_deadline() {
        for (deadline, want) in [("299", 1), ("300", 1), ("301", 0), ("null", 0)] {
            let job = migration(&format!(
                r#"{{"spec":{{"activeDeadlineSeconds":{deadline},"template":{{"spec":{{"initContainers":[
                    {{"name":"w","image":"w:1","command":["wait-for-it.sh","db:5432","-t","300"]}}]}}}}}}}}"#
            ));
            assert_eq!(problems(&RULE, &job).len(), want, "{deadline}");
        }
    }
}
