//! The decision: one object, what is around it and a policy in; findings out.
//!
//! Everything here is pure and synchronous. The webhook, the linter and the tests call the same functions.

mod decision;
mod fixes;
mod gate;
mod groups;
pub mod mutate;
pub mod wait_for_db;

pub use decision::{Decision, OverrideUse};
pub use mutate::{Mutation, mutate};

use std::cell::OnceCell;

use jiff::Timestamp;

use crate::admission::{Admission, Operation, Subject};
use crate::cluster::{
    Attempt, ClusterState, MigrationFacts, PairReason, PairedWorkload, WorkloadFacts, pairing,
};
use crate::domain::argocd::HookPhase;
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::CronJobManifest;
use crate::domain::names::ImageNames;
use crate::domain::role::{Confidence, Role};
use crate::domain::workload::Workload;
use crate::policy::context::Standing;
use crate::policy::{Context, Policy, Problems, Rule};

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

/// Decides on a request at a moment.
///
/// Where the decision has a [`Decision::question`], the caller asks the cluster and decides once more with
/// [`ClusterState::confirmed`], or with [`ClusterState::unconfirmed`] where there was no answer.
///
/// What was let through a moment ago may be in nobody's view yet, and may never have come to be. So it only adds to what
/// is asked; it is decided by where nobody answered.
pub fn evaluate(
    admission: &Admission<'_>,
    state: &ClusterState,
    policy: &Policy,
    mode: Mode,
    now: Timestamp,
) -> Decision {
    let mut decision = decide(admission, state, policy, mode, now);
    if decision.question.is_none() && state.confirmation().is_none() {
        heed_let_through(admission, state, policy, mode, now, &mut decision);
    }
    decision
}

/// Decides once more where something was let through that may be in nobody's view yet.
fn heed_let_through(
    admission: &Admission<'_>,
    state: &ClusterState,
    policy: &Policy,
    mode: Mode,
    now: Timestamp,
    decision: &mut Decision,
) {
    let Some(widened) = state.with_let_through(&admission.namespace, now) else { return };
    let other = decide(admission, &widened, policy, mode, now);
    if state.was_asked() {
        *decision = other;
    } else {
        decision.question = other.question;
    }
}

fn decide(
    admission: &Admission<'_>,
    state: &ClusterState,
    policy: &Policy,
    mode: Mode,
    now: Timestamp,
) -> Decision {
    let mut decision = Decision::default();
    match (&admission.subject, admission.operation) {
        (Subject::Job(job), Operation::Create) => {
            evaluate_created_job(admission, job, state, policy, now, &mut decision);
        }
        (Subject::Job(job), Operation::Update) => {
            if let Some(Subject::Job(old)) = admission.old() {
                evaluate_updated_job(&old, job, policy, &mut decision);
            }
        }
        (Subject::Workload(workload), Operation::Create | Operation::Update) => {
            let known = Known::new(workload, &admission.namespace, state, policy);
            evaluate_workload(admission, &known, policy, &mut decision);
            gate::judge(admission, &known, policy, now, &mut decision);
        }
        (Subject::CronJob(cron_job), Operation::Create | Operation::Update) => {
            evaluate_cron_job(admission, cron_job, state, policy, &mut decision);
        }
        (Subject::Unreadable(reason), Operation::Create | Operation::Update) => {
            decision.unreadable = Some(reason.clone());
        }
        _ => {}
    }
    exempt(admission, policy, now, &mut decision);
    if mode == Mode::Warn || is_server_side_diff(admission) {
        decision.soften();
    }
    gate::settle(admission, state, policy, mode, &mut decision);
    decision.sort();
    decision
}

/// The attempt that begins where this request is let through. None where it creates no migration, is a dry run, or was
/// not given its UID yet, as only validating requests are.
pub fn begun(admission: &Admission<'_>) -> Option<Attempt> {
    let creates = admission.operation == Operation::Create && !admission.dry_run;
    let Subject::Job(job) = &admission.subject else { return None };
    if !creates || !job.recognition.is_migration() {
        return None;
    }
    let attempt = Attempt::to_come(job, MigrationFacts::of(job, &admission.namespace));
    attempt.followed(admission.object).ok()
}

/// Applies the policy's exemptions of this object. Of several the one that ends last counts.
fn exempt(admission: &Admission<'_>, policy: &Policy, now: Timestamp, decision: &mut Decision) {
    if policy.exemptions.is_empty() || decision.denials().next().is_none() {
        return;
    }
    let Some(metadata) = admission.subject.metadata() else { return };
    let app = admission.subject.key(keys::APP);
    decision.exempt(|code| {
        let of_rule = policy.exemptions.iter().filter(|exemption| exemption.rule == code);
        let covering = of_rule.filter(|exemption| exemption.covers(metadata, app));
        let last = covering.max_by_key(|exemption| exemption.expires)?;
        Some((last, last.standing(now)))
    });
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
    now: Timestamp,
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
    let apply = |check: &groups::JobCheck, found: &mut Problems| check(job, &context, found);
    if migration {
        groups::MIGRATION.check(policy, decision, |_| may_deny, apply);
    }
    if verification {
        groups::VERIFICATION.check(policy, decision, |_| may_deny, apply);
    }
    groups::CREATED_JOB.check(policy, decision, |_| may_deny || !migration, apply);
    if migration {
        gate::launch(admission, job, &context, now, decision);
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
        let reason = pairing::pair(&facts, workload, &policy.names)?;
        reason.is_sure().then_some((workload, reason))
    };
    state.workloads().iter().filter_map(pair).collect()
}

