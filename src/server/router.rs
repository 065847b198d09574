//! From a request to its answer: the endpoints, and everything that is refused before a decision.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::body::{self, BodyError, Budget};
use super::live::Unread;
use super::metrics::Metrics;
use super::readiness::Readiness;
use super::refusal::Refusal;
use super::traces::{RequestSpan, Traces};
use super::webhook::{Answer, ContentType, Endpoint};
use super::{Decide, Limits, Step};
use crate::cluster::{Question, Reading};

/// What is read of a refused body, in multiples of the body limit, before the connection is given up.
const DISCARD_FACTOR: usize = 2;

/// Length in bytes of a body beyond which its decision may take so long that others must not wait for it: there is room
/// for hundreds of containers, or for scripts of thousands of commands.
const HEAVY: usize = 64 << 10;

/// Answers requests on the webhook port, independent of any connection.
#[derive(Debug)]
pub struct Router<D> {
    decide: Arc<D>,
    limits: Limits,
    body_timeout: Duration,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    budget: Budget,
    traces: Option<Traces>,
}

impl<D: Decide> Router<D> {
    /// `body_timeout` bounds the arrival of a body, from the end of the header on.
    pub fn new(
        decide: Arc<D>,
        limits: Limits,
        body_timeout: Duration,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        traces: Option<Traces>,
    ) -> Self {
        let budget = Budget::new(limits.buffered_bytes);
        Self { decide, limits, body_timeout, metrics, readiness, budget, traces }
    }

    /// Answers one request. Never fails: what cannot be decided is refused with a status and a line.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let started = Instant::now();
        let (head, mut body) = request.into_parts();
        let endpoint = Endpoint::from_path(head.uri.path());
        let mut span = self.span(&head, endpoint);
        let response = match self.decide(endpoint, &head, &mut body, &mut span).await {
            Ok(answer) => decided(answer),
            Err(refusal) => {
                span.refused(refusal.reason());
                self.refuse(refusal, &head.headers, &mut body).await
            }
        };
        self.finish(response, endpoint, span, started)
    }

    /// Refuses a request because its connection is one too many.
    pub(super) async fn refuse_connection<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let started = Instant::now();
        let (head, mut body) = request.into_parts();
        let endpoint = Endpoint::from_path(head.uri.path());
        let refusal = Refusal::TooManyConnections(self.limits.connections);
        let mut span = self.span(&head, endpoint);
        span.refused(refusal.reason());
        let response = self.refuse(refusal, &head.headers, &mut body).await;
        self.finish(response, endpoint, span, started)
    }

    fn span(&self, head: &Parts, endpoint: Option<Endpoint>) -> RequestSpan {
        match &self.traces {
            Some(traces) => traces.begin(head, endpoint),
            None => RequestSpan::default(),
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn finish(
        &self,
        mut response: Response<Full<Bytes>>,
        endpoint: Option<Endpoint>,
        span: RequestSpan,
        started: Instant,
    ) -> Response<Full<Bytes>> {
        if self.readiness.is_draining() {
            // A client that keeps its connection would go on using a replica that is about to end.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        span.answered(response.status());
        self.metrics.answered(endpoint, response.status(), started.elapsed());
        response
    }

    async fn decide<B>(
        &self,
        endpoint: Option<Endpoint>,
        head: &Parts,
        body: &mut B,
        span: &mut RequestSpan,
    ) -> Result<Answer, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let endpoint = endpoint.ok_or(Refusal::NotFound)?;
        if head.method != Method::POST {
            return Err(Refusal::MethodNotAllowed(endpoint));
        }
        if !is_json(&head.headers) {
            return Err(Refusal::UnsupportedMediaType);
        }
        let _in_flight = self.admit()?;
        let limits = &self.limits;
        let body = body::read(body, limits.body_bytes, self.body_timeout, &self.budget)
            .await
            .map_err(|error| match error {
                BodyError::TooLarge => Refusal::BodyTooLarge(limits.body_bytes),
                BodyError::Timeout => Refusal::BodyTimeout(self.body_timeout),
                BodyError::Truncated => Refusal::BodyTruncated,
                BodyError::NoMemory => Refusal::TooManyBytes(limits.buffered_bytes),
            })?;
        let answer = || aside(&body, || self.decide.answer(endpoint, &body, span));
        match self.contain(endpoint, answer)? {
            Step::Answer(answer) => Ok(answer),
            Step::Ask(question) => {
                let told = self.ask(question, span).await;
                let conclude = || self.decide.conclude(endpoint, &body, told, span);
                self.contain(endpoint, || aside(&body, conclude))
            }
        }
    }

    async fn ask(&self, question: Question, span: &RequestSpan) -> Result<Reading, Unread> {
        let mut reading = span.reading();
        let told = self.decide.ask(question).await;
        if told.is_err() {
            reading.failed("unread", "the API server did not tell");
        }
        told
    }

    /// Contains a panic. The decision works on values that it makes for this request; what it shares, it shares
    /// behind locks that survive a panic. So nothing half-changed is seen afterwards.
    fn contain<T>(&self, endpoint: Endpoint, step: impl FnOnce() -> T) -> Result<T, Refusal> {
        catch_unwind(AssertUnwindSafe(step)).map_err(|_payload| {
            // The payload may quote the request.
            tracing::error!(endpoint = endpoint.path(), "a decision panicked; answered with 500");
            self.metrics.panicked();
            Refusal::Panicked
        })
    }

    fn admit(&self) -> Result<InFlight<'_>, Refusal> {
        let others = self.metrics.request_started();
        let in_flight = InFlight { metrics: &self.metrics };
        if others >= self.limits.requests {
            return Err(Refusal::Busy(self.limits.requests));
        }
        Ok(in_flight)
    }

    async fn refuse<B>(
        &self,
        refusal: Refusal,
        headers: &HeaderMap,
        body: &mut B,
    ) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        self.metrics.refused(refusal.reason());
        // A client that asks before it sends has sent nothing yet; reading would invite it to.
        let close = refusal.ends_connection()
            || (headers.contains_key(EXPECT) && !body.is_end_stream())
            || !body::discard(
                body,
                self.limits.body_bytes.saturating_mul(DISCARD_FACTOR),
                self.body_timeout,
            )
            .await;
        refused(refusal, close)
    }
}

