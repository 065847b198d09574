use crate::domain::job::Job;
use crate::policy::gate::Launch;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The same migration failed for this release before.
    ///
    /// # What it checks
    ///
    /// A migration Job is created for a release for which the same migration has failed, or was interrupted,
    /// twice or more since it last succeeded.
    ///
    /// # Why it matters
    ///
    /// Argo CD's automated sync repeats a failed sync five times, and each time it creates the hook anew:
    /// `backoffLimit: 0` does not keep a failing migration from running again and again.
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
    ///   outcome: Failed
    ///   completionTime: "2026-11-24T10:00:09Z"
    /// ---
    /// apiVersion: wavegate.dev/v1alpha1
    /// kind: MigrationRecord
    /// metadata:
    ///   name: a2d0
    /// spec:
    ///   app: example.com/shop/api
    ///   migration: shop-migrate
    ///   command: manage.py migrate
    ///   release: v1.2.0
    ///   image: example.com/shop/api:v1.2.0
    ///   phase: expand
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: a2d0, created: "2026-11-24T10:01:00Z"}
    /// status:
    ///   outcome: Failed
    ///   completionTime: "2026-11-24T10:01:09Z"
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
    ///   outcome: Failed
    ///   completionTime: "2026-11-24T10:00:09Z"
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
    /// A policy sets the number of failures, and may make the rule deny.
    ///
    /// # References
    ///
    /// - [Argo CD: automated sync and retries](https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/)
    "WG305" "failed-before", Warn, Gate, [Launch(check)]
}

fn check(_job: &Job<'_>, launch: &Launch<'_>, cx: &Context<'_>, found: &mut Problems) {
    let (failures, Some(newest)) = launch.failures() else { return };
    if failures < cx.policy.failures_before_warning {
        return;
    }
    found.push(
        "metadata.name",
        format!(
            "runs a migration that failed {failures} times for {}, last as Job {}",
            newest.release(),
            newest.facts.key.name
        ),
        "find out why before it runs again: the schema may be half-way",
    );
}