fn evaluate_updated_job(old: &Job<'_>, new: &Job<'_>, policy: &Policy, decision: &mut Decision) {
    // A Job that is being deleted is evidence still: a finalizer keeps it for as long as its author likes.
    groups::JOB_UPDATE.check(policy, decision, |_| true, |check, found| check(old, new, found));
}

/// A workload, and what pairs with it, which is looked up once, and only where there is something to find.
struct Known<'w> {
    workload: &'w Workload<'w>,
    namespace: &'w str,
    state: &'w ClusterState,
    names: &'w ImageNames,
    /// Whether any attempt of the namespace is in view.
    has_attempts: bool,
    paired: OnceCell<PairedWorkload<'w>>,
}

impl<'w> Known<'w> {
    fn new(
        workload: &'w Workload<'w>,
        namespace: &'w str,
        state: &'w ClusterState,
        policy: &'w Policy,
    ) -> Self {
        let has_attempts = state.attempts().has(namespace);
        let names = &policy.names;
        Self { workload, namespace, state, names, has_attempts, paired: OnceCell::new() }
    }

    fn paired(&self) -> &PairedWorkload<'w> {
        self.paired.get_or_init(|| {
            let facts = WorkloadFacts::of(self.workload, self.namespace);
            PairedWorkload::of(facts, self.state, self.names)
        })
    }
}

fn evaluate_workload(
    admission: &Admission<'_>,
    known: &Known<'_>,
    policy: &Policy,
    decision: &mut Decision,
) {
    if known.workload.manifest.metadata.is_being_deleted() {
        return;
    }
    check_workload(known, policy, decision);
    soften_what_was_so_before(admission, decision, |old, before| {
        if let Subject::Workload(old) = old {
            let old = Known::new(old, &admission.namespace, known.state, policy);
            check_workload(&old, policy, before);
        }
    });
}

fn evaluate_cron_job(
    admission: &Admission<'_>,
    cron_job: &CronJobManifest<'_>,
    state: &ClusterState,
    policy: &Policy,
    decision: &mut Decision,
) {
    if cron_job.metadata.is_being_deleted() {
        return;
    }
    check_cron_job(cron_job, &admission.namespace, state, policy, decision);
    soften_what_was_so_before(admission, decision, |old, before| {
        if let Subject::CronJob(old) = old {
            check_cron_job(old, &admission.namespace, state, policy, before);
        }
    });
}

/// What makes pods from a template lives for long: on UPDATE a finding denies only if the old object did not have
/// the same one. What ran yesterday is applied again today, and a namespace can be switched to enforce without
/// turning anything red.
fn soften_what_was_so_before(
    admission: &Admission<'_>,
    decision: &mut Decision,
    check: impl FnOnce(&Subject<'_>, &mut Decision),
) {
    if decision.is_allowed() {
        return;
    }
    if let Some(old) = admission.old() {
        let mut before = Decision::default();
        check(&old, &mut before);
        decision.soften_those_of(&before);
    }
}

fn check_workload(known: &Known<'_>, policy: &Policy, decision: &mut Decision) {
    let &Known { workload, namespace, state, names, .. } = known;
    let pairs = if state.migrations().is_empty() && !known.has_attempts {
        Vec::new()
    } else {
        known.paired().pairs(state, names)
    };
    let standing = match (workload.is_opted_in(), pairs.is_empty()) {
        (true, _) => Standing::OptedIn,
        (false, false) => Standing::Inferred,
        (false, true) => Standing::Unpaired,
    };
    let context = Context { policy, state, namespace, pairs, standing, stamps: None };
    let may_deny = |rule: &Rule| may_deny_workload(rule, &context);
    let apply =
        |check: &groups::WorkloadCheck, found: &mut Problems| check(workload, &context, found);
    if standing != Standing::Unpaired {
        groups::WORKLOAD.check(policy, decision, may_deny, apply);
    }
    groups::ANY_WORKLOAD.check(policy, decision, may_deny, apply);
}

/// Workers, schedulers and operators share the app's image: rules about the workload's own shape deny only
/// for those whose author opted in. What compares it with its migration denies for every sure pair.
fn may_deny_workload(rule: &Rule, context: &Context<'_>) -> bool {
    context.standing == Standing::OptedIn
        || !rule.code.starts_with("WG5")
        || context.policy.inferred_pairs_deny
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
    groups::CRON_JOB.check(
        policy,
        decision,
        |_| true,
        |check, found| check(cron_job, &context, found),
    );
}

#[cfg(test)]
mod tests;
