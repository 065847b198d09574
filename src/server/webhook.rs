//! The engine behind the endpoints: a body in, an answer, a log event and counts out.

mod verdict;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::announce::{Announce, Occurrence};
use super::live::{Live, LiveReading, Unread};
use super::metrics::{self, Metrics};
use super::traces::RequestSpan;
use super::{Decide, Step};
use crate::admission::{
    Admission, PolicyReview, answer_broken, decode, review_override, review_policy, uid_of,
};
use crate::cluster::{ClusterState, Question, Reading};
use crate::domain::gate_override;
use crate::engine::{Decision, Mode, begun, evaluate, mutate};
use crate::policy::{Effect, Policies, Policy};
pub(super) use verdict::Verdict;

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
    /// `/validate/unknown-mode`: says that a namespace's mode does not exist, and judges nothing.
    UnknownMode,
    /// `/validate/policy`: wavegate's own configuration.
    ValidatePolicy,
}

impl Endpoint {
    /// Every endpoint, in the order in which the documentation lists them.
    pub const ALL: [Self; 6] = [
        Self::Mutate,
        Self::MutateWarn,
        Self::ValidateEnforce,
        Self::ValidateWarn,
        Self::UnknownMode,
        Self::ValidatePolicy,
    ];

    /// The path, as a webhook configuration names it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Mutate => "/mutate",
            Self::MutateWarn => "/mutate/warn",
            Self::ValidateEnforce => "/validate/enforce",
            Self::ValidateWarn => "/validate/warn",
            Self::UnknownMode => "/validate/unknown-mode",
            Self::ValidatePolicy => "/validate/policy",
        }
    }

    /// The value of the `endpoint` label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::MutateWarn => "mutate_warn",
            Self::ValidateEnforce => "validate_enforce",
            Self::ValidateWarn => "validate_warn",
            Self::UnknownMode => "unknown_mode",
            Self::ValidatePolicy => "validate_policy",
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
pub struct Webhook {
    policies: SharedPolicies,
    /// What a policy that says nothing comes to.
    base: Policy,
    cluster: Cluster,
    metrics: Arc<Metrics>,
}

/// What is known of the cluster, and who can be asked about the rest. The default knows nothing and nobody.
#[derive(Clone, Default)]
pub struct Cluster {
    /// What the watchers know.
    pub state: SharedState,
    /// Who reads what they do not; `None` where wavegate runs without a cluster.
    pub live: Option<Arc<dyn Live>>,
    /// Who tells the cluster of refusals and warnings; `None` where wavegate runs without a cluster.
    pub announce: Option<Arc<dyn Announce>>,
}

/// The settings in force, replaced as a whole where the policy changes.
pub type SharedPolicies = Arc<ArcSwap<Policies>>;

/// The cluster's state, filled by watchers and read by decisions.
pub type SharedState = Arc<RwLock<ClusterState>>;

impl Decide for Webhook {
    /// Answers one review, or says what must be asked first. A body without a uid is answered with 400, everything
    /// else with a review: a panic too, which refuses where findings would.
    fn answer(&self, endpoint: Endpoint, body: &[u8], span: &mut RequestSpan) -> Step {
        self.contained(endpoint, body, span, |span| self.review(endpoint, body, None, span))
    }

    /// Asks the cluster, at most for as long as [`Live`] takes.
    fn ask(&self, question: Question) -> LiveReading<'_> {
        match &self.cluster.live {
            Some(live) => live.read(question),
            None => Box::pin(async { Err(Unread("wavegate runs without a cluster".to_owned())) }),
        }
    }

    /// Answers a review in the light of what the cluster told.
    fn conclude(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        told: Result<Reading, Unread>,
        span: &mut RequestSpan,
    ) -> Answer {
        let review = |span: &mut RequestSpan| self.review(endpoint, body, Some(told), span);
        match self.contained(endpoint, body, span, review) {
            Step::Answer(answer) => answer,
            // The engine asks only once; if it did again, that would be a defect.
            Step::Ask(_) => self.broken(endpoint, body, span),
        }
    }
}

impl Webhook {
    /// A webhook with this policy that counts its findings in these metrics.
    pub fn new(policy: Policy, cluster: Cluster, metrics: Arc<Metrics>) -> Self {
        Self::following(Arc::new(ArcSwap::from_pointee(policy.into())), cluster, metrics)
    }

    /// A webhook that decides by whatever settings are in force.
    pub fn following(policies: SharedPolicies, cluster: Cluster, metrics: Arc<Metrics>) -> Self {
        let base = policies.load().cluster().clone();
        Self { policies, base, cluster, metrics }
    }

    /// Contains a panic: what is shared, the policy and the state, is replaced or added to as a whole.
    fn contained(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        span: &mut RequestSpan,
        review: impl FnOnce(&mut RequestSpan) -> Step,
    ) -> Step {
        catch_unwind(AssertUnwindSafe(|| review(span)))
            .unwrap_or_else(|_| self.broken(endpoint, body, span).into())
    }

