//! The gate's place in a decision: what is judged, what a dry run makes of it, and what must be asked first.

use jiff::Timestamp;

use super::{ARGO_CD_FIELD_MANAGER, Decision, Known, Mode, groups, is_server_side_diff};
use crate::admission::{Admission, Operation, Subject};
use crate::cluster::{ClusterState, ObjectKey, Question};
use crate::domain::argocd::HookPhase;
use crate::domain::job::Job;
use crate::domain::role::MigrationPhase;
use crate::policy::context::Standing;
use crate::policy::gate::{self, Change, Launch};
use crate::policy::{Context, OnUnknown, Policy};

/// Judges the releases that a workload brings. What happened before any attempt was seen is nobody's to judge, so
/// a namespace without attempts costs one look-up.
pub(super) fn judge(
    admission: &Admission<'_>,
    known: &Known<'_>,
    state: &ClusterState,
    policy: &Policy,
    now: Timestamp,
    decision: &mut Decision,
) {
    let (namespace, workload) = (known.namespace, known.workload);
    let created = admission.operation == Operation::Create;
    let first = created && admission.is_admitted() && workload.is_opted_in();
    if workload.manifest.metadata.is_being_deleted() || !(first || state.attempts().has(namespace))
    {
        return;
    }
    let old = admission.old();
    let old = match &old {
        Some(Subject::Workload(old)) => Some(&**old),
        _ => None,
    };
    let change = Change { new: workload, old, namespace };
    let judgements = if state.attempts().has(namespace) {
        gate::judge_knowing(known.facts(), change, state, policy, now)
    } else {
        gate::first_install(change, state)
    };
    let proven = judgements.iter().all(|judgement| judgement.verdict.is_proof());
    if !created && proven && !judgements.is_empty() {
        // A way back that has been gone before is never barred by how the workload is written.
        decision.soften_findings();
    }
    let standing = Standing::Unpaired;
    let context = Context { policy, state, namespace, pairs: Vec::new(), standing, stamps: None };
    for judgement in &judgements {
        groups::ROLLOUT.check_gate(policy, decision, judgement.sure, |check, found| {
            check(judgement, &context, found);
        });
    }
    if (decision.denies_by_gate() || !state.attempts().has(namespace)) && !state.was_asked() {
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

/// Judges a migration Job that is created. What runs now, and what is missing, only the cluster knows.
pub(super) fn launch(
    admission: &Admission<'_>,
    job: &Job<'_>,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let launch = Launch::of(job, context.namespace, context.state, context.policy);
    let may_deny = job.recognition.may_deny();
    groups::LAUNCH.check_gate(context.policy, decision, may_deny, |check, found| {
        check(job, &launch, context, found);
    });
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
