//! What the server counts, as `OpenMetrics` text.
//!
//! What is counted for every request is resolved beforehand; only findings and decisions are looked up by their labels.

mod certificates;
mod decisions;
mod labels;
mod policy;
mod traces;
mod watch;

use std::fmt;
use std::time::Duration;

use hyper::StatusCode;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::webhook::Endpoint;
use crate::domain::gate_override::OverrideKind;
use crate::engine::Mode;
pub use certificates::{CertificateMetrics, Rotation};
use decisions::Decisions;
pub use labels::{Effect, OverrideState, Verdict};
use labels::{
    EndpointLabel, EndpointLabels, FindingLabels, HandshakeLabels, OverrideKindLabel,
    OverrideLabels, OverrideUseLabels, RefusalLabels, ReloadLabels, RequestLabels, StatusClass,
};
pub(super) use labels::{HandshakeFailure, RefusalReason, ReloadResult};
pub use policy::PolicyMetrics;
pub use traces::TraceMetrics;
pub use watch::{EventResult, NamespaceMode, RecordWrite, WatchMetrics, Watched};

/// Upper bounds in seconds. A decision takes microseconds; the API server gives up after its timeout of
/// some seconds, so what takes longer than one second needs no finer picture.
const DURATION_BUCKETS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0,
];

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one server. No state is global, so that two servers in one process do not mix.
pub struct Metrics {
    registry: Registry,
    mutate: EndpointMetrics,
    mutate_warn: EndpointMetrics,
    validate_enforce: EndpointMetrics,
    validate_warn: EndpointMetrics,
    unknown_mode: EndpointMetrics,
    validate_policy: EndpointMetrics,
    requests: Family<RequestLabels, Counter>,
    in_flight: Gauge,
    connections: Gauge,
    refused: Family<RefusalLabels, Counter>,
    panics: Counter,
    unconfirmed: Counter,
    accept_errors: Counter,
    handshake_failures: Family<HandshakeLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    certificate_not_after: Gauge,
    findings: Family<FindingLabels, Counter>,
    decisions: Decisions,
    overrides: Family<OverrideLabels, Gauge>,
    overrides_used: Family<OverrideUseLabels, Counter>,
    watch: WatchMetrics,
    certificates: CertificateMetrics,
    policy: PolicyMetrics,
    traces: TraceMetrics,
}

/// The resolved counters of one endpoint.
struct EndpointMetrics {
    duration: Histogram,
    success: Counter,
    client_error: Counter,
    server_error: Counter,
}

impl EndpointMetrics {
    fn resolve(
        endpoint: Endpoint,
        requests: &Family<RequestLabels, Counter>,
        durations: &Family<EndpointLabels, Histogram>,
    ) -> Self {
        let endpoint = EndpointLabel::Known(endpoint);
        let counter = |status| requests.get_or_create_owned(&RequestLabels { endpoint, status });
        Self {
            duration: durations.get_or_create_owned(&EndpointLabels { endpoint }),
            success: counter(StatusClass::Success),
            client_error: counter(StatusClass::ClientError),
            server_error: counter(StatusClass::ServerError),
        }
    }
}

