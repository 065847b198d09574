//! The engine behind the endpoints: a body in, an answer, a log event and counts out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::metrics::{self, Metrics};
use crate::admission::{
    Admission, answer_broken, answer_mutation, answer_validation, decode, uid_of,
};
use crate::cluster::ClusterState;
use crate::engine::{Decision, Mode, Mutation, evaluate, mutate};
use crate::policy::{Effect, Finding, Policy};

/// What a webhook configuration calls. The mode is in the path, so that the server needs no look-up of
/// the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/mutate`: mutation in enforcing namespaces.
    Mutate,
    /// `/mutate/warn`: mutation in warning namespaces.
    MutateWarn,
    /// `/validate/enforce`: findings deny.
    ValidateEnforce,
    /// `/validate/warn`: findings become warnings.
    ValidateWarn,
}

impl Endpoint {
    /// Every endpoint, in the order in which the documentation lists them.
    pub const ALL: [Self; 4] =
        [Self::Mutate, Self::MutateWarn, Self::ValidateEnforce, Self::ValidateWarn];

    /// The path, as a webhook configuration names it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Mutate => "/mutate",
            Self::MutateWarn => "/mutate/warn",
            Self::ValidateEnforce => "/validate/enforce",
            Self::ValidateWarn => "/validate/warn",
        }
    }

    /// The value of the `endpoint` label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::MutateWarn => "mutate_warn",
            Self::ValidateEnforce => "validate_enforce",
            Self::ValidateWarn => "validate_warn",
        }
    }

    /// The endpoint of a path without its query.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.path() == path)
    }
}

/// How the body of an [`Answer`] is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// An `AdmissionReview`.
    Json,
    /// One line for a person.
    Text,
}

/// What the API server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status: 200 with a review, or 400 where no uid could be read.
    pub status: u16,
    /// Content type of the body.
    pub content_type: ContentType,
    /// The body.
    pub body: Vec<u8>,
}

/// Decides about admission requests.
#[derive(Debug)]
pub struct Webhook {
    policy: Policy,
    state: ClusterState,
    metrics: Arc<Metrics>,
}

/// What came of a request, for its log event.
struct Verdict {
    body: Result<Vec<u8>, serde_json::Error>,
    outcome: &'static str,
    denied: String,
    warned: String,
}

impl Webhook {
    /// A webhook with this policy that counts its findings in these metrics.
    pub fn new(policy: Policy, metrics: Arc<Metrics>) -> Self {
        Self { policy, state: ClusterState::default(), metrics }
    }

    /// Answers one review. A body without a uid is answered with 400, everything else with a review: a panic
    /// too, which refuses where findings would.
    pub fn answer(&self, endpoint: Endpoint, body: &[u8]) -> Answer {
        // Nothing is shared but the policy and the state, which are only read.
        catch_unwind(AssertUnwindSafe(|| self.review(endpoint, body)))
            .unwrap_or_else(|_| self.broken(endpoint, body))
    }

    fn review(&self, endpoint: Endpoint, body: &[u8]) -> Answer {
        let started = Instant::now();
        let admission = match decode(body) {
            Ok(admission) => admission,
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(endpoint = endpoint.path(), reason, "undecodable review");
                return Answer::text(400, &reason);
            }
        };
        let verdict = self.decide(endpoint, &admission);
        log(endpoint, &admission, &verdict, started);
        Answer::review(verdict.body)
    }

    /// The answer after a panic. Mutation fails open: what it did not do, validation reports.
    fn broken(&self, endpoint: Endpoint, body: &[u8]) -> Answer {
        self.metrics.panicked();
        let Some(uid) = uid_of(body) else {
            return Answer::text(400, "the body is no AdmissionReview with a uid");
        };
        tracing::error!(uid, endpoint = endpoint.path(), verdict = "broken", "decision");
        Answer::review(answer_broken(&uid, endpoint == Endpoint::ValidateEnforce))
    }

    fn decide(&self, endpoint: Endpoint, admission: &Admission<'_>) -> Verdict {
        if endpoint.mutates() {
            return mutated(admission, &mutate(admission, &self.policy, endpoint.mode()));
        }
        let decision = evaluate(admission, &self.state, &self.policy, endpoint.mode());
        self.count(endpoint, &decision);
        Verdict {
            body: answer_validation(admission, &decision, &self.policy),
            outcome: if decision.is_allowed() { "allowed" } else { "denied" },
            denied: codes(decision.denials()),
            warned: codes(decision.warnings()),
        }
    }

    fn count(&self, endpoint: Endpoint, decision: &Decision) {
        for finding in &decision.findings {
            let effect = match finding.effect() {
                Effect::Deny => metrics::Effect::Deny,
                Effect::Warn => metrics::Effect::Warn,
            };
            self.metrics.finding(endpoint, finding.code(), effect);
        }
    }
}

