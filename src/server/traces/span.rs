//! What a span says of a request. Nothing of what an object holds is among it, and no user.

use std::fmt;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, TraceId, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use crate::admission::Admission;
use crate::server::metrics::RefusalReason;
use crate::server::webhook::{Endpoint, Verdict};

/// Longest text of an attribute in bytes. Names of Kubernetes are shorter; a client that sends others must not fill the
/// queue's memory.
const TEXT_BYTES: usize = 512;

/// The span of a request in handling, or of a part of it. Empty, as its default is, where the request is not traced. It
/// ends where it is dropped.
#[derive(Default)]
pub struct RequestSpan(Option<Box<Open>>);

struct Open {
    span: Span,
    tracer: SdkTracer,
}

impl fmt::Debug for RequestSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestSpan").field(&self.trace_id()).finish()
    }
}

impl RequestSpan {
    pub(super) fn of_request(
        tracer: &SdkTracer,
        parent: &Context,
        head: &Parts,
        endpoint: Option<Endpoint>,
    ) -> Self {
        let path = match endpoint {
            Some(endpoint) => endpoint.path().into(),
            None => text(head.uri.path()),
        };
        let builder = SpanBuilder::from_name("admission review")
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", method(&head.method)),
                KeyValue::new("url.scheme", "https"),
                KeyValue::new("url.path", path),
                KeyValue::new("wavegate.endpoint", endpoint.map_or("other", Endpoint::label)),
            ]);
        Self::started(tracer, builder, parent)
    }

    fn started(tracer: &SdkTracer, builder: SpanBuilder, parent: &Context) -> Self {
        let span = tracer.build_with_context(builder, parent);
        Self(span.is_recording().then(|| Box::new(Open { span, tracer: tracer.clone() })))
    }

    /// The span of the live read that this request waits for.
    pub(in crate::server) fn reading(&self) -> Self {
        let Some(open) = &self.0 else {
            return Self::default();
        };
        let parent = Context::new().with_remote_span_context(open.span.span_context().clone());
        let builder = SpanBuilder::from_name("read the cluster").with_kind(SpanKind::Client);
        Self::started(&open.tracer, builder, &parent)
    }

    /// The trace that it belongs to.
    pub(in crate::server) fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|open| open.span.span_context().trace_id())
    }

    /// What was asked, and how it was decided, in the words of the log line.
    pub(in crate::server) fn decided(&mut self, asked: &Admission<'_>, verdict: &Verdict) {
        let Some(open) = &mut self.0 else {
            return;
        };
        let texts = [
            ("k8s.admission.uid", &*asked.uid),
            ("k8s.operation", asked.operation.name()),
            ("k8s.object.kind", &*asked.kind),
            ("k8s.namespace.name", &*asked.namespace),
            ("k8s.object.name", &*asked.name),
            ("wavegate.verdict", verdict.outcome),
            ("wavegate.denied", &*verdict.denied),
            ("wavegate.warned", &*verdict.warned),
            ("wavegate.overrides", &*verdict.overrides),
        ];
        for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            open.span.set_attribute(KeyValue::new(key, text(value)));
        }
        open.span.set_attribute(KeyValue::new("wavegate.dry_run", asked.dry_run));
    }

    /// The decision failed by a fault in wavegate, and was answered as the endpoint answers then.
    pub(in crate::server) fn broken(&mut self, uid: &str) {
        if let Some(open) = &mut self.0 {
            open.span.set_attribute(KeyValue::new("k8s.admission.uid", text(uid)));
            open.span.set_attribute(KeyValue::new("wavegate.verdict", "broken"));
        }
        self.failed("panic", "the decision panicked");
    }

    /// The request was answered without a decision.
    pub(in crate::server) fn refused(&mut self, reason: RefusalReason) {
        if let Some(open) = &mut self.0 {
            open.span.set_attribute(KeyValue::new("wavegate.refused", reason.label()));
        }
    }

    /// What it stands for did not come about. `kind` is a word that can be counted by.
    pub(in crate::server) fn failed(&mut self, kind: &'static str, description: &'static str) {
        if let Some(open) = &mut self.0 {
            open.span.set_attribute(KeyValue::new("error.type", kind));
            open.span.set_status(Status::error(description));
        }
    }

    /// The answer is ready.
    pub(in crate::server) fn answered(mut self, status: StatusCode) {
        let Some(open) = &mut self.0 else {
            return;
        };
        let code = i64::from(status.as_u16());
        open.span.set_attribute(KeyValue::new("http.response.status_code", code));
        // What a client did wrong is no error of the server, by the semantic conventions.
        if status.is_server_error() {
            open.span.set_attribute(KeyValue::new("error.type", code.to_string()));
            open.span.set_status(Status::error(""));
        }
    }
}

/// The methods that there are; any other would be a word of the client's own.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

fn text(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(text("shop"), "shop");
        let long = format!("{}é", "x".repeat(TEXT_BYTES - 1));
        assert_eq!(text(&long), "x".repeat(TEXT_BYTES - 1));
    }

    #[test]
    fn a_method_of_the_clients_own_is_not_quoted() {
        assert_eq!(method(&Method::POST), "POST");
        assert_eq!(method(&Method::from_bytes(b"PASSWORD").unwrap()), "_OTHER");
    }

    #[test]
    fn what_is_not_traced_is_an_empty_pointer_and_takes_every_word() {
        assert_eq!(size_of::<RequestSpan>(), size_of::<usize>());
        let mut span = RequestSpan::default();
        span.broken("u-1");
        span.refused(RefusalReason::Concurrency);
        assert!(span.reading().trace_id().is_none());
        assert!(span.trace_id().is_none());
        span.answered(StatusCode::OK);
    }
}
