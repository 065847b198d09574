use crate::domain::job::Job;
use crate::domain::role::MigrationPhase;
use crate::policy::gate::Launch;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A contract would remove what running pods need.
    ///
    /// # What it checks
    ///
    /// A contract Job is created while a pod or a workload of its app runs a release that was not proven at or
    /// after the oldest release that works after the contract: the one in `wavegate.dev/contract-safe-from`,
    /// else the contract's own. A contract may stand in any phase. Pods that are ending still run: a contract
    /// in `PostSync` that comes before the last of them is gone is refused, and passes when it is tried again.
    /// Only a declared contract is refused.
    ///
    /// # Why it matters
    ///
    /// A contract drops the columns and tables that only old code uses, and old code still runs until its last
    /// pod is gone.
    ///
    /// # Example
    ///
    /// The records and pods are those of the cluster.
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
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: shop-api-5d9c7b8f6-x2k4p
    ///   labels: {app: shop-api}
    /// spec:
    ///   containers:
    ///     - name: api
    ///       image: example.com/shop/api:v1.2.0
    /// ---
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {wavegate.dev/phase: contract}
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
    ///           image: example.com/shop/api:v1.3.0
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
    /// apiVersion: v1
    /// kind: Pod
    /// metadata:
    ///   name: shop-api-5d9c7b8f6-x2k4p
    ///   labels: {app: shop-api}
    /// spec:
    ///   containers:
    ///     - name: api
    ///       image: example.com/shop/api:v1.3.0
    /// ---
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {wavegate.dev/phase: contract}
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
    ///           image: example.com/shop/api:v1.3.0
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// # Configuration
    ///
    /// `wavegate.dev/contract-safe-from` on the contract Job names a release, by token, tag or image.
    ///
    /// # References
    ///
    /// - [Martin Fowler: parallel change](https://martinfowler.com/bliki/ParallelChange.html)
    "WG307" "contract-too-early", Deny, Gate, [Launch(check)]
}

/// How many of those that still need the old schema a message names.
const NAMED: usize = 2;

fn check(_job: &Job<'_>, launch: &Launch<'_>, cx: &Context<'_>, found: &mut Problems) {
    let contract = launch.attempt();
    if contract.phase != MigrationPhase::Contract {
        return;
    }
    if cx.state.unread().is_some() {
        found.push_or_advise(
            contract.phase_declared,
            "metadata.name",
            "is a contract, and what runs now could not be read",
            "try again",
        );
        return;
    }
    let Some(confirmation) = cx.state.confirmation() else { return };
    let old = launch.old_releases(&confirmation.running, cx.policy);
    if old.is_empty() {
        return;
    }
    let named = old.iter().take(NAMED).map(|one| format!("{} ({})", one.object, one.release));
    let more = match old.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    found.push_or_advise(
        contract.phase_declared,
        "metadata.name",
        format!(
            "is a contract, and {}{more} may need what it removes",
            named.collect::<Vec<_>>().join(", ")
        ),
        "run it after the rollout (PostSync), once the old pods have ended, or name a release that all of them are at in \
         wavegate.dev/contract-safe-from",
    );
}