impl Endpoint {
    /// How the namespaces that this endpoint is asked about want findings answered.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Mutate | Self::ValidateEnforce => Mode::Enforce,
            Self::MutateWarn | Self::ValidateWarn => Mode::Warn,
        }
    }

    const fn mutates(self) -> bool {
        matches!(self, Self::Mutate | Self::MutateWarn)
    }
}

impl Answer {
    fn review(body: Result<Vec<u8>, serde_json::Error>) -> Self {
        match body {
            Ok(body) => Self { status: 200, content_type: ContentType::Json, body },
            Err(error) => Self::text(500, &format!("the answer cannot be written: {error}")),
        }
    }

    fn text(status: u16, line: &str) -> Self {
        let body = format!("{line}\n").into_bytes();
        Self { status, content_type: ContentType::Text, body }
    }
}

fn mutated(admission: &Admission<'_>, mutation: &Mutation) -> Verdict {
    Verdict {
        body: answer_mutation(admission, mutation),
        outcome: if mutation.patch.0.is_empty() { "unchanged" } else { "patched" },
        denied: String::new(),
        warned: String::new(),
    }
}

fn codes<'f>(findings: impl Iterator<Item = &'f Finding>) -> String {
    findings.map(Finding::code).fold(String::new(), |mut codes, code| {
        if !codes.is_empty() {
            codes.push(',');
        }
        codes.push_str(code);
        codes
    })
}

/// One event per decision: what was asked by whom and how it ended, nothing of what the object holds.
fn log(endpoint: Endpoint, admission: &Admission<'_>, verdict: &Verdict, started: Instant) {
    tracing::info!(
        uid = &*admission.uid,
        endpoint = endpoint.path(),
        operation = admission.operation.name(),
        kind = &*admission.kind,
        namespace = admission.namespace,
        name = admission.name,
        user = &*admission.username,
        dry_run = admission.dry_run,
        verdict = verdict.outcome,
        denied = verdict.denied,
        warned = verdict.warned,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "decision"
    );
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// No input makes wavegate panic, as far as anybody knows; what it would answer is tested nevertheless.
    #[test]
    fn a_panic_refuses_where_findings_would_and_says_whose_fault_it_is() {
        let webhook = Webhook::new(Policy::default(), Arc::new(Metrics::new()));
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "u-1", "operation": "CREATE"},
        });
        for endpoint in Endpoint::ALL {
            let answer = webhook.broken(endpoint, review.to_string().as_bytes());
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((answer.status, &body["response"]["uid"]), (200, &json!("u-1")));
            let refused = endpoint == Endpoint::ValidateEnforce;
            assert_eq!(body["response"]["allowed"], !refused, "{endpoint:?}");
            let said = body["response"].to_string();
            assert!(said.contains("not your fault"), "{endpoint:?}: {said}");
        }
        assert_eq!(webhook.broken(Endpoint::Mutate, b"{}").status, 400);
        assert!(webhook.metrics.encode().unwrap().contains("wavegate_panics_total 5"));
    }
}
