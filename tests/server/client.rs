//! A load client: one body, posted over and over on kept-alive HTTP/1.1 connections over TLS, as the API
//! server does. It is bounded in requests and in time, and stops by itself.
//!
//! The loop is closed: each connection sends its next request when the last one is answered. So with many
//! connections latency measures the queue, and throughput measures the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No answer takes this long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to send, how often, and to whom.
#[derive(Clone)]
pub(crate) struct LoadClient {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// TLS settings, see [`trusting`].
    pub(crate) tls: Arc<ClientConfig>,
    /// The name that the certificate must speak for.
    pub(crate) server_name: String,
    /// Path and query.
    pub(crate) path: String,
    /// The body of every request.
    pub(crate) body: Vec<u8>,
    /// Connections, each with one request at a time.
    pub(crate) connections: usize,
    /// Requests on all connections together.
    pub(crate) requests: usize,
    /// No request is begun after this time.
    pub(crate) at_most: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct LoadReport {
    /// Requests answered with 200.
    pub(crate) succeeded: usize,
    /// What went wrong with each of the others.
    pub(crate) failures: Vec<String>,
    /// Connections opened: more than asked for where the server ended some.
    pub(crate) connections: usize,
    /// From the first request to the last answer, connections included.
    pub(crate) elapsed: Duration,
    latencies: Vec<Duration>,
}

impl LoadReport {
    /// Successful requests per second.
    pub(crate) fn throughput(&self) -> f64 {
        f64::from(u32::try_from(self.succeeded).unwrap_or(u32::MAX)) / self.elapsed.as_secs_f64()
    }

    /// The latency that so many per mille of the successful requests did not exceed; zero without any.
    pub(crate) fn latency(&self, per_mille: usize) -> Duration {
        let rank = (self.latencies.len() * per_mille.min(1000)).div_ceil(1000);
        self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn merge(&mut self, other: Self) {
        self.succeeded += other.succeeded;
        self.failures.extend(other.failures);
        self.connections += other.connections;
        self.latencies.extend(other.latencies);
    }
}

impl LoadClient {
    /// Sends all requests, or those begun before `stop` was set. Must run in a tokio runtime.
    pub(crate) async fn run(&self, stop: &Arc<AtomicBool>) -> LoadReport {
        let started = Instant::now();
        let begun = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..self.connections)
            .map(|_| {
                let (client, begun, stop) = (self.clone(), Arc::clone(&begun), Arc::clone(stop));
                tokio::spawn(async move { client.work(started, &begun, &stop).await })
            })
            .collect();
        let mut report = LoadReport::default();
        for worker in workers {
            match worker.await {
                Ok(part) => report.merge(part),
                Err(error) => report.failures.push(format!("the client itself failed: {error}")),
            }
        }
        report.elapsed = started.elapsed();
        report.latencies.sort_unstable();
        report
    }

    async fn work(&self, started: Instant, begun: &AtomicUsize, stop: &AtomicBool) -> LoadReport {
        let request = post(&self.path, &self.server_name, &self.body);
        let mut report = LoadReport::default();
        let mut open = None;
        while !stop.load(Ordering::Relaxed)
            && started.elapsed() < self.at_most
            && begun.fetch_add(1, Ordering::Relaxed) < self.requests
        {
            let sent = Instant::now();
            match self.request(open.take(), &request, &mut report).await {
                Ok(connection) => {
                    report.latencies.push(sent.elapsed());
                    report.succeeded += 1;
                    open = connection;
                }
                Err(error) => report.failures.push(error.to_string()),
            }
        }
        if let Some(mut connection) = open {
            connection.close().await;
        }
        report
    }

    /// Sends one request, on a new connection where there is none. Returns the connection if the server
    /// keeps it.
    async fn request(
        &self,
        open: Option<Connection>,
        request: &[u8],
        report: &mut LoadReport,
    ) -> io::Result<Option<Connection>> {
        let mut connection = if let Some(connection) = open {
            connection
        } else {
            report.connections += 1;
            Connection::open(self.address, &self.server_name, &self.tls).await?
        };
        connection.send(request).await?;
        let reply = connection.reply().await?;
        if reply.status != 200 {
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            return Err(io::Error::other(format!("status {}: {body}", reply.status)));
        }
        Ok((!reply.closes()).then_some(connection))
    }
}

/// A POST of `body` as JSON.
pub(crate) fn post(path: &str, host: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, */*\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// TLS settings of a client that trusts these PEM certificates, and speaks TLS 1.3.
pub(crate) fn trusting(certificates: &[&str]) -> Arc<ClientConfig> {
    trusting_with(certificates, &[&version::TLS13])
}

/// The same with other protocol versions.
pub(crate) fn trusting_with(
    certificates: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("the provider speaks both versions")
        .with_root_certificates(roots(certificates))
        .with_no_client_auth();
    Arc::new(config)
}

/// A store of these PEM certificates.
pub(crate) fn roots(certificates: &[&str]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for pem in certificates {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        roots.add(certificate).expect("a CA certificate");
    }
    roots
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Status line and header lines, in lower case.
    pub(crate) head: String,
    /// The body, by its declared length.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's value; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (have, value) = line.split_once(':')?;
            (have == name).then(|| value.trim())
        })
    }

    /// Whether the server ends the connection with this answer.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// One connection, and what was received on it but not yet asked for.
pub(crate) struct Connection {
    /// The stream, for what the methods do not cover.
    pub(crate) stream: TlsStream<TcpStream>,
    received: Vec<u8>,
}

impl Connection {
    /// Connects, TLS included.
    pub(crate) async fn open(
        address: SocketAddr,
        server_name: &str,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(Arc::clone(tls)).connect(name, stream).await
        };
        let stream = bounded(connect).await?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    /// Writes bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        bounded(async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Reads one answer.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        bounded(self.read_reply()).await
    }

    /// Closes the sending side; the server can still answer.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        bounded(self.stream.shutdown()).await
    }

    /// Closes both sides.
    pub(crate) async fn close(&mut self) {
        // The server may have been first.
        let _ = self.finish().await;
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.received.is_empty()
            && match bounded(self.stream.read_buf(&mut self.received)).await {
                Ok(read) => read == 0,
                Err(error) => error.kind() != io::ErrorKind::TimedOut,
            }
    }

    async fn read_reply(&mut self) -> io::Result<Reply> {
        let (head_end, body_end) = loop {
            if let Some(ends) = ends(&self.received)?
                && self.received.len() >= ends.1
            {
                break ends;
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                let text = String::from_utf8_lossy(&self.received);
                let message = format!("closed before the answer was complete: {text:?}");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
        };
        let head = String::from_utf8_lossy(&self.received[..head_end]).to_ascii_lowercase();
        let body = self.received[head_end..body_end].to_vec();
        self.received.drain(..body_end);
        Ok(Reply { status: status(&head)?, head, body })
    }
}

/// Where the header and the body of the answer end that `bytes` begin with; none while the header is
/// incomplete.
fn ends(bytes: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
    else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let length = match head.lines().find_map(|line| line.strip_prefix("content-length:")) {
        Some(length) => length.trim().parse().map_err(io::Error::other)?,
        None if status(&head)? == 100 => 0,
        None => return Err(io::Error::other(format!("no length in {head:?}"))),
    };
    Ok(Some((head_end, head_end + length)))
}

fn status(head: &str) -> io::Result<u16> {
    head.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no status in {head:?}")))
}

async fn bounded<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