impl Metrics {
    /// All metrics at zero; every series with a closed set of labels exists from the start, so that a rate
    /// over it is right from the first event on.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("wavegate");
        let requests = Family::<RequestLabels, Counter>::default();
        let durations = Family::<EndpointLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(DURATION_BUCKETS)
        });
        let resolve = |endpoint| EndpointMetrics::resolve(endpoint, &requests, &durations);
        let metrics = Self {
            mutate: resolve(Endpoint::Mutate),
            mutate_warn: resolve(Endpoint::MutateWarn),
            validate_enforce: resolve(Endpoint::ValidateEnforce),
            validate_warn: resolve(Endpoint::ValidateWarn),
            unknown_mode: resolve(Endpoint::UnknownMode),
            validate_policy: resolve(Endpoint::ValidatePolicy),
            requests: requests.clone(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused: Family::default(),
            panics: Counter::default(),
            unconfirmed: Counter::default(),
            accept_errors: Counter::default(),
            handshake_failures: Family::default(),
            reloads: Family::default(),
            certificate_not_after: Gauge::default(),
            findings: Family::default(),
            decisions: Decisions::default(),
            overrides: Family::default(),
            overrides_used: Family::default(),
            watch: WatchMetrics::default(),
            certificates: CertificateMetrics::default(),
            policy: PolicyMetrics::default(),
            traces: TraceMetrics::default(),
            registry: Registry::default(),
        };
        metrics.create_closed_series();
        metrics.register(&mut registry, durations);
        Self { registry, ..metrics }
    }

    fn create_closed_series(&self) {
        for reason in RefusalReason::ALL {
            drop(self.refused.get_or_create(&RefusalLabels { reason }));
        }
        for cause in HandshakeFailure::ALL {
            drop(self.handshake_failures.get_or_create(&HandshakeLabels { cause }));
        }
        for result in ReloadResult::ALL {
            drop(self.reloads.get_or_create(&ReloadLabels { result }));
        }
        for kind in OverrideKind::ALL.map(OverrideKindLabel) {
            drop(self.overrides_used.get_or_create(&OverrideUseLabels { kind }));
            for state in OverrideState::ALL {
                drop(self.overrides.get_or_create(&OverrideLabels { kind, state }));
            }
        }
        for status in StatusClass::ALL {
            let endpoint = EndpointLabel::Other;
            drop(self.requests.get_or_create(&RequestLabels { endpoint, status }));
        }
    }

    fn register(&self, registry: &mut Registry, durations: Family<EndpointLabels, Histogram>) {
        registry.register(
            "requests",
            "Requests answered, by endpoint and class of HTTP status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time from the end of a request's header to its answer, the arrival of the body included",
            Unit::Seconds,
            durations,
        );
        registry.register("requests_in_flight", "Requests in handling", self.in_flight.clone());
        registry.register("connections", "Open webhook connections", self.connections.clone());
        registry.register(
            "refused",
            "Requests answered without a decision, by reason",
            self.refused.clone(),
        );
        registry.register("panics", "Decisions that panicked", self.panics.clone());
        registry.register(
            "unconfirmed_decisions",
            "Decisions before which the cluster was asked and did not answer",
            self.unconfirmed.clone(),
        );
        registry.register(
            "accept_errors",
            "Connections that could not be accepted",
            self.accept_errors.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed, by cause",
            self.handshake_failures.clone(),
        );
        registry.register(
            "certificate_reloads",
            "Changes of the certificate files, by result",
            self.reloads.clone(),
        );
        registry.register_with_unit(
            "certificate_not_after_timestamp",
            "When the served certificate expires, in Unix time",
            Unit::Seconds,
            self.certificate_not_after.clone(),
        );
        registry.register(
            "findings",
            "Findings in decisions, by rule code, effect and endpoint",
            self.findings.clone(),
        );
        self.decisions.register(registry);
        registry.register(
            "overrides",
            "GateOverrides in view, by kind and whether they count",
            self.overrides.clone(),
        );
        registry.register(
            "overrides_used",
            "Requests that were let through because of a GateOverride, by its kind",
            self.overrides_used.clone(),
        );
        self.watch.register(registry);
        self.certificates.register(registry);
        self.policy.register(registry);
        self.traces.register(registry);
    }

    /// What the delivery of traces counts.
    pub const fn traces(&self) -> &TraceMetrics {
        &self.traces
    }

    /// What the watchers and the recorder count.
    pub const fn watch(&self) -> &WatchMetrics {
        &self.watch
    }

    /// What the keeping of certificates counts.
    pub const fn certificates(&self) -> &CertificateMetrics {
        &self.certificates
    }

    /// What is counted of the policy.
    pub const fn policy(&self) -> &PolicyMetrics {
        &self.policy
    }

    /// A finding of a decision. `code` is a rule's code such as `WG101`, never text from a request.
    pub fn finding(&self, endpoint: Endpoint, code: &'static str, effect: Effect) {
        let endpoint = EndpointLabel::Known(endpoint);
        self.findings.get_or_create(&FindingLabels { code, effect, endpoint }).inc();
    }

    /// A decision on an object of this namespace.
    pub fn decided(&self, mode: Mode, verdict: Verdict, dry_run: bool, namespace: &str) {
        self.decisions.count(mode, verdict, dry_run, namespace);
    }

    /// A request was let through because of an override.
    pub fn override_used(&self, kind: OverrideKind) {
        let kind = OverrideKindLabel(kind);
        self.overrides_used.get_or_create(&OverrideUseLabels { kind }).inc();
    }

    /// How many overrides of a kind are in view in that state.
    pub fn overrides(&self, kind: OverrideKind, state: OverrideState, count: usize) {
        let labels = OverrideLabels { kind: OverrideKindLabel(kind), state };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.overrides.get_or_create(&labels).set(count);
    }

    /// The metrics as `OpenMetrics` text, see [`CONTENT_TYPE`].
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::with_capacity(16 * 1024);
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    const fn endpoint(&self, endpoint: Endpoint) -> &EndpointMetrics {
        match endpoint {
            Endpoint::Mutate => &self.mutate,
            Endpoint::MutateWarn => &self.mutate_warn,
            Endpoint::ValidateEnforce => &self.validate_enforce,
            Endpoint::ValidateWarn => &self.validate_warn,
            Endpoint::UnknownMode => &self.unknown_mode,
            Endpoint::ValidatePolicy => &self.validate_policy,
        }
    }

    /// A request was answered; `endpoint` is none where its path is not served.
    pub(super) fn answered(
        &self,
        endpoint: Option<Endpoint>,
        status: StatusCode,
        duration: Duration,
    ) {
        let class = StatusClass::of(status);
        let Some(endpoint) = endpoint else {
            let labels = RequestLabels { endpoint: EndpointLabel::Other, status: class };
            self.requests.get_or_create(&labels).inc();
            return;
        };
        let metrics = self.endpoint(endpoint);
        metrics.duration.observe(duration.as_secs_f64());
        match class {
            StatusClass::Success => &metrics.success,
            StatusClass::ClientError => &metrics.client_error,
            StatusClass::ServerError => &metrics.server_error,
        }
        .inc();
    }

    /// Counts a request in handling; returns how many others there are.
    pub(super) fn request_started(&self) -> usize {
        usize::try_from(self.in_flight.inc()).unwrap_or(0)
    }

    pub(super) fn request_ended(&self) {
        self.in_flight.dec();
    }

    pub(super) fn connection_opened(&self) {
        self.connections.inc();
    }

    pub(super) fn connection_closed(&self) {
        self.connections.dec();
    }

    pub(super) fn refused(&self, reason: RefusalReason) {
        self.refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    pub(super) fn panicked(&self) {
        self.panics.inc();
    }

    /// The cluster was asked before a decision and did not answer.
    pub fn unread(&self) {
        self.unconfirmed.inc();
    }

    pub(super) fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    pub(super) fn handshake_failed(&self, cause: HandshakeFailure) {
        self.handshake_failures.get_or_create(&HandshakeLabels { cause }).inc();
    }

    pub(super) fn reloaded(&self, result: ReloadResult) {
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
    }

    pub(super) fn certificate_expires(&self, not_after: i64) {
        self.certificate_not_after.set(not_after);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_written_with_its_labels() {
        let metrics = Metrics::new();
        metrics.answered(Some(Endpoint::MutateWarn), StatusCode::OK, Duration::from_micros(60));
        metrics.answered(None, StatusCode::NOT_FOUND, Duration::ZERO);
        metrics.refused(RefusalReason::BodyTooLarge);
        metrics.finding(Endpoint::ValidateEnforce, "WG101", Effect::Deny);
        metrics.certificate_expires(1_800_000_000);
        metrics.override_used(OverrideKind::Bypass);
        metrics.overrides(OverrideKind::Attest, OverrideState::Expired, 2);
        let text = metrics.encode().expect("a String takes any text");
        for line in [
            r#"wavegate_requests_total{endpoint="mutate_warn",status="2xx"} 1"#,
            r#"wavegate_requests_total{endpoint="validate_warn",status="5xx"} 0"#,
            r#"wavegate_requests_total{endpoint="other",status="4xx"} 1"#,
            r#"wavegate_request_duration_seconds_bucket{le="0.0001",endpoint="mutate_warn"} 1"#,
            r#"wavegate_request_duration_seconds_bucket{le="1.0",endpoint="mutate_warn"} 1"#,
            r#"wavegate_refused_total{reason="body_too_large"} 1"#,
            r#"wavegate_refused_total{reason="concurrency"} 0"#,
            r#"wavegate_tls_handshake_failures_total{cause="timeout"} 0"#,
            r#"wavegate_certificate_reloads_total{result="failed"} 0"#,
            r#"wavegate_findings_total{code="WG101",effect="deny",endpoint="validate_enforce"} 1"#,
            "wavegate_certificate_not_after_timestamp_seconds 1800000000",
            r#"wavegate_overrides_used_total{kind="bypass"} 1"#,
            r#"wavegate_overrides_used_total{kind="retire"} 0"#,
            r#"wavegate_overrides{kind="attest",state="expired"} 2"#,
            "wavegate_requests_in_flight 0",
            "wavegate_panics_total 0",
        ] {
            assert!(text.lines().any(|have| have == line), "no line {line:?} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
