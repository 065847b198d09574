use crate::domain::job::Job;
use crate::policy::gate::Launch;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration needs an object that does not exist yet.
    ///
    /// # What it checks
    ///
    /// A `PreSync` migration Job names a ServiceAccount, a ConfigMap or a PersistentVolumeClaim that does not
    /// exist in its namespace, or, offline, one that the same bundle only applies in the Sync phase, after it.
    /// What is marked as optional is passed over, and so are Secrets, which wavegate may not look at.
    ///
    /// # Why it matters
    ///
    /// Argo CD applies ServiceAccounts and ConfigMaps in the Sync phase, after the hooks of `PreSync`. On the
    /// first install the Job's pod cannot start, and the sync waits for it until the deadline.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: v1
    /// kind: ServiceAccount
    /// metadata:
    ///   name: shop-migrator
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
    ///       serviceAccountName: shop-migrator
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
    /// apiVersion: v1
    /// kind: ServiceAccount
    /// metadata:
    ///   name: shop-migrator
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    ///     argocd.argoproj.io/sync-wave: "-2"
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
    ///       serviceAccountName: shop-migrator
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
    /// - [Argo CD: sync phases and waves](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/)
    "WG601" "missing-reference", Warn, Gate, [Launch(check)]
}

fn check(_job: &Job<'_>, _launch: &Launch<'_>, cx: &Context<'_>, found: &mut Problems) {
    let Some(confirmation) = cx.state.confirmation() else { return };
    for reference in &confirmation.missing {
        found.push(
            &reference.path,
            format!("names {} {}, which is not there yet", reference.kind.name(), reference.name),
            "create it before: as a PreSync hook in a lower wave, or outside this application",
        );
    }
}
