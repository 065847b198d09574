//! The decision: one object, what is around it and a policy in; findings out.
//!
//! Everything here is pure and synchronous. The webhook, the linter and the tests call the same functions.

mod decision;
pub mod mutate;
pub mod wait_for_db;

pub use decision::Decision;
pub use mutate::{Mutation, mutate};

use crate::admission::{Admission, Operation, Subject};
use crate::cluster::{ClusterState, MigrationFacts, PairReason, WorkloadFacts, pairing};
use crate::domain::argocd::HookPhase;
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::{CronJobManifest, Metadata};
use crate::domain::role::{Confidence, Role};
use crate::domain::workload::Workload;
use crate::policy::context::Standing;
use crate::policy::rules::RULES;
use crate::policy::{Check, Context, Effect, Finding, Policy, Problems, Rule, Severity};

/// How the namespace wants findings answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Findings that deny refuse the request.
    Enforce,
    /// Every finding warns.
    Warn,
}

impl Mode {
    /// Name in labels, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
        }
    }
}

/// Field manager of Argo CD's server-side diff.
const ARGO_CD_FIELD_MANAGER: &str = "argocd-controller";

/// Decides on a request.
pub fn evaluate(
    admission: &Admission<'_>,
    state: &ClusterState,
    policy: &Policy,
    mode: Mode,
) -> Decision {
    let mut decision = Decision::default();
    match (&admission.subject, admission.operation) {
        (Subject::Job(job), Operation::Create) => {
            evaluate_created_job(admission, job, state, policy, &mut decision);
        }
        (Subject::Job(job), Operation::Update) => {
            if let Some(Subject::Job(old)) = admission.old() {
                evaluate_updated_job(&old, job, policy, &mut decision);
            }
        }
        (Subject::Workload(workload), Operation::Create | Operation::Update) => {
            evaluate_workload(admission, workload, state, policy, &mut decision);
        }
        (Subject::CronJob(cron_job), Operation::Create | Operation::Update) => {
            evaluate_cron_job(admission, cron_job, state, policy, &mut decision);
        }
        (Subject::Unreadable(reason), Operation::Create | Operation::Update) => {
            decision.unreadable = Some(reason.clone());
        }
        _ => {}
    }
    if mode == Mode::Warn || is_server_side_diff(admission) {
        decision.soften();
    }
    decision.sort();
    decision
}

/// Argo CD's server-side diff asks before it has run the migration, and about objects that did not change. A
/// denial would turn the application's status to Unknown and stop the very sync that it waits for.
fn is_server_side_diff(admission: &Admission<'_>) -> bool {
    let workload = matches!(admission.subject, Subject::Workload(_));
    workload
        && admission.dry_run
        && admission.field_manager.as_deref() == Some(ARGO_CD_FIELD_MANAGER)
}

fn evaluate_created_job(
    admission: &Admission<'_>,
    job: &Job<'_>,
    state: &ClusterState,
    policy: &Policy,
    decision: &mut Decision,
) {
    let recognition = &job.recognition;
    let migration = recognition.is_migration();
    let verification = match recognition.role {
        Role::Verification => true,
        Role::None => !verified_workloads(job, state, &admission.namespace, policy).is_empty(),
        Role::Migration => false,
    };
    let context = Context {
        policy,
        state,
        namespace: &admission.namespace,
        pairs: Vec::new(),
        standing: Standing::Unpaired,
        stamps: admission.is_admitted().then(|| mutate::stamps(admission, job)),
    };
    // A guess only ever warns; what is declared or strong may be refused, and so may stamps that are none of
    // wavegate's, whoever carries them.
    let may_deny = recognition.may_deny();
    let forged = !migration;
    for rule in RULES {
        let severity = policy.severity(rule);
        if severity == Severity::Off {
            continue;
        }
        for check in rule.checks {
            let mut found = Problems::default();
            let may_deny = match check {
                Check::Migration(check) if migration => {
                    check(job, &context, &mut found);
                    may_deny
                }
                Check::Verification(check) if verification => {
                    check(job, &context, &mut found);
                    may_deny
                }
                Check::CreatedJob(check) => {
                    check(job, &context, &mut found);
                    may_deny || forged
                }
                _ => continue,
            };
            decision.add(rule, severity, may_deny, &mut found);
        }
    }
    decision.notices.extend(recognition.notices.iter().cloned());
    if recognition.role == Role::Migration && recognition.confidence == Confidence::Weak {
        decision.notices.push(format!(
            "this Job {} and may be a migration: label it wavegate.dev/role: migration, or none",
            recognition.reason
        ));
    }
}

/// The workloads in view whose rollout a Job verifies although nobody said so: it runs as a `PostSync` hook, checks
/// something, and does so with an image of theirs. Empty for every Job with a role of its own.
pub fn verified_workloads<'s>(
    job: &Job<'_>,
    state: &'s ClusterState,
    namespace: &str,
    policy: &Policy,
) -> Vec<(&'s WorkloadFacts, PairReason)> {
    let undeclared = job.recognition.role == Role::None
        && job.recognition.confidence != Confidence::Explicit
        && job.ordering.has(HookPhase::PostSync);
    let checks = job.readings.iter().find(|(_, reading)| reading.checks.is_some());
    let (true, Some((place, _))) = (undeclared, checks) else {
        return Vec::new();
    };
    let facts = MigrationFacts::of_container(job, *place, namespace);
    let pair = |workload| {
        let reason = pairing::pair(&facts, workload, |image| policy.is_floating(image))?;
        reason.is_sure().then_some((workload, reason))
    };
    state.workloads().iter().filter_map(pair).collect()
}

