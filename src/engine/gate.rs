//! The gate's place in a decision: what is judged, what a dry run makes of it, and what must be asked first.

use jiff::Timestamp;

use super::{ARGO_CD_FIELD_MANAGER, Decision, Known, Mode, groups, is_server_side_diff};
use crate::admission::{Admission, Operation, Subject};
use crate::cluster::{ClusterState, ObjectKey, Override, Question};
use crate::domain::argocd::HookPhase;
use crate::domain::gate_override::OverrideKind;
use crate::domain::job::Job;
use crate::domain::role::MigrationPhase;
use crate::policy::context::Standing;
use crate::policy::gate::{self, Change, Judgement, Launch};
use crate::policy::{Context, OnUnknown, Policy};

/// Judges the releases that a workload brings. What happened before any attempt was seen is nobody's to judge, so
/// a namespace without attempts costs one look-up.
pub(super) fn judge(
    admission: &Admission<'_>,
    known: &Known<'_>,
    policy: &Policy,
    now: Timestamp,
    decision: &mut Decision,
) {
    let &Known { workload, namespace, state, has_attempts, .. } = known;
    let created = admission.operation == Operation::Create;
    let first = created && admission.is_admitted() && workload.is_opted_in();
    if workload.manifest.metadata.is_being_deleted() || !(first || has_attempts) {
        return;
    }
    let old = admission.old();
    let old = match &old {
        Some(Subject::Workload(old)) => Some(&**old),
        _ => None,
    };
    let change = Change { new: workload, old, namespace };
    let mut judgements = if has_attempts {
        gate::judge_paired(known.paired(), change, state, policy, now)
    } else {
        gate::first_install(change, state, policy, now)
    };
    let standing = Standing::Unpaired;
    let context = Context { policy, state, namespace, pairs: Vec::new(), standing, stamps: None };
    let trial = Trial { admission, context: &context, now };
    for judgement in &mut judgements {
        trial.spare(judgement);
    }
    let proven = judgements.iter().all(|judgement| judgement.verdict.is_proof());
    if !created && proven && !judgements.is_empty() {
        // A way back that has been gone before is never barred by how the workload is written.
        decision.soften_findings();
    }
    for judgement in &judgements {
        groups::ROLLOUT.check_gate(policy, decision, judgement.sure, |check, found| {
            check(judgement, &context, found);
        });
    }
    voice(&judgements, policy, decision);
    if (decision.denies_by_gate() || !has_attempts) && !state.was_asked() {
        decision.question = Some(Question {
            namespace: namespace.to_owned(),
            revisions_of: Some(ObjectKey {
                kind: workload.kind.name(),
                namespace: namespace.to_owned(),
                name: admission.name.to_string(),
            }),
            ..Question::default()
        });
    }
}

/// Whether something would be refused if nobody had spoken.
struct Trial<'a> {
    admission: &'a Admission<'a>,
    context: &'a Context<'a>,
    now: Timestamp,
}

impl Trial<'_> {
    /// An override is used only where a denial would stand without it: not where the rule only warns, an exemption
    /// covers it, or the policy lets through what cannot be confirmed. A person's word as evidence counts all the same.
    fn spare(&self, judgement: &mut Judgement<'_>) {
        let Some(unheard) = judgement.without_overrides() else { return };
        let denies = self.denies(|policy, decision| {
            groups::ROLLOUT.check_gate(policy, decision, unheard.sure, |check, found| {
                check(&unheard, self.context, found);
            });
        });
        if denies {
            return;
        }
        if judgement.used.iter().any(|one| one.kind() == OverrideKind::Bypass) {
            *judgement = unheard;
        } else {
            judgement.used.clear();
        }
    }

    /// The overrides without which a Job would be refused.
    fn decisive<'s>(&self, job: &Job<'_>, launch: &Launch<'s>) -> Vec<&'s Override> {
        let policy = self.context.policy;
        let refused = |overrides: Vec<&'s Override>| {
            let launch = launch.hearing(overrides, policy);
            self.denies(|policy, decision| {
                groups::LAUNCH.check_gate(policy, decision, true, |check, found| {
                    check(job, &launch, self.context, found);
                });
            })
        };
        let words = launch.overrides();
        if words.is_empty() || !job.recognition.may_deny() || !refused(Vec::new()) {
            return Vec::new();
        }
        gate::needed(words, refused)
    }

    fn denies(&self, check: impl FnOnce(&Policy, &mut Decision)) -> bool {
        let policy = self.context.policy;
        if self.context.state.unread().is_some() && policy.on_unknown == OnUnknown::Warn {
            return false;
        }
        let mut decision = Decision::default();
        check(policy, &mut decision);
        super::exempt(self.admission, policy, self.now, &mut decision);
        decision.denies_by_gate()
    }
}

