//! A server in this process, on ports of its own, and what the tests ask of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wavegate::certs::{Issued, Validity, issue};
use wavegate::server::traces::{Collector, Traces};
use wavegate::server::webhook::{Answer, ContentType, Endpoint};
use wavegate::server::{
    Decide, Drain, Limits, Metrics, Readiness, RequestSpan, ServeError, ServerConfig, Step,
    Timeouts, TlsSource, listen, run,
};

use crate::client::{Connection, Reply, post, trusting};

/// The name in the certificates.
pub(crate) const NAME: &str = "wavegate.wavegate.svc";

/// Decides as its function does.
pub(crate) struct Scripted<F>(pub(crate) F);

impl<F: Fn(Endpoint, &[u8]) -> Answer + Send + Sync + 'static> Decide for Scripted<F> {
    fn answer(&self, endpoint: Endpoint, body: &[u8], _: &mut RequestSpan) -> Step {
        (self.0)(endpoint, body).into()
    }
}

/// Answers with the path and the length of the body.
pub(crate) fn echo(endpoint: Endpoint, body: &[u8]) -> Answer {
    let body = format!("{} {}", endpoint.path(), body.len()).into_bytes();
    Answer { status: 200, content_type: ContentType::Json, body }
}

/// What differs from test to test.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) drain: Drain,
    pub(crate) tls: Option<TlsSource>,
    pub(crate) collector: Option<Collector>,
}

/// Long enough for any step on a busy machine, short enough to fail a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) health: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    /// The certificates, where the setting brought none.
    pub(crate) issued: Issued,
    traces: Option<Traces>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
    _files: tempfile::TempDir,
}

/// A certificate for [`NAME`], valid now.
pub(crate) fn certificates() -> Issued {
    certificates_of(SystemTime::now())
}

/// The same, issued at another time for a day.
pub(crate) fn certificates_of(issued: SystemTime) -> Issued {
    let names = [NAME.parse().expect("a name")];
    issue(&names, Validity::from_days(1).expect("a day"), issued).expect("certificates")
}

/// Where [`Issued::write`] puts the files.
pub(crate) fn source(directory: &Path) -> TlsSource {
    let mut source = TlsSource::new(directory.join("tls.crt"), directory.join("tls.key"));
    source.poll = Duration::from_millis(10);
    source
}

impl Server {
    pub(crate) async fn start(setting: Setting) -> Self {
        Self::start_with(setting, Scripted(echo)).await
    }

    pub(crate) async fn start_with<D: Decide>(setting: Setting, decide: D) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let directory = files.path();
        let issued = certificates();
        let tls = setting.tls.unwrap_or_else(|| {
            issued.write(directory, false).expect("files");
            source(directory)
        });
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let webhook = listen(any_port).await.expect("a port");
        let health = listen(any_port).await.expect("a port");
        let (address, health_address) =
            (webhook.local_addr().expect("bound"), health.local_addr().expect("bound"));
        let (metrics, readiness) = (Arc::new(Metrics::new()), Arc::new(Readiness::new()));
        let traces = setting
            .collector
            .map(|collector| Traces::start(&collector, &metrics).expect("settings that can be"));
        let config = ServerConfig {
            webhook,
            health,
            tls,
            limits: setting.limits,
            timeouts: setting.timeouts,
            drain: setting.drain,
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            traces: traces.clone(),
        };
        let (shutdown, told) = oneshot::channel();
        let told = async {
            // A sender that is gone shuts down too.
            let _ = told.await;
        };
        let task = tokio::spawn(run(config, Arc::new(decide), told));
        let started = async || {
            let starting = readiness.check().is_err_and(|reason| reason.starts_with("starting"));
            !starting || task.is_finished()
        };
        assert!(eventually(started).await);
        Self {
            address,
            health: health_address,
            metrics,
            readiness,
            issued,
            traces,
            shutdown: Some(shutdown),
            task,
            _files: files,
        }
    }

    /// TLS settings that trust the server's certificate.
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        trusting(&[&self.issued.ca])
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address, NAME, &self.tls()).await.expect("a connection")
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &[u8]) -> Reply {
        let mut connection = self.connect().await;
        connection.send(request).await.expect("sent");
        connection.reply().await.expect("an answer")
    }

    /// Whether the server answers, as it should.
    pub(crate) async fn serves(&self) -> bool {
        let reply = self.ask(&post("/validate/enforce", NAME, b"{}")).await;
        reply.status == 200 && reply.body == b"/validate/enforce 2"
    }

    /// Status and body of a path on the health port.
    pub(crate) async fn probe(&self, path: &str) -> std::io::Result<(u16, String)> {
        probe(self.health, path).await
    }

    /// The value of a metric's line, by the line's beginning.
    pub(crate) fn metric(&self, series: &str) -> i64 {
        let text = self.metrics.encode().expect("metrics");
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no {series} in\n{text}"))
    }

    /// Waits until a metric has a value.
    pub(crate) async fn metric_becomes(&self, series: &str, value: i64) {
        let reached = eventually(async || self.metric(series) == value).await;
        assert!(reached, "{series} is {}, not {value}", self.metric(series));
    }

    /// Sends the shutdown signal.
    pub(crate) fn signal(&mut self) {
        self.shutdown.take().expect("one signal").send(()).expect("a running server");
    }

    /// Delivers the spans of what was asked so far, and no later ones.
    pub(crate) async fn stop_traces(&self) {
        self.traces.as_ref().expect("a collector").stop().await;
    }

    /// Drops the server's future.
    pub(crate) fn abort(self) {
        self.task.abort();
    }

    /// Waits for the server's end.
    pub(crate) async fn ended(self) -> Result<(), ServeError> {
        let ended = timeout(PATIENCE, self.task).await.expect("an end in time");
        ended.expect("no panic")
    }
}

pub(crate) async fn probe(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or_else(|| std::io::Error::other(format!("no answer: {answer:?}")))
}

/// Looks until `condition` holds, or patience ends; returns whether it held.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) -> bool {
    let look = async {
        while !condition().await {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, look).await.is_ok()
}