/// Takes a step about this body. Where it may take long, another thread goes on with the requests of this one.
fn aside<T>(body: &[u8], step: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    if body.len() > HEAVY && matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        block_in_place(step)
    } else {
        step()
    }
}

/// A request in handling.
struct InFlight<'a> {
    metrics: &'a Metrics,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.request_ended();
    }
}

fn decided(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = match answer.content_type {
        ContentType::Json => "application/json",
        ContentType::Text => "text/plain; charset=utf-8",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refused(refusal: Refusal, close: bool) -> Response<Full<Bytes>> {
    let mut response = text(refusal.status(), refusal.line());
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    if let Some(methods) = refusal.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A plain-text answer.
pub(super) fn text(status: StatusCode, line: Cow<'static, str>) -> Response<Full<Bytes>> {
    let body = match line {
        Cow::Borrowed(line) => Bytes::from_static(line.as_bytes()),
        Cow::Owned(line) => Bytes::from(line),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Whether the content type is JSON, with or without parameters such as a charset.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or(value);
        media_type.trim().eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use http_body_util::BodyExt as _;

    use super::*;

    /// Answers with the length of the body.
    struct Length;

    impl Decide for Length {
        fn answer(&self, _: Endpoint, body: &[u8], _: &mut RequestSpan) -> Step {
            let body = body.len().to_string().into_bytes();
            Answer { status: 200, content_type: ContentType::Json, body }.into()
        }
    }

    fn router(readiness: &Arc<Readiness>) -> Router<Length> {
        let limits = Limits { body_bytes: 4, ..Limits::default() };
        let readiness = Arc::clone(readiness);
        let second = Duration::from_secs(1);
        Router::new(Arc::new(Length), limits, second, Arc::default(), readiness, None)
    }

    fn request(method: Method, path: &str, body: &'static str) -> Request<Full<Bytes>> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .expect("a request")
    }

    #[tokio::test]
    async fn it_answers_without_a_connection() {
        let router = router(&Arc::default());
        let cases = [
            (Method::POST, "/mutate?timeout=2s", "1234", 200, "4"),
            (Method::POST, "/mutate", "", 200, "0"),
            (
                Method::POST,
                "/mutate",
                "12345",
                413,
                "the body is larger than the limit of 4 bytes\n",
            ),
            (Method::GET, "/mutate", "", 405, "method not allowed; served here: POST /mutate\n"),
        ];
        for (method, path, body, status, wanted) in cases {
            let response = router.handle(request(method, path, body)).await;
            assert_eq!(response.status(), status, "{path} {body}");
            let got = response.into_body().collect().await.expect("a full body").to_bytes();
            assert_eq!(got, wanted, "{path} {body}");
        }
    }

    /// Decides about a heavy body only when it has decided about a light one.
    struct LightFirst(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

    impl Decide for LightFirst {
        fn answer(&self, _: Endpoint, body: &[u8], _: &mut RequestSpan) -> Step {
            let in_order = if body.len() > HEAVY {
                self.1.lock().unwrap().recv_timeout(Duration::from_secs(30)).is_ok()
            } else {
                self.0.send(()).is_ok()
            };
            let status = if in_order { 200 } else { 500 };
            Answer { status, content_type: ContentType::Json, body: Vec::new() }.into()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn nobody_waits_for_a_heavy_decision() {
        let (decided, light) = mpsc::channel();
        let decide = Arc::new(LightFirst(decided, Mutex::new(light)));
        let (limits, bound) = (Limits::default(), Duration::from_secs(1));
        let router = Router::new(decide, limits, bound, Arc::default(), Arc::default(), None);
        let router = Arc::new(router);
        let bodies = [HEAVY + 1, 1].map(|length| " ".repeat(length).leak());
        let handled = bodies.map(|body| {
            let router = Arc::clone(&router);
            tokio::spawn(async move { router.handle(request(Method::POST, "/mutate", body)).await })
        });
        for response in handled {
            assert_eq!(response.await.unwrap().status(), 200);
        }
    }

    #[tokio::test]
    async fn every_answer_ends_its_connection_while_the_server_drains() {
        let readiness = Arc::new(Readiness::new());
        let router = router(&readiness);
        for (draining, wanted) in [(false, None), (true, Some("close"))] {
            if draining {
                readiness.drain();
            }
            for path in ["/mutate", "/nowhere"] {
                let response = router.handle(request(Method::POST, path, "{}")).await;
                let connection = response.headers().get(CONNECTION);
                let connection = connection.and_then(|value| value.to_str().ok());
                assert_eq!(connection, wanted, "{path}");
            }
        }
    }
}
