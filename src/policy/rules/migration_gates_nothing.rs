use crate::cluster::{MigrationFacts, pairing};
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::workload::Workload;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration is paired with no workload.
    ///
    /// # What it checks
    ///
    /// A recognised migration shares neither `wavegate.dev/app` nor an image repository with any
    /// workload in the same bundle; or a workload asks by `wavegate.dev/app` for a migration that is
    /// not there, in the bundle or among what was attempted in its namespace. Bundles without a workload,
    /// and bundles and namespaces without a migration, are passed over.
    ///
    /// # Why it matters
    ///
    /// A migration that pairs with nothing holds nothing back. This warning is there so that nobody
    /// believes himself guarded.
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
    ///           image: example.com/shop/migrations:v7
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: shop-api
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
    ///   labels: {wavegate.dev/app: shop, wavegate.dev/release: "7"}
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
    ///           image: example.com/shop/migrations:v7
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: shop-api
    ///   labels: {wavegate.dev/app: shop, wavegate.dev/release: "7"}
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
    /// None.
    ///
    /// # References
    ///
    /// None.
    "WG309" "migration-gates-nothing", Warn, Bundle, [Migration(migration), Workload(workload)]
}

fn migration(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let workloads = cx.state.workloads();
    let facts = MigrationFacts::of(job, cx.namespace);
    let gates = |workload| pairing::tie(&facts, workload, &cx.policy.names).is_some();
    if workloads.is_empty() || workloads.iter().any(gates) {
        return;
    }
    let path =
        job.key(keys::APP).map_or_else(|| "metadata.labels".to_owned(), |found| found.path());
    found.push(
        path,
        "pairs this migration with no workload here, so it holds nothing back",
        "label the migration and its workloads wavegate.dev/app with one name",
    );
}

fn workload(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    let Some(app) = workload.key(keys::APP) else { return };
    let migrations = cx.state.migrations();
    let named = migrations.iter().any(|migration| migration.ties.app.as_deref() == Some(app.value));
    let in_view = !migrations.is_empty() || cx.state.attempts().has(cx.namespace);
    if !in_view || named || !cx.pairs.is_empty() {
        return;
    }
    found.push(
        app.path(),
        format!("is `{}`, but no migration here carries it", app.value),
        "label the app's migration wavegate.dev/app with the same name",
    );
}
