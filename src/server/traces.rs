//! Traces for a collector, where an operator asks for them: a request that the API server traces becomes a span of the
//! same trace.
//!
//! ```text
//! router   begin -> RequestSpan -> decision's words -> end      Queue (bounded) -> SDK's thread -> Told -> Client -> collector
//! ```
//!
//! The SDK is called directly, not by way of a layer of the log's subscriber. So the log is what it was, two servers in
//! one process have traces of their own, and a server without traces pays for an `Option` that is empty.

mod client;
mod delivery;
mod span;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderMap;
use hyper::http::Uri;
use hyper::http::request::Parts;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use thiserror::Error;

use super::metrics::Metrics;
use super::webhook::Endpoint;
use client::Client;
use delivery::{Delivery, Queue};
pub use span::RequestSpan;

/// How long the collector may take for a batch, repetitions included.
const EXPORT: Duration = Duration::from_secs(10);

/// How long what waits gets at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// The header in which a caller tells its trace, see <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: &str = "traceparent";

/// Longest header of a trace that is read: what the W3C asks everyone to hand on.
const HEADER_BYTES: usize = 512;

/// Which requests are traced, and who gets their spans.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Where it is.
    pub url: CollectorUrl,
    /// PEM file with the CAs of its certificate; `None` trusts those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The share, from 0 to 1, of the requests without a trace that are traced nevertheless. Where the caller traces, it
    /// has decided.
    pub sample_ratio: f64,
}

/// Where a collector takes OTLP over HTTP, without the path of a signal: `http://collector:4318`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorUrl(Uri);

/// Why a text is no [`CollectorUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WrongUrl {
    /// No scheme that is spoken, or no host.
    #[error("a collector is given as a URL such as http://collector:4318, with http or https")]
    NotHttp,
    /// User or password in it.
    #[error(
        "a URL may not hold a user or password; give them as OTEL_EXPORTER_OTLP_HEADERS, \
         for example authorization=Basic%20…"
    )]
    Credentials,
    /// More than a path.
    #[error("a collector's URL ends with its path: without the part behind `?`")]
    Query,
}

