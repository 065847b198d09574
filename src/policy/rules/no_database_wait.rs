use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration starts without waiting for its database.
    ///
    /// # What it checks
    ///
    /// Nothing waits for the database before the migration starts: no init container with a known
    /// waiter, no waiting loop in front of the runner in its script, no earlier hook Job that waits.
    /// Known are loops around `nc`, `pg_isready`, `mysqladmin ping` and the like, `wait-for-it`,
    /// `wait-for`, `dockerize -wait`, `wait4x`, `wait-port`, `wait-on`, `wait-for-port`,
    /// `k8s-wait-for`, `kubectl wait`, `curl --retry N --retry-connrefused`, verbs such as
    /// `manage.py wait_for_db` and `rails db:wait`, and `wavegate wait-for-db`, also as the entry point
    /// of their usual images. A native sidecar does not count: what follows does not wait for its end.
    /// In an enforcing namespace wavegate adds a waiter itself, so this finding remains only where it
    /// cannot: no target is known, the pods run on Windows, or a mesh's classic sidecar would start
    /// too late.
    ///
    /// # Why it matters
    ///
    /// With `backoffLimit: 0` a database that is a few seconds late fails the release.
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
    ///           image: busybox:1.36
    ///           command: [sh, -c, "until nc -z postgres 5432; do sleep 2; done"]
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    /// ```
    ///
    /// # Configuration
    ///
    /// When a waiter is added, and where from.
    ///
    /// # References
    ///
    /// - [Init containers](https://kubernetes.io/docs/concepts/workloads/pods/init-containers/)
    "WG107" "no-database-wait", Warn, Object, [Migration(check)]
}

fn check(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    if job.waiter().is_some() || cx.state.has_waiting_hook_before(cx.namespace, &job.ordering) {
        return;
    }
    found.push(
        "spec.template.spec.initContainers",
        "has no container that waits for the database before the migration starts",
        "add one, or name the database in wavegate.dev/database so that wavegate adds one",
    );
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn a_wait_in_front_of_the_runner_counts_and_one_behind_it_does_not() {
        let script = |script: &str| {
            migration(&format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"migrate","image":"a/b:v1","command":["sh","-c","{script}"]}}]}}}}}}}}"#
            ))
        };
        let before = script("until nc -z db 5432; do sleep 1; done; manage.py migrate");
        assert_eq!(problems(&RULE, &before), []);
        let none = script("manage.py migrate");
        assert_eq!(problems(&RULE, &none).len(), 1);
    }
}
