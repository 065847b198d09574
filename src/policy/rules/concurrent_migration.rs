use crate::cluster::MigrationFacts;
use crate::domain::job::Job;
use crate::domain::migration::Migration;
use crate::policy::gate::Launch;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// Another attempt of the same migration still runs.
    ///
    /// # What it checks
    ///
    /// A migration Job is created while another Job that runs the same migration of the same app has not
    /// ended, whatever their names and releases. Different migrations of an app may run side by side.
    ///
    /// Offline it warns of two Jobs of one bundle that count as the same migration, since the success of one
    /// would stand for the other: names that differ by a number, a hash or a version are taken for revisions.
    ///
    /// # Why it matters
    ///
    /// Most migration tools take no lock of their own, or one that a connection pool defeats. Two of them at
    /// once corrupt each other's bookkeeping, and both may report success.
    ///
    /// # Example
    ///
    /// The records are those of the cluster; `kubectl get migrationrecords -o yaml` prints them.
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: wavegate.dev/v1alpha1
    /// kind: MigrationRecord
    /// metadata:
    ///   name: 8f1c
    /// spec:
    ///   app: example.com/shop/api
    ///   migration: shop-migrate
    ///   command: manage.py migrate
    ///   release: v1.2.0
    ///   image: example.com/shop/api:v1.2.0
    ///   phase: expand
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: 8f1c, created: "2026-11-24T10:00:00Z"}
    /// status:
    ///   outcome: Running
    /// ---
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
    /// apiVersion: wavegate.dev/v1alpha1
    /// kind: MigrationRecord
    /// metadata:
    ///   name: 8f1c
    /// spec:
    ///   app: example.com/shop/api
    ///   migration: shop-migrate
    ///   command: manage.py migrate
    ///   release: v1.2.0
    ///   image: example.com/shop/api:v1.2.0
    ///   phase: expand
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: 8f1c, created: "2026-11-24T10:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-24T10:00:30Z"
    /// ---
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
    /// Two Jobs of an app that run the same command under names that differ by a number are told apart by
    /// `wavegate.dev/migration`.
    ///
    /// # References
    ///
    /// - [Kubernetes: Jobs](https://kubernetes.io/docs/concepts/workloads/controllers/job/), where one pod may start twice
    "WG304" "concurrent-migration", Deny, Gate, [Launch(check), Migration(in_a_bundle)]
}

fn check(_job: &Job<'_>, launch: &Launch<'_>, _cx: &Context<'_>, found: &mut Problems) {
    let Some(active) = launch.active() else { return };
    found.push(
        "metadata.name",
        format!(
            "is the same migration ({}) as Job {}, which still runs, since {}",
            launch.migration().name,
            active.facts.key.name,
            active.created
        ),
        "wait until that Job has ended, or tell the two apart by wavegate.dev/migration",
    );
}

fn in_a_bundle(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let facts = MigrationFacts::of(job, cx.namespace);
    for other in cx.state.same_migrations(&facts, &Migration::of(job), &cx.policy.names) {
        found.advise(
            "metadata.name",
            format!("counts as another attempt at the migration that Job {} runs", other.key.name),
            "tell the two apart by wavegate.dev/migration",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ClusterState;
    use crate::policy::sample::{self, migration};

    #[test]
    fn numbered_jobs_of_one_bundle_are_told_apart_by_their_key() {
        let named = |name: &str, key: &str| {
            migration(&format!(
                r#"{{"metadata":{{"name":"{name}","labels":{{"wavegate.dev/migration":{key}}}}}}}"#
            ))
        };
        let second = |name: &str, key: &str| {
            let mut state = ClusterState::default();
            state.observe_job(&named("shop-migrate-1", "null"), "shop");
            state.observe_job(&named(name, key), "shop");
            sample::problems_beside(&RULE, &named(name, key), &state).len()
        };
        assert_eq!(second("shop-migrate-2", "null"), 1);
        assert_eq!(second("shop-migrate-2", r#""second""#), 0);
        assert_eq!(second("shop-seed", "null"), 0);
    }
}