fn evaluate_updated_job(old: &Job<'_>, new: &Job<'_>, policy: &Policy, decision: &mut Decision) {
    if is_deleted(&new.manifest.metadata) {
        return;
    }
    for rule in RULES {
        let mut found = Problems::default();
        for check in rule.checks {
            if let Check::JobUpdate(check) = check {
                check(old, new, &mut found);
            }
        }
        decision.add(rule, policy.severity(rule), true, &mut found);
    }
}

fn evaluate_workload(
    admission: &Admission<'_>,
    workload: &Workload<'_>,
    state: &ClusterState,
    policy: &Policy,
    decision: &mut Decision,
) {
    if is_deleted(&workload.manifest.metadata) {
        return;
    }
    check_workload(workload, &admission.namespace, state, policy, decision);
    ratchet(decision, |before| {
        if let Some(Subject::Workload(old)) = admission.old() {
            check_workload(&old, &admission.namespace, state, policy, before);
        }
    });
}

fn check_workload(
    workload: &Workload<'_>,
    namespace: &str,
    state: &ClusterState,
    policy: &Policy,
    decision: &mut Decision,
) {
    let pairs = if state.migrations().is_empty() {
        Vec::new()
    } else {
        let facts = WorkloadFacts::of(workload, namespace);
        pairing::pairs_of(state, &facts, |image| policy.is_floating(image))
    };
    let standing = match (workload.is_opted_in(), pairs.is_empty()) {
        (true, _) => Standing::OptedIn,
        (false, false) => Standing::Inferred,
        (false, true) => Standing::Unpaired,
    };
    let context = Context { policy, state, namespace, pairs, standing, stamps: None };
    for rule in RULES {
        let severity = policy.severity(rule);
        if severity == Severity::Off {
            continue;
        }
        let mut found = Problems::default();
        for check in rule.checks {
            match check {
                Check::Workload(check) if standing != Standing::Unpaired => {
                    check(workload, &context, &mut found);
                }
                Check::AnyWorkload(check) => check(workload, &context, &mut found),
                _ => {}
            }
        }
        decision.add(rule, severity, may_deny_workload(rule, &context), &mut found);
    }
}

/// Workers, schedulers and operators share the app's image: rules about the workload's own shape deny only
/// for those whose author opted in. What compares it with its migration denies for every sure pair.
fn may_deny_workload(rule: &Rule, context: &Context<'_>) -> bool {
    context.standing == Standing::OptedIn
        || !rule.code.starts_with("WG5")
        || context.policy.inferred_pairs_deny
}

fn evaluate_cron_job(
    admission: &Admission<'_>,
    cron_job: &CronJobManifest<'_>,
    state: &ClusterState,
    policy: &Policy,
    decision: &mut Decision,
) {
    if is_deleted(&cron_job.metadata) {
        return;
    }
    check_cron_job(cron_job, &admission.namespace, state, policy, decision);
    ratchet(decision, |before| {
        if let Some(Subject::CronJob(old)) = admission.old() {
            check_cron_job(&old, &admission.namespace, state, policy, before);
        }
    });
}

fn check_cron_job(
    cron_job: &CronJobManifest<'_>,
    namespace: &str,
    state: &ClusterState,
    policy: &Policy,
    decision: &mut Decision,
) {
    let template = cron_job.spec.job_template.as_ref().map(|job| &job.spec.template.metadata);
    let app = keys::author_value(&cron_job.metadata, template, keys::APP);
    let standing = if app.is_some() { Standing::OptedIn } else { Standing::Unpaired };
    let context = Context { policy, state, namespace, pairs: Vec::new(), standing, stamps: None };
    for rule in RULES {
        let mut found = Problems::default();
        for check in rule.checks {
            if let Check::CronJob(check) = check {
                check(cron_job, &context, &mut found);
            }
        }
        decision.add(rule, policy.severity(rule), true, &mut found);
    }
}

/// On UPDATE a finding denies only if the old object did not have the same one: what ran yesterday is
/// applied again today, and a namespace can be switched to enforce without turning anything red.
fn ratchet(decision: &mut Decision, check_old: impl FnOnce(&mut Decision)) {
    if decision.is_allowed() {
        return;
    }
    let mut before = Decision::default();
    check_old(&mut before);
    let known = |finding: &Finding| {
        let same = |old: &Finding| old.code() == finding.code() && old.path() == finding.path();
        before.findings.iter().any(same)
    };
    for finding in decision.findings.iter_mut().filter(|finding| finding.effect() == Effect::Deny) {
        if known(finding) {
            finding.soften();
        }
    }
}

fn is_deleted(metadata: &Metadata<'_>) -> bool {
    metadata.deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests;