    fn review(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        told: Option<Result<Reading, Unread>>,
        span: &mut RequestSpan,
    ) -> Step {
        let started = Instant::now();
        let mut admission = match decode(body) {
            Ok(admission) => admission,
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(endpoint = endpoint.path(), reason, "undecodable review");
                return Answer::text(400, &reason).into();
            }
        };
        let policies = self.policies.load();
        let policy = policies.of(&admission.namespace);
        admission.detect(&policy.detection);
        let verdict = if endpoint == Endpoint::ValidatePolicy {
            Verdict::of_configuration(&admission, &self.examine(&admission, policy))
        } else if endpoint == Endpoint::UnknownMode {
            Verdict::of_unknown_mode(&admission)
        } else if endpoint.mutates() {
            Verdict::of_mutation(&admission, &mutate(&admission, policy, endpoint.mode()))
        } else {
            let mut decision = self.evaluate(endpoint, &admission, policy, told);
            if let Some(question) = decision.question.take()
                && self.cluster.live.is_some()
            {
                return Step::Ask(question);
            }
            self.announce(endpoint, &admission, policy, &decision);
            self.remember(&admission, &decision);
            self.validated(endpoint, &admission, policy, &decision)
        };
        span.decided(&admission, &verdict);
        log(endpoint, &admission, &verdict, span, started);
        Answer::review(verdict.body).into()
    }

    /// Looks at wavegate's own configuration.
    fn examine(&self, admission: &Admission<'_>, policy: &Policy) -> PolicyReview {
        let now = Timestamp::now();
        if admission.kind == gate_override::KIND {
            return review_override(admission, policy, now);
        }
        review_policy(admission, &self.base, now)
    }

    /// Decides on what the watchers know, or on that and what was told beyond it.
    fn evaluate(
        &self,
        endpoint: Endpoint,
        admission: &Admission<'_>,
        policy: &Policy,
        told: Option<Result<Reading, Unread>>,
    ) -> Decision {
        let now = Timestamp::now();
        let state = self.cluster.state.read().unwrap_or_else(PoisonError::into_inner);
        let told = match told {
            None => return evaluate(admission, &state, policy, endpoint.mode(), now),
            Some(Ok(reading)) => state.confirmed(&admission.namespace, reading),
            Some(Err(unread)) => {
                self.metrics.unread();
                state.unconfirmed(unread.0)
            }
        };
        drop(state);
        evaluate(admission, &told, policy, endpoint.mode(), now)
    }

    /// The answer after a panic. Mutation fails open: what it did not do, validation reports.
    fn broken(&self, endpoint: Endpoint, body: &[u8], span: &mut RequestSpan) -> Answer {
        self.metrics.panicked();
        let Some(uid) = uid_of(body) else {
            return Answer::text(400, "the body is no AdmissionReview with a uid");
        };
        span.broken(&uid);
        tracing::error!(
            uid,
            endpoint = endpoint.path(),
            verdict = "broken",
            trace_id = span.trace_id().map(tracing::field::display),
            "decision"
        );
        Answer::review(answer_broken(&uid, endpoint == Endpoint::ValidateEnforce))
    }

    fn validated(
        &self,
        endpoint: Endpoint,
        admission: &Admission<'_>,
        policy: &Policy,
        decision: &Decision,
    ) -> Verdict {
        self.count(endpoint, admission, decision);
        Verdict::of_validation(admission, policy, decision)
    }

    /// Remembers a migration that may begin now, until the watches tell of it.
    fn remember(&self, admission: &Admission<'_>, decision: &Decision) {
        if decision.is_allowed()
            && let Some(attempt) = begun(admission)
        {
            let mut state = self.cluster.state.write().unwrap_or_else(PoisonError::into_inner);
            state.let_through(attempt, Timestamp::now());
        }
    }

    /// Tells the cluster what nobody may have read.
    fn announce(
        &self,
        endpoint: Endpoint,
        admission: &Admission<'_>,
        policy: &Policy,
        decision: &Decision,
    ) {
        if let Some(announce) = &self.cluster.announce
            && let Some(occurrence) = Occurrence::of(endpoint.mode(), admission, policy, decision)
        {
            announce.announce(occurrence);
        }
    }

    fn count(&self, endpoint: Endpoint, admission: &Admission<'_>, decision: &Decision) {
        let verdict = match (decision.is_allowed(), decision.findings.is_empty()) {
            (false, _) => metrics::Verdict::Denied,
            (true, false) => metrics::Verdict::Warned,
            (true, true) => metrics::Verdict::Allowed,
        };
        let (mode, namespace) = (endpoint.mode(), &admission.namespace);
        self.metrics.decided(mode, verdict, admission.dry_run, namespace);
        for finding in &decision.findings {
            let effect = match finding.effect() {
                Effect::Deny => metrics::Effect::Deny,
                Effect::Warn => metrics::Effect::Warn,
            };
            self.metrics.finding(endpoint, finding.code(), effect);
        }
        for used in decision.overrides_used() {
            self.metrics.override_used(used.kind);
        }
        // A dry run uses nothing up.
        for finding in decision.exempted().filter(|_| !admission.dry_run) {
            self.metrics.policy().exempted(finding.code());
        }
    }
}

