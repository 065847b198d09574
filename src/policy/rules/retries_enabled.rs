use crate::domain::job::{DEFAULT_BACKOFF_LIMIT, Job};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job retries.
    ///
    /// # What it checks
    ///
    /// `spec.backoffLimit` of a migration Job is not 0. An absent or `null` limit means 6,
    /// Kubernetes' default; the API server fills it in before admission, so a written 6 and an absent
    /// limit are the same.
    ///
    /// # Why it matters
    ///
    /// A migration that failed half-way leaves a schema that neither the old nor the new step
    /// expects. Running it again, up to seven times and unattended, turns a failed release into a
    /// damaged database. With 0 the Job fails once, the sync stops, and the old code keeps running on
    /// a schema that it knows. Where retries stood in for waiting until the database is up, an init
    /// container that waits does it without running the migration.
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
    ///   backoffLimit: 3
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
    /// `fixes.noRetries` writes 0 where the limit was left out and something waits for the database.
    ///
    /// # References
    ///
    /// - [Job: pod backoff failure policy](https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy)
    "WG101" "retries-enabled", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let limit = job.manifest.spec.backoff_limit.unwrap_or(DEFAULT_BACKOFF_LIMIT);
    if limit == 0 {
        return;
    }
    let default = if limit == DEFAULT_BACKOFF_LIMIT { " (Kubernetes' default)" } else { "" };
    let waiter = match job.waiter() {
        Some(_) => "",
        None => " and wait for the database in an init container",
    };
    found.push(
        "spec.backoffLimit",
        format!("is {limit}{default}, so a failed migration runs again; want 0"),
        format!("set backoffLimit: 0{waiter}"),
    );
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn only_zero_passes() {
        let cases = [("0", 0), ("1", 1), ("6", 1), ("null", 1), ("-1", 1)];
        for (limit, want) in cases {
            let job = migration(&format!(r#"{{"spec":{{"backoffLimit":{limit}}}}}"#));
            assert_eq!(problems(&RULE, &job).len(), want, "{limit}");
        }
    }
}