/// Says which overrides let a release through that would be held.
fn voice(judgements: &[Judgement<'_>], policy: &Policy, decision: &mut Decision) {
    for judgement in judgements.iter().filter(|judgement| judgement.sure) {
        for used in &judgement.used {
            decision.hear(used, &judgement.gated.to_string(), policy);
        }
    }
}

/// Judges a migration Job that is created. What runs now, and what is missing, only the cluster knows.
pub(super) fn launch(
    admission: &Admission<'_>,
    job: &Job<'_>,
    context: &Context<'_>,
    now: Timestamp,
    decision: &mut Decision,
) {
    let launch = Launch::of(job, context.namespace, context.state, context.policy, now);
    let may_deny = job.recognition.may_deny();
    groups::LAUNCH.check_gate(context.policy, decision, may_deny, |check, found| {
        check(job, &launch, context, found);
    });
    if !decision.denies_by_gate() {
        let trial = Trial { admission, context, now };
        for used in trial.decisive(job, &launch) {
            decision.hear(used, &launch.attempt().release(), context.policy);
        }
    }
    let references =
        if job.ordering.has(HookPhase::PreSync) { job.references() } else { Vec::new() };
    let running = launch.attempt().phase == MigrationPhase::Contract;
    let asks = running || !references.is_empty() || decision.denies_by_gate();
    if asks && admission.is_admitted() && !context.state.was_asked() {
        let namespace = context.namespace.to_owned();
        decision.question = Some(Question { namespace, revisions_of: None, running, references });
    }
}

/// What becomes of the gate's denials: a dry run is not refused for what has not happened yet, unless the policy says
/// so of its field manager; and where the cluster could not be asked, the policy's `onUnknown` decides.
pub(super) fn settle(
    admission: &Admission<'_>,
    state: &ClusterState,
    policy: &Policy,
    mode: Mode,
    decision: &mut Decision,
) {
    if admission.dry_run && !is_refused_dry_run(admission, policy) {
        decision.soften_gate();
    }
    if admission.dry_run || mode == Mode::Warn {
        decision.overrides.clear();
    }
    if let Some(reason) = state.unread() {
        decision.doubt_gate(reason);
        if policy.on_unknown == OnUnknown::Warn {
            decision.soften_gate();
        }
    }
    // Nobody is asked about what is let through, but for what is missing to a Job, and before a creation is taken for
    // an app's first install: the watches may not have told of its first migration yet.
    let launched = matches!(admission.subject, Subject::Job(_));
    let first = !state.attempts().has(&admission.namespace);
    let first = first && mode == Mode::Enforce && !admission.dry_run;
    if !launched && !first && !decision.denies_by_gate() {
        decision.question = None;
    }
}

fn is_refused_dry_run(admission: &Admission<'_>, policy: &Policy) -> bool {
    let manager = admission.field_manager.as_deref().unwrap_or_default();
    let listed = policy.denied_dry_runs.iter().any(|denied| denied == manager);
    listed && manager != ARGO_CD_FIELD_MANAGER && !is_server_side_diff(admission)
}
