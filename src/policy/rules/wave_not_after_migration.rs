use crate::domain::argocd::{HookPhase, SYNC_WAVE};
use crate::domain::role::Confidence;
use crate::domain::workload::Workload;
use crate::policy::Ordering;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A workload's wave is not after its migration's.
    ///
    /// # What it checks
    ///
    /// A migration of the sync phase (a `Sync` hook, or a plain Job with a wave) gates a workload
    /// whose wave is not higher than its own; or the workload's wave is malformed, which makes it 0.
    ///
    /// # Why it matters
    ///
    /// Within one phase and wave Argo CD applies Deployments before Jobs. With equal waves the new
    /// code starts first.
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
    ///     argocd.argoproj.io/hook: Sync
    ///     argocd.argoproj.io/sync-wave: "0"
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
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: shop-api
    ///   labels: {wavegate.dev/app: shop}
    /// spec:
    ///   replicas: 3
    ///   strategy:
    ///     rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    ///   selector: {matchLabels: {app: shop-api}}
    ///   template:
    ///     metadata: {labels: {app: shop-api}}
    ///     spec:
    ///       containers:
    ///         - name: api
    ///           image: example.com/shop/api:v1.2.0
    ///           readinessProbe: {httpGet: {path: /health, port: 8080}}
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
    ///     argocd.argoproj.io/hook: Sync
    ///     argocd.argoproj.io/sync-wave: "-1"
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
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: shop-api
    ///   labels: {wavegate.dev/app: shop}
    /// spec:
    ///   replicas: 3
    ///   strategy:
    ///     rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    ///   selector: {matchLabels: {app: shop-api}}
    ///   template:
    ///     metadata: {labels: {app: shop-api}}
    ///     spec:
    ///       containers:
    ///         - name: api
    ///           image: example.com/shop/api:v1.2.0
    ///           readinessProbe: {httpGet: {path: /health, port: 8080}}
    /// ```
    ///
    /// # Configuration
    ///
    /// Silent with `ordering: external`.
    ///
    /// # References
    ///
    /// - [Argo CD: sync phases and waves](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/)
    "WG206" "wave-not-after-migration", Deny, Bundle, [Workload(check)]
}

fn check(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    if cx.policy.ordering != Ordering::ArgoCd {
        return;
    }
    let path = || format!("metadata.annotations[{SYNC_WAVE}]");
    let ordering = &workload.ordering;
    if let Some(unknown) = ordering.unknown.iter().find(|unknown| unknown.key == SYNC_WAVE) {
        found.push_or_advise(
            cx.is_gated(),
            path(),
            format!("`{}` is no whole number, so Argo CD takes the wave for 0", unknown.value),
            "write a quoted integer such as \"1\"",
        );
        return;
    }
    for pair in &cx.pairs {
        let migration = &pair.migration.ordering;
        let with_the_app = migration.has(HookPhase::Sync)
            || (!migration.is_hook() && !migration.argo_hook && migration.has_wave);
        if !with_the_app || migration.has(HookPhase::PreSync) || ordering.wave > migration.wave {
            continue;
        }
        let message = format!(
            "is wave {}, not after wave {} of migration {}",
            ordering.wave, migration.wave, pair.migration.key.name
        );
        let help = "give the migration a lower wave than the workload";
        let sure = pair.reason.is_sure() && pair.migration.confidence >= Confidence::Strong;
        found.push_or_advise(sure, path(), message, help);
    }
}
