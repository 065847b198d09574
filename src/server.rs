//! The webhook server: TLS, limits, health, metrics, certificate reload and shutdown around one
//! synchronous decision function.
//!
//! ```text
//! webhook port   accept -> TLS -> connection (time limits) -> router (size, load) -> Decide::answer
//! health port    accept --------> connection --------------> health (/healthz, /readyz, /metrics)
//! ```
//!
//! Nothing here is global to the process: two servers in one process do not know of each other.

mod accept;
pub mod announce;
mod body;
mod calendar;
mod connection;
mod health;
mod lifecycle;
pub mod live;
pub mod log;
pub mod metrics;
mod port;
mod readiness;
mod refusal;
mod reload;
mod router;
mod tls;
pub mod traces;
pub mod webhook;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::cluster::{Question, Reading};
pub use health::Health;
use lifecycle::Stage;
use live::{LiveReading, Unread};
pub use metrics::Metrics;
use port::{HealthPort, WebhookPort};
pub use readiness::Readiness;
use reload::Reload;
pub use router::Router;
pub(crate) use tls::Validity;
pub use tls::{ManagedPair, Pair, Pem, TlsError, TlsSource, TlsVersion};
pub use traces::{RequestSpan, Traces};
use webhook::{Answer, Endpoint};

/// What decides. Called on a worker thread of the runtime, for many requests at once: it must not block. A panic
/// is contained and answered with 500.
pub trait Decide: Send + Sync + 'static {
    /// Answers the review in `body`, or says what must be asked of the cluster first. What is to be known of the decision
    /// is written on `span`.
    fn answer(&self, endpoint: Endpoint, body: &[u8], span: &mut RequestSpan) -> Step;

    /// Asks the cluster.
    fn ask(&self, question: Question) -> LiveReading<'_> {
        let _ = question;
        Box::pin(async { Err(Unread("there is nobody to ask".to_owned())) })
    }

    /// Answers the same review in the light of what was told.
    fn conclude(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        told: Result<Reading, Unread>,
        span: &mut RequestSpan,
    ) -> Answer {
        let _ = told;
        match self.answer(endpoint, body, span) {
            Step::Answer(answer) => answer,
            Step::Ask(_) => Answer::text(500, "a question was asked twice"),
        }
    }
}

/// Where a decision is.
#[derive(Debug)]
pub enum Step {
    /// At its end.
    Answer(Answer),
    /// It needs to know this first.
    Ask(Question),
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// Everything that [`run`] needs besides the decision.
#[derive(Debug)]
pub struct ServerConfig {
    /// The bound webhook port, see [`listen`].
    pub webhook: TcpListener,
    /// The bound health port.
    pub health: TcpListener,
    /// The server's certificate.
    pub tls: TlsSource,
    /// Limits of load.
    pub limits: Limits,
    /// Limits of time.
    pub timeouts: Timeouts,
    /// What happens between the shutdown signal and the end.
    pub drain: Drain,
    /// Where the server counts.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` answers. The server adds its own conditions: that it runs, that its certificate is
    /// valid when it starts, and that it is not shutting down.
    pub readiness: Arc<Readiness>,
    /// Where requests leave spans; `None` where nobody asked for them. Whoever started them stops them, after the last
    /// request.
    pub traces: Option<Traces>,
}

/// Limits of load. What is beyond them is refused, not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request body in bytes, beyond it 413. The API server takes requests of 3 MiB itself, and a
    /// review carries the object twice on UPDATE.
    pub body_bytes: usize,
    /// Memory in bytes that the bodies of all requests in handling may take together, beyond it 429. A body
    /// of up to 64 KiB that comes in one piece is not counted; growing buffers may take twice what is.
    pub buffered_bytes: usize,
    /// Requests in handling, the arrival of their bodies included, beyond it 429.
    pub requests: usize,
    /// Connections that are served. Up to [`spare_connections`](Self::spare_connections) more are accepted
    /// and told so with 429; the next wait in the kernel's queue.
    pub connections: usize,
    /// See [`connections`](Self::connections).
    pub spare_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            buffered_bytes: 64 << 20,
            requests: 256,
            connections: 1024,
            spare_connections: 128,
        }
    }
}

/// Limits of time, each for one step of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the TCP connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From a header's first byte to its end, beyond it 408.
    pub header: Duration,
    /// From the end of the header to the end of the body, beyond it 408. The API server waits for an
    /// answer for some seconds only.
    pub body: Duration,
    /// How long an answer may take to be written once the client does not keep up with reading it.
    pub write: Duration,
    /// Between two requests, and before the first. Longer than the 90 s after which the API server closes
    /// an idle connection: the side that sends requests must be the one that closes first, else a request
    /// meets a closed connection and fails (Go's client does not repeat a POST).
    pub idle: Duration,
    /// How long the client gets to close a connection that the server has closed.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            body: Duration::from_secs(5),
            write: Duration::from_secs(10),
            idle: Duration::from_mins(3),
            linger: Duration::from_secs(2),
        }
    }
}

