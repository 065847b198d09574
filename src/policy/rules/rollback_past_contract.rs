use crate::policy::gate::{Judgement, Remark, Verdict};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A contract removed what this release needs.
    ///
    /// # What it checks
    ///
    /// A workload brings a release that was first proven before the oldest release that works after a
    /// completed contract: the one in `wavegate.dev/contract-safe-from`, else the contract's own. Only a
    /// contract that its author declared by `wavegate.dev/phase: contract` denies; one that its command gives
    /// away warns.
    ///
    /// # Why it matters
    ///
    /// A contract drops the columns and tables that only old code uses. Rolling back to that code is an outage
    /// that a rollback cannot undo.
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
    ///   release: v1.3.0
    ///   image: example.com/shop/api:v1.3.0
    ///   phase: expand
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: a2d0, created: "2026-11-25T10:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-25T10:00:30Z"
    /// ---
    /// apiVersion: wavegate.dev/v1alpha1
    /// kind: MigrationRecord
    /// metadata:
    ///   name: b3e1
    /// spec:
    ///   app: example.com/shop/api
    ///   migration: shop-migrate
    ///   command: manage.py migrate
    ///   release: v1.3.0
    ///   image: example.com/shop/api:v1.3.0
    ///   phase: contract
    ///   phaseDeclared: true
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: b3e1, created: "2026-11-25T11:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-25T11:00:30Z"
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
    ///   release: v1.3.0
    ///   image: example.com/shop/api:v1.3.0
    ///   phase: expand
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: a2d0, created: "2026-11-25T10:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-25T10:00:30Z"
    /// ---
    /// apiVersion: wavegate.dev/v1alpha1
    /// kind: MigrationRecord
    /// metadata:
    ///   name: b3e1
    /// spec:
    ///   app: example.com/shop/api
    ///   migration: shop-migrate
    ///   command: manage.py migrate
    ///   release: v1.3.0
    ///   image: example.com/shop/api:v1.3.0
    ///   phase: contract
    ///   phaseDeclared: true
    ///   contractSafeFrom: v1.2.0
    ///   confidence: strong
    ///   hooks: [PreSync]
    ///   job: {name: shop-migrate, uid: b3e1, created: "2026-11-25T11:00:00Z"}
    /// status:
    ///   outcome: Succeeded
    ///   completionTime: "2026-11-25T11:00:30Z"
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
    /// `wavegate.dev/contract-safe-from` on the contract Job names a release, by token, tag or image.
    ///
    /// A person lets a release through that is held, or says that its migration is done, by a `GateOverride`:
    /// `docs/overrides.md`.
    ///
    /// # References
    ///
    /// - [Martin Fowler: parallel change](https://martinfowler.com/bliki/ParallelChange.html)
    "WG306" "rollback-past-contract", Deny, Gate, [Rollout(check)]
}

const HELP: &str =
    "roll forward; or restore what was removed by a Job with wavegate.dev/phase: revert";

fn check(judgement: &Judgement<'_>, _cx: &Context<'_>, found: &mut Problems) {
    let release = judgement.gated;
    if let Verdict::Excluded(contract) = judgement.verdict {
        let name = &contract.facts.key.name;
        let safe = contract.safe_from.clone().unwrap_or_else(|| contract.release());
        found.push(
            release.path(),
            format!(
                "is {release}, and contract Job {name} removed what releases before {safe} need"
            ),
            HELP,
        );
    }
    for remark in &judgement.remarks {
        if let Remark::GuessedContract(contract) = remark {
            let name = &contract.facts.key.name;
            found.advise(
                release.path(),
                format!(
                    "is {release}, and Job {name}, which looks like a contract, completed since"
                ),
                "declare contracts by wavegate.dev/phase: contract, so that this can be relied on",
            );
        }
    }
}
