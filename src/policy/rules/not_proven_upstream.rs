use crate::policy::gate::{Judgement, Remark};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The release has not migrated in the environment before this one.
    ///
    /// # What it checks
    ///
    /// A workload brings a changed release for which no migration of the same app or image has succeeded in the
    /// namespace that the policy names as the environment before this one.
    ///
    /// # Why it matters
    ///
    /// What has migrated in staging has been tried on data of some kind. What has not meets production data
    /// first.
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
    ///   job: {name: shop-migrate, uid: a2d0, created: "2026-11-24T11:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-24T11:00:30Z"
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
    /// apiVersion: wavegate.dev/v1alpha1
    /// kind: MigrationRecord
    /// metadata:
    ///   name: 8f1c
    ///   namespace: staging
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
    ///   job: {name: shop-migrate, uid: a2d0, created: "2026-11-24T11:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-24T11:00:30Z"
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
    /// # Configuration
    ///
    /// Off by default. A policy switches it on and names the namespace; in the example it is `staging`.
    ///
    /// # References
    ///
    /// None.
    "WG308" "not-proven-upstream", Off, Gate, [Rollout(check)]
}

fn check(judgement: &Judgement<'_>, cx: &Context<'_>, found: &mut Problems) {
    let missing = judgement.remarks.iter().any(|remark| matches!(remark, Remark::NotUpstream));
    let (Some(upstream), true) = (&cx.policy.upstream, missing) else { return };
    found.push(
        judgement.gated.path(),
        format!(
            "is {}, whose migration has not succeeded in namespace {upstream}",
            judgement.gated
        ),
        format!("release it to {upstream} first"),
    );
}
