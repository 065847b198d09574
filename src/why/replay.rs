//! A recorded review, decided once more.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::said::Said;
use super::{VERSION, WhyError, text};
use crate::admission::{Admission, Operation, Subject, decode};
use crate::cluster::{ClusterState, ObjectKey, Question};
use crate::engine::{Mode, evaluate, mutate};
use crate::policy::{Policies, Policy};

/// What the webhook says to a recorded review.
#[derive(Debug, Serialize)]
pub struct Replay {
    version: u32,
    pub(super) request: Request,
    pub(super) mode: &'static str,
    /// Whether wavegate has rules for such a request.
    pub(super) covered: bool,
    /// Whether a cluster was asked for what has happened. Without one, nothing has.
    pub(super) asked: bool,
    /// What a Job was recognised as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recognised: Option<Recognised>,
    pub(super) verdict: Said,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mutation: Option<Mutated>,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub(super) struct Request {
    pub(super) uid: String,
    pub(super) operation: &'static str,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) user: String,
    pub(super) field_manager: Option<String>,
    pub(super) dry_run: bool,
}

/// What a Job was recognised as.
#[derive(Debug, Serialize)]
pub(super) struct Recognised {
    pub(super) role: &'static str,
    pub(super) confidence: &'static str,
    pub(super) reason: String,
}

/// What the mutating webhook does to a Job that is created.
#[derive(Debug, Serialize)]
pub(super) struct Mutated {
    pub(super) patch: Vec<Value>,
    pub(super) notices: Vec<String>,
    /// What the validating webhook says to the object with the patch applied; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<Said>,
}

impl Replay {
    /// Whether the request is let through.
    pub fn is_admitted(&self) -> bool {
        self.verdict.admitted
    }

    /// The same for a person, ended by a newline.
    pub fn text(&self) -> String {
        text::replay(self)
    }
}

/// What to ask of the cluster before a review is decided as if it were sent now. Nothing where no rule is about it.
pub fn question(
    body: &[u8],
    policies: &Policies,
    now: Timestamp,
) -> Result<Option<Question>, WhyError> {
    let mut admission = decode(body)?;
    let policy = policies.of(&admission.namespace);
    admission.detect(&policy.detection);
    let namespace = admission.namespace.to_string();
    let revisions_of = match &admission.subject {
        Subject::Workload(workload) => Some(ObjectKey {
            kind: workload.kind.name(),
            namespace: namespace.clone(),
            name: admission.name.to_string(),
        }),
        Subject::Job(_) | Subject::CronJob(_) => None,
        Subject::Unrelated | Subject::Unreadable(_) => return Ok(None),
    };
    // What a Job that is created needs to know, it says itself.
    let decision = evaluate(&admission, &ClusterState::default(), policy, Mode::Enforce, now);
    let history = Question { namespace, revisions_of, ..Question::default() };
    Ok(Some(decision.question.unwrap_or(history)))
}

/// Decides on a recorded review in the light of what is known.
pub fn replay(
    body: &[u8],
    mode: Mode,
    state: &ClusterState,
    policies: &Policies,
    now: Timestamp,
) -> Result<Replay, WhyError> {
    let mut admission = decode(body)?;
    let policy = policies.of(&admission.namespace);
    admission.detect(&policy.detection);
    let verdict = Said::of(&admission, &evaluate(&admission, state, policy, mode, now), policy);
    let recognised = match &admission.subject {
        Subject::Job(job) => Some(Recognised {
            role: job.recognition.role.name(),
            confidence: job.recognition.confidence.name(),
            reason: job.recognition.reason.clone(),
        }),
        _ => None,
    };
    let is_created_job = recognised.is_some() && admission.operation == Operation::Create;
    let mutation = is_created_job.then(|| mutated(&admission, body, mode, state, policy, now));
    Ok(Replay {
        version: VERSION,
        request: Request::of(&admission),
        mode: mode.name(),
        covered: !matches!(admission.subject, Subject::Unrelated),
        asked: state.confirmation().is_some(),
        recognised,
        verdict,
        mutation: mutation.transpose()?,
    })
}

fn mutated(
    admission: &Admission<'_>,
    body: &[u8],
    mode: Mode,
    state: &ClusterState,
    policy: &Policy,
    now: Timestamp,
) -> Result<Mutated, WhyError> {
    let mutation = mutate(admission, policy, mode);
    let mut review: Value =
        serde_json::from_slice(body).map_err(crate::admission::DecodeError::from)?;
    let object = review.pointer_mut("/request/object");
    let applied = !mutation.patch.0.is_empty()
        && object.is_some_and(|object| json_patch::patch(object, &mutation.patch).is_ok());
    let verdict = if applied {
        let body = review.to_string();
        let mut admission = decode(body.as_bytes())?;
        admission.detect(&policy.detection);
        let decision = evaluate(&admission, state, policy, mode, now);
        Some(Said::of(&admission, &decision, policy))
    } else {
        None
    };
    let patch = mutation.patch.0.iter().filter_map(|step| serde_json::to_value(step).ok());
    Ok(Mutated { patch: patch.collect(), notices: mutation.notices, verdict })
}

impl Request {
    fn of(admission: &Admission<'_>) -> Self {
        Self {
            uid: admission.uid.to_string(),
            operation: admission.operation.name(),
            kind: admission.kind.to_string(),
            namespace: admission.namespace.to_string(),
            name: admission.name.to_string(),
            user: admission.username.to_string(),
            field_manager: admission.field_manager.as_ref().map(ToString::to_string),
            dry_run: admission.dry_run,
        }
    }
}