impl Endpoint {
    /// How the namespaces that this endpoint is asked about want findings answered.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Mutate | Self::ValidateEnforce => Mode::Enforce,
            Self::MutateWarn | Self::ValidateWarn | Self::UnknownMode | Self::ValidatePolicy => {
                Mode::Warn
            }
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

    pub(super) fn text(status: u16, line: &str) -> Self {
        let body = format!("{line}\n").into_bytes();
        Self { status, content_type: ContentType::Text, body }
    }
}

/// One event per decision: what was asked by whom and how it ended, nothing of what the object holds.
fn log(
    endpoint: Endpoint,
    admission: &Admission<'_>,
    verdict: &Verdict,
    span: &RequestSpan,
    started: Instant,
) {
    tracing::info!(
        uid = &*admission.uid,
        endpoint = endpoint.path(),
        operation = admission.operation.name(),
        kind = &*admission.kind,
        namespace = &*admission.namespace,
        name = &*admission.name,
        user = &*admission.username,
        dry_run = admission.dry_run,
        verdict = verdict.outcome,
        denied = verdict.denied,
        warned = verdict.warned,
        overrides = verdict.overrides,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        trace_id = span.trace_id().map(tracing::field::display),
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
        let webhook = Webhook::new(Policy::default(), Cluster::default(), Arc::new(Metrics::new()));
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "u-1", "operation": "CREATE"},
        });
        for endpoint in Endpoint::ALL {
            let answer = webhook.broken(
                endpoint,
                review.to_string().as_bytes(),
                &mut RequestSpan::default(),
            );
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((answer.status, &body["response"]["uid"]), (200, &json!("u-1")));
            let refused = endpoint == Endpoint::ValidateEnforce;
            assert_eq!(body["response"]["allowed"], !refused, "{endpoint:?}");
            let said = body["response"].to_string();
            assert!(said.contains("not your fault"), "{endpoint:?}: {said}");
        }
        assert_eq!(
            webhook.broken(Endpoint::Mutate, b"{}", &mut RequestSpan::default()).status,
            400
        );
        assert!(webhook.metrics.encode().unwrap().contains("wavegate_panics_total 7"));
    }

    /// An unstamped migration is refused where wavegate enforces, and only warned of elsewhere.
    #[test]
    fn a_migration_is_remembered_where_it_is_let_through() {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": "CREATE", "namespace": "shop",
                "kind": {"group": "batch", "version": "v1", "kind": "Job"},
                "object": {"metadata": {
                    "name": "m", "uid": "j-1", "creationTimestamp": "2026-01-01T00:00:00Z",
                    "labels": {"wavegate.dev/role": "migration"},
                }},
            },
        });
        let review = review.to_string();
        let webhook = Webhook::new(Policy::default(), Cluster::default(), Arc::new(Metrics::new()));
        for (endpoint, known) in
            [(Endpoint::ValidateEnforce, false), (Endpoint::ValidateWarn, true)]
        {
            webhook.answer(endpoint, review.as_bytes(), &mut RequestSpan::default());
            let state = webhook.cluster.state.read().unwrap();
            let remembered = state.with_let_through("shop", Timestamp::now()).is_some();
            assert_eq!(remembered, known, "{endpoint:?}");
        }
    }

    /// Where there is nobody to ask, what needs asking is not judged: a contract is let through, never refused for ever.
    #[test]
    fn without_a_cluster_nothing_is_asked() {
        let webhook = Webhook::new(Policy::default(), Cluster::default(), Arc::new(Metrics::new()));
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": "CREATE", "namespace": "shop",
                "kind": {"group": "batch", "version": "v1", "kind": "Job"},
                "object": {
                    "metadata": {"name": "m", "labels": {
                        "wavegate.dev/role": "migration", "wavegate.dev/phase": "contract",
                    }},
                    "spec": {"template": {"spec": {"containers": [{"name": "m", "image": "a/b:v1"}]}}},
                },
            },
        });
        let step = webhook.answer(
            Endpoint::ValidateEnforce,
            review.to_string().as_bytes(),
            &mut RequestSpan::default(),
        );
        let Step::Answer(answer) = step else { panic!("a question") };
        assert!(!String::from_utf8_lossy(&answer.body).contains("WG307"));
    }
}
