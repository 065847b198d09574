//! The two ports: what happens on each connection.

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::{self, Ending, Handler, linger};
use super::health::Health;
use super::lifecycle::{Stage, reached};
use super::metrics::{HandshakeFailure, Metrics};
use super::refusal::Refusal;
use super::router::Router;
use super::tls::CurrentTls;
use super::{Decide, Timeouts};

/// What is read of a connection in one system call. rustls asks for 4 KiB at a time, and a review is
/// seldom that short.
const READ_AHEAD_BYTES: usize = 16 * 1024;

/// The webhook port: TLS, and the endpoints.
pub(super) struct WebhookPort<D> {
    pub(super) router: Router<D>,
    pub(super) tls: Arc<CurrentTls>,
    pub(super) timeouts: Timeouts,
    /// Places for connections that are answered. One without a place is told so.
    pub(super) places: Semaphore,
}

impl<D: Decide> WebhookPort<D> {
    /// Serves one connection to its end.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        mut stages: watch::Receiver<Stage>,
    ) {
        let _open = OpenConnection::new(self.router.metrics());
        let place = self.places.try_acquire().ok();
        let mut timeouts = self.timeouts;
        if place.is_none() {
            // One that is only waited for to be refused must not keep another from that.
            timeouts.idle = timeouts.idle.min(timeouts.header);
        }
        let session = Session { router: &self.router, over_limit: place.is_none() };
        let Some(mut stream) = until_aborting(&mut stages, self.handshake(stream)).await.flatten()
        else {
            return;
        };
        let ending = connection::serve(&mut stream, &session, &timeouts, stages.clone()).await;
        if ending == Ending::ByServer {
            let mut stream = stream.into_inner().0.into_inner();
            until_aborting(&mut stages, linger(&mut stream, timeouts.linger)).await;
        }
    }

    async fn handshake(&self, stream: TcpStream) -> Option<TlsStream<BufReader<TcpStream>>> {
        let Some(config) = self.tls.config() else {
            tracing::debug!("a connection is closed, since there is no certificate yet");
            self.router.metrics().handshake_failed(HandshakeFailure::Failed);
            return None;
        };
        let stream = BufReader::with_capacity(READ_AHEAD_BYTES, stream);
        let handshake = TlsAcceptor::from(config).accept(stream);
        let cause = match timeout(self.timeouts.handshake, handshake).await {
            Ok(Ok(stream)) => return Some(stream),
            // A TCP probe looks like this, every few seconds.
            Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                tracing::debug!(%error, "TLS handshake broken off");
                HandshakeFailure::Failed
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "TLS handshake failed");
                HandshakeFailure::Failed
            }
            Err(_) => HandshakeFailure::Timeout,
        };
        self.router.metrics().handshake_failed(cause);
        None
    }
}

/// The health port: plain HTTP, for probes and scrapes.
#[derive(Clone)]
pub(super) struct HealthPort {
    pub(super) health: Health,
    pub(super) timeouts: Timeouts,
}

impl HealthPort {
    /// Serves one connection to its end.
    pub(super) async fn serve(self, mut stream: TcpStream, mut stages: watch::Receiver<Stage>) {
        let ending =
            connection::serve(&mut stream, &self.health, &self.timeouts, stages.clone()).await;
        if ending == Ending::ByServer {
            until_aborting(&mut stages, linger(&mut stream, self.timeouts.linger)).await;
        }
    }
}

async fn until_aborting<T>(
    stages: &mut watch::Receiver<Stage>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = reached(stages, Stage::Aborting) => None,
    }
}

/// The router, as one connection sees it.
struct Session<'a, D> {
    router: &'a Router<D>,
    over_limit: bool,
}

impl<D: Decide> Handler for Session<'_, D> {
    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if self.over_limit {
            self.router.refuse_connection(request).await
        } else {
            self.router.handle(request).await
        }
    }

    fn refused(&self, refusal: Refusal) {
        self.router.metrics().refused(refusal.reason());
    }
}

/// Counts a connection for as long as it lives.
struct OpenConnection<'a>(&'a Metrics);

impl<'a> OpenConnection<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.connection_opened();
        Self(metrics)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}
