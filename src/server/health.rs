//! The second port: `/healthz`, `/readyz` and `/metrics`, over plain HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::connection::Handler;
use super::metrics::{self, Metrics};
use super::readiness::Readiness;
use super::refusal::Refusal;
use super::router::text;

/// Answers probes and scrapes, independent of any connection.
#[derive(Clone, Debug)]
pub struct Health {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

impl Health {
    /// Answers from what the two hold at the time of each request.
    pub const fn new(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Self {
        Self { readiness, metrics }
    }

    /// Answers one request; the body, if any, is not looked at.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let answer: fn(&Self) -> Response<Full<Bytes>> = match path {
            "/healthz" => |_| text(StatusCode::OK, Cow::Borrowed("ok\n")),
            "/readyz" => Self::ready,
            "/metrics" => Self::scrape,
            _ => {
                let line = "not found; served here: GET /healthz, /readyz, /metrics\n";
                return text(StatusCode::NOT_FOUND, Cow::Borrowed(line));
            }
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let line = format!("method not allowed; served here: GET {path}\n");
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, Cow::Owned(line));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        answer(self)
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.readiness.check() {
            Ok(()) => text(StatusCode::OK, Cow::Borrowed("ready\n")),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, Cow::Owned(reason + "\n")),
        }
    }

    fn scrape(&self) -> Response<Full<Bytes>> {
        match self.metrics.encode() {
            Ok(body) => {
                let mut response = text(StatusCode::OK, Cow::Owned(body));
                let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                Cow::Borrowed("the metrics could not be written\n"),
            ),
        }
    }
}

impl Handler for Health {
    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.answer(&request)
    }

    /// What goes wrong with a probe shows in the probe; the refusals in the metrics are the webhook's.
    fn refused(&self, _: Refusal) {}
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn ask(health: &Health, method: Method, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(()).expect("a request");
        let response = health.answer(&request);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a full body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn probes_follow_the_life_of_the_server() {
        let readiness = Arc::new(Readiness::new());
        let health = Health::new(Arc::clone(&readiness), Arc::new(Metrics::new()));
        let starting = "starting: the webhook port is not served yet\n".to_owned();
        assert_eq!(ask(&health, Method::GET, "/readyz").await, (503, starting));
        readiness.serving();
        assert_eq!(ask(&health, Method::GET, "/readyz?verbose").await, (200, "ready\n".into()));
        assert_eq!(ask(&health, Method::HEAD, "/readyz").await.0, 200);
        readiness.drain();
        let draining = "draining: this replica is shutting down\n".to_owned();
        assert_eq!(ask(&health, Method::GET, "/readyz").await, (503, draining));
        assert_eq!(ask(&health, Method::GET, "/healthz").await, (200, "ok\n".into()));
        let (status, metrics) = ask(&health, Method::GET, "/metrics").await;
        assert!(status == 200 && metrics.ends_with("# EOF\n"), "{status}: {metrics}");
    }

    #[tokio::test]
    async fn what_is_not_served_is_refused_with_what_is() {
        let health = Health::new(Arc::default(), Arc::default());
        let not_found = "not found; served here: GET /healthz, /readyz, /metrics\n".to_owned();
        assert_eq!(ask(&health, Method::GET, "/").await, (404, not_found));
        let not_allowed = "method not allowed; served here: GET /healthz\n".to_owned();
        assert_eq!(ask(&health, Method::POST, "/healthz").await, (405, not_allowed));
    }
}