/// Why there can be no traces.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The URL, which is not repeated: there may be a password in it.
    #[error("--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT): {0}")]
    Url(#[from] WrongUrl),
    /// The CA file.
    #[error("the collector's CA file {path} {problem}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Without any CA no certificate can be trusted.
    #[error("the system has no CAs to trust a collector by ({0}); name a file with --otlp-ca")]
    NoCas(rustls::Error),
    /// What is set by the SDK's own environment variables.
    #[error("the exporter does not take its settings: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl FromStr for CollectorUrl {
    type Err = WrongUrl;

    fn from_str(text: &str) -> Result<Self, WrongUrl> {
        let uri: Uri = text.parse().map_err(|_invalid| WrongUrl::NotHttp)?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(WrongUrl::NotHttp);
        };
        if authority.as_str().contains('@') {
            return Err(WrongUrl::Credentials);
        }
        if authority.host().is_empty() {
            return Err(WrongUrl::NotHttp);
        }
        if uri.query().is_some() {
            return Err(WrongUrl::Query);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl CollectorUrl {
    fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Where spans go: the base and the signal's path, as the specification of OTLP's exporters says.
    fn of_traces(&self) -> String {
        format!("{}/v1/traces", self.0.to_string().trim_end_matches('/'))
    }
}

/// The traces of one server. Clones are the same traces.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    delivery: Arc<Delivery>,
    /// Whether a request that its caller does not trace may be.
    roots: bool,
}

impl Traces {
    /// Begins to deliver spans. A collector that does not answer is no error: that is told in the log, once, and what
    /// cannot be delivered is counted.
    ///
    /// Must be called in a tokio runtime with timers and I/O, on which the requests to the collector run.
    pub fn start(collector: &Collector, metrics: &Metrics) -> Result<Self, TracesError> {
        let delivery = Arc::new(Delivery::new(metrics.traces().clone()));
        let client = Client::new(collector, Arc::clone(&delivery))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(collector.url.of_traces())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT)
            .build()?;
        let sampler = Sampler::TraceIdRatioBased(collector.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_resource(resource())
            .with_span_processor(Queue::new(exporter, Arc::clone(&delivery)))
            .build();
        let scope = InstrumentationScope::builder("wavegate").with_version(VERSION).build();
        let tracer = provider.tracer_with_scope(scope);
        Ok(Self { provider, tracer, delivery, roots: collector.sample_ratio > 0.0 })
    }

    /// The span of a request whose header has just arrived; an empty one where it is not traced.
    pub(super) fn begin(&self, head: &Parts, endpoint: Option<Endpoint>) -> RequestSpan {
        match parent(&head.headers) {
            Some(parent) if parent.span().span_context().is_sampled() => {
                RequestSpan::of_request(&self.tracer, &parent, head, endpoint)
            }
            None if self.roots => {
                RequestSpan::of_request(&self.tracer, &Context::new(), head, endpoint)
            }
            _ => RequestSpan::default(),
        }
    }

    /// Delivers what waits, for two seconds at most. Later requests are not traced.
    pub async fn stop(&self) {
        let provider = self.provider.clone();
        let flush = move || provider.shutdown_with_timeout(FLUSH);
        // How it ended is told by what is left.
        let _ = tokio::task::spawn_blocking(flush).await;
        self.delivery.ended();
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The caller's span, if it tells a valid one.
fn parent(headers: &HeaderMap) -> Option<Context> {
    if !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let propagator = TraceContextPropagator::new();
    let context = propagator.extract_with_context(&Context::new(), &Headers(headers));
    context.span().span_context().is_valid().then_some(context)
}

/// Headers for the propagator. One that is too long is none: a span keeps what it says.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key)?.to_str().ok()?;
        (value.len() <= HEADER_BYTES).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(hyper::header::HeaderName::as_str).collect()
    }
}

/// Who sends the spans. What the environment says of it, by the SDK's own variables, comes first.
fn resource() -> Resource {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut own =
        vec![KeyValue::new("service.name", "wavegate"), KeyValue::new("service.version", VERSION)];
    // A container's host name is its pod's name.
    if let (Some(_), Some(pod)) = (variable("KUBERNETES_SERVICE_HOST"), variable("HOSTNAME")) {
        own.push(KeyValue::new("k8s.pod.name", pod));
    }
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn spans_go_below_the_given_url() {
        for (base, wanted) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("https://example.com/otlp/", "https://example.com/otlp/v1/traces"),
        ] {
            let url: CollectorUrl = base.parse().unwrap();
            assert_eq!(url.of_traces(), wanted);
        }
    }

    #[test]
    fn what_is_no_collectors_url_is_told() {
        for (text, wanted) in [
            ("", WrongUrl::NotHttp),
            ("collector:4318", WrongUrl::NotHttp),
            ("/v1/traces", WrongUrl::NotHttp),
            ("grpc://collector:4317", WrongUrl::NotHttp),
            ("http://", WrongUrl::NotHttp),
            ("http://:4318", WrongUrl::NotHttp),
            ("https://me:secret@collector", WrongUrl::Credentials),
            ("https://collector?key=secret", WrongUrl::Query),
        ] {
            let wrong = text.parse::<CollectorUrl>().unwrap_err();
            assert_eq!(wrong, wanted, "{text}");
        }
    }

    #[test]
    fn only_a_valid_header_of_bounded_length_is_a_parent() {
        const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        let cases = [
            (format!("{TRACE}-01"), Some(true)),
            (format!("{TRACE}-00"), Some(false)),
            (TRACE.to_owned(), None),
            (format!("{}-01", TRACE.replace(|c: char| c != '-', "0")), None),
            (format!("{TRACE}-01{}", " ".repeat(HEADER_BYTES)), None),
            ("é".to_owned(), None),
        ];
        for (value, wanted) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            let parent = parent(&headers);
            let sampled = parent.map(|parent| parent.span().span_context().is_sampled());
            assert_eq!(sampled, wanted, "{value}");
        }
        assert!(parent(&HeaderMap::new()).is_none());
    }

    #[test]
    fn a_long_trace_state_is_not_kept() {
        for (length, kept) in [(100, true), (HEADER_BYTES, false)] {
            let mut headers = HeaderMap::new();
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            headers.insert(TRACEPARENT, HeaderValue::from_static(trace));
            let state = format!("vendor={}", "x".repeat(length));
            headers.insert("tracestate", HeaderValue::from_str(&state).unwrap());
            let parent = parent(&headers).expect("a parent");
            let header = parent.span().span_context().trace_state().header();
            assert_eq!(header, if kept { state } else { String::new() });
        }
    }
}