/// What happens between the shutdown signal and the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long the server goes on accepting and serving, while `/readyz` fails and each answer ends its
    /// connection: the time that endpoints and load balancers take to forget this replica.
    pub delay: Duration,
    /// How long requests in flight then get to finish, before they are cut.
    pub grace: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::from_secs(10), grace: Duration::from_secs(10) }
    }
}

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A port cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// A part of the server ended before it was told to, which is a fault in wavegate.
    #[error("the {part} ended unexpectedly; this is a fault in wavegate")]
    Ended {
        /// Which part.
        part: &'static str,
    },
}

/// Connections of the health port. Probes and one scraper need a handful.
const HEALTH_CONNECTIONS: usize = 64;

/// How long the health port gets for a probe in progress at the very end.
const HEALTH_GRACE: Duration = Duration::from_millis(200);

/// How long cut connections get to be gone.
const CUT_GRACE: Duration = Duration::from_millis(200);

/// What the kernel would never let a process have.
const MOST_CONNECTIONS: u32 = 1 << 24;

/// Binds a port; port 0 lets the operating system choose.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Serves until `shutdown` completes, then drains and returns. Dropping the future cuts every connection.
///
/// Must run in a tokio runtime with timers and I/O.
///
/// Fails where the certificate cannot be served at the start; later on a broken certificate file leaves
/// the last good one in place.
pub async fn run<D: Decide>(
    config: ServerConfig,
    decide: Arc<D>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let ServerConfig { webhook, health, tls, limits, timeouts, drain, metrics, readiness, traces } =
        config;
    let (reload, tls) = Reload::start(tls, Arc::clone(&metrics), Arc::clone(&readiness))?;
    let port = Arc::new(WebhookPort {
        router: Router::new(
            decide,
            limits,
            timeouts.body,
            Arc::clone(&metrics),
            Arc::clone(&readiness),
            traces,
        ),
        tls,
        timeouts,
        places: Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)),
    });
    let bound = limits.connections.saturating_add(limits.spare_connections);
    let mut webhook = Listening::start(webhook, bound, &metrics, move |stream, stages| {
        Arc::clone(&port).serve(stream, stages)
    });
    let probes =
        HealthPort { health: Health::new(Arc::clone(&readiness), Arc::clone(&metrics)), timeouts };
    let mut health =
        Listening::start(health, HEALTH_CONNECTIONS, &metrics, move |stream, stages| {
            probes.clone().serve(stream, stages)
        });
    readiness.serving();
    tokio::select! {
        () = shutdown => {}
        _ = &mut webhook.accepting => return Err(ServeError::Ended { part: "webhook port" }),
        _ = &mut health.accepting => return Err(ServeError::Ended { part: "health port" }),
        never = reload.follow() => match never {},
    }
    readiness.drain();
    tracing::info!(delay = ?drain.delay, grace = ?drain.grace, "draining");
    sleep(drain.delay).await;
    webhook.stop(drain.grace).await;
    health.stop(HEALTH_GRACE).await;
    tracing::info!("stopped");
    Ok(())
}

/// An accepting port. Dropping it cuts its connections.
struct Listening {
    stage: watch::Sender<Stage>,
    open: Arc<Semaphore>,
    bound: u32,
    accepting: JoinHandle<()>,
}

impl Listening {
    fn start<S, F>(listener: TcpListener, bound: usize, metrics: &Arc<Metrics>, serve: S) -> Self
    where
        S: Fn(TcpStream, watch::Receiver<Stage>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (stage, stages) = watch::channel(Stage::Serving);
        let bound = u32::try_from(bound).unwrap_or(u32::MAX).min(MOST_CONNECTIONS);
        let open = Arc::new(Semaphore::new(usize::try_from(bound).unwrap_or(0)));
        let accepting = tokio::spawn({
            let (open, metrics) = (Arc::clone(&open), Arc::clone(metrics));
            async move { accept::accept(listener, open, stages, &metrics, serve).await }
        });
        Self { stage, open, bound, accepting }
    }

    /// Accepts no more, and returns when the last connection has ended; after `grace` what is open is cut.
    async fn stop(self, grace: Duration) {
        let Self { stage, open, bound, accepting } = self;
        stage.send_replace(Stage::Stopping);
        let done = async {
            // Its end is what is waited for; how it ended makes no difference any more.
            let _ = accepting.await;
            let _ = open.acquire_many(bound).await;
        };
        if timeout(grace, done).await.is_err() {
            let connections =
                usize::try_from(bound).unwrap_or(0).saturating_sub(open.available_permits());
            tracing::warn!(connections, "cutting connections that did not end in time");
            stage.send_replace(Stage::Aborting);
            // Their tasks end with their next turn; a decision that blocks its thread is not waited for.
            let _ = timeout(CUT_GRACE, open.acquire_many(bound)).await;
        }
    }
}
