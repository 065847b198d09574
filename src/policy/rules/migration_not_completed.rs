use std::fmt::Write as _;

use crate::cluster::Attempt;
use crate::domain::outcome::Outcome;
use crate::policy::gate::{Judgement, Remark, Verdict};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A workload would run a release whose migration has not completed.
    ///
    /// # What it checks
    ///
    /// A workload brings a changed release, and a migration that is required for it still runs, failed, was
    /// interrupted, ended in a way that nobody saw, or never ran. Required is every migration that was
    /// attempted for the release. Only a Job's condition `Complete` with status `True` is a success.
    ///
    /// Not held are a release that is unchanged, one whose migrations succeeded once (a later failure of the
    /// same release only warns), one that ran here before the app's first record, and the first install of an
    /// app.
    ///
    /// # Why it matters
    ///
    /// Argo CD applies a new image without its migration in a partial sync, in an apply-only sync and when it
    /// heals itself; kubectl and Helm's rollback know no hooks at all. New code then meets an old schema.
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
    /// Rollouts whose schema is that of another release name it in `wavegate.dev/requires-release`.
    ///
    /// A person lets a release through that is held, or says that its migration is done, by a `GateOverride`:
    /// `docs/overrides.md`.
    ///
    /// # References
    ///
    /// - [Argo CD: sync phases and waves](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/)
    /// - [Argo CD: selective sync](https://argo-cd.readthedocs.io/en/stable/user-guide/selective_sync/), which runs no hooks
    "WG302" "migration-not-completed", Deny, Gate, [Rollout(check)]
}

const AGAIN: &str = "run the migration again: sync in full";

fn check(judgement: &Judgement<'_>, cx: &Context<'_>, found: &mut Problems) {
    let release = judgement.gated;
    match judgement.verdict {
        Verdict::Running(attempt) => found.push(
            release.path(),
            format!("is {release}, and {} still runs, since {}", job(attempt), attempt.created),
            "apply again once it has completed",
        ),
        Verdict::Ended(attempt, outcome) => {
            let (ended, help) = ended(attempt, outcome, cx.namespace);
            let (ended, help) = if outcome == Outcome::Succeeded && !cx.policy.trusts(attempt) {
                strange(attempt)
            } else {
                (ended, help)
            };
            found.push(release.path(), format!("is {release}, and {} {ended}", job(attempt)), help);
        }
        Verdict::Invalidated(attempt, by) => found.push(
            release.path(),
            format!(
                "is {release}, and {} succeeded before {}, and GateOverride {} lets nothing older count",
                job(attempt),
                by.cutoff(),
                by.name
            ),
            AGAIN,
        ),
        Verdict::NeverRan(newest) => found.push(
            release.path(),
            format!(
                "is {release}, and no migration ran for it; the newest, {}, ran for {}",
                job(newest),
                newest.release()
            ),
            "run a full sync: partial and apply-only syncs and self-heal skip hooks",
        ),
        Verdict::FirstInstall => found.push_or_advise(
            cx.policy.first_install_denies,
            release.path(),
            format!("is {release}, and no migration of it has ever run here"),
            "nothing to do if this is its first install, and its schema is empty or restored",
        ),
        Verdict::RanHere => found.advise(
            release.path(),
            format!("is {release}, which ran here before wavegate knew of a migration"),
            "nothing to do",
        ),
        _ => {}
    }
    remarks(judgement, found);
}

fn remarks(judgement: &Judgement<'_>, found: &mut Problems) {
    let release = judgement.gated;
    for remark in &judgement.remarks {
        match remark {
            Remark::TriedAgain(attempt) => found.advise(
                release.path(),
                format!(
                    "is {release}, whose migration succeeded once; {} has {} since",
                    job(attempt),
                    match attempt.outcome {
                        Outcome::Running => "not ended",
                        _ => "failed",
                    }
                ),
                "look at that Job: the schema may be half-way",
            ),
            Remark::Missing(attempt) => found.advise(
                release.path(),
                format!(
                    "is {release}, and migration {} of {} was not attempted for it",
                    attempt.migration.name,
                    attempt.release()
                ),
                "nothing to do if it was dropped on purpose",
            ),
            Remark::Unproven(attempt, outcome) => found.advise(
                release.path(),
                format!("is {release}, and {} is {outcome}", job(attempt)),
                "label the Job wavegate.dev/role: migration to hold the rollout for it, or none",
            ),
            Remark::GuessedContract(_) | Remark::PushedAgain(_) | Remark::NotUpstream => {}
        }
    }
}

fn job(attempt: &Attempt) -> String {
    format!("migration Job {}", attempt.facts.key.name)
}

/// A success of somebody whose Jobs do not count, and what to do about it.
fn strange(attempt: &Attempt) -> (String, String) {
    let creator = attempt.creator.as_ref().map_or("nobody known", |creator| creator.as_str());
    let ended = format!("succeeded, but the policy does not count Jobs that {creator} creates");
    (ended, "let the pipeline run it, or add the creator to evidence.creators".to_owned())
}

/// How an attempt ended that proves nothing, and what to do about it.
fn ended(attempt: &Attempt, outcome: Outcome, namespace: &str) -> (String, String) {
    let again = AGAIN.to_owned();
    let reason = attempt.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    match outcome {
        Outcome::Interrupted => ("was deleted before it ended".to_owned(), again),
        Outcome::Unknown | Outcome::Running => {
            ("is gone, and nobody saw how it ended".to_owned(), again)
        }
        Outcome::Succeeded => ("succeeded, but a revert took that back since".to_owned(), again),
        Outcome::Failed => {
            let mut logs = format!("kubectl logs -n {namespace} job/{}", attempt.facts.key.name);
            let mut failed = format!("failed{reason}");
            if let Some(failure) = &attempt.failure {
                // Writing to a string cannot fail.
                let _ = write!(failed, ": {failure}");
                let _ = write!(logs, " -c {}", failure.container);
            }
            (failed, format!("see {logs}, then sync in full"))
        }
    }
}
