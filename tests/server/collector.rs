//! A collector of traces: takes OTLP over HTTP, and keeps it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What came, as it came.
#[derive(Default)]
struct Received {
    requests: Vec<ExportTraceServiceRequest>,
    bytes: Vec<u8>,
    /// Heads of requests that were refused: not what a collector takes.
    refused: Vec<String>,
}

/// A collector on loopback. Its threads end with the process.
pub(crate) struct Collector {
    address: SocketAddr,
    scheme: &'static str,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"), None)
    }

    /// One that speaks TLS.
    pub(crate) fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"), Some(config))
    }

    pub(crate) fn on(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().expect("bound");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let received = Arc::new(Mutex::new(Received::default()));
        let keep = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (keep, tls) = (Arc::clone(&keep), tls.clone());
                // A client that breaks off is its own affair; what did not come is missed by the test.
                thread::spawn(move || match tls {
                    None => serve(stream, &keep),
                    Some(config) => {
                        let session = ServerConnection::new(config).map_err(io::Error::other)?;
                        serve(StreamOwned::new(session, stream), &keep)
                    }
                });
            }
        });
        Self { address, scheme, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received();
        assert_eq!(received.refused, Vec::<String>::new());
        let resources = received.requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|of| &of.scope_spans).flat_map(|of| of.spans.clone()).collect()
    }

    /// An attribute of whoever sent the last spans.
    pub(crate) fn sender(&self, key: &str) -> Option<String> {
        let received = self.received();
        let sender = received.requests.last()?.resource_spans.first()?.resource.as_ref()?;
        text_of(&sender.attributes, key)
    }

    /// Whether a text is anywhere in what came.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.received().bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// An attribute as text.
pub(crate) fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::BoolValue(value) => Some(value.to_string()),
        Value::IntValue(value) => Some(value.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

/// An identifier as it is written in a header.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A port where nobody listens.
pub(crate) fn closed() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()).expect("a port")
}

fn serve(mut stream: impl Read + Write, received: &Mutex<Received>) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut bytes)? else {
            return Ok(());
        };
        let taken = head.starts_with("post /v1/traces http/1.1\r\n")
            && head.contains("\r\ncontent-type: application/x-protobuf\r\n");
        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
        match ExportTraceServiceRequest::decode(&*body) {
            Ok(request) if taken => received.requests.push(request),
            _ => received.refused.push(head),
        }
        received.bytes.extend(body);
        drop(received);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        stream.flush()?;
    }
}

/// The next request's head, in lower case, and its body; none at the end of the connection.
fn request(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<Option<(String, Vec<u8>)>> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 4]).to_ascii_lowercase();
            let length = head.split("\r\ncontent-length: ").nth(1).and_then(|rest| {
                let (number, _) = rest.split_once('\r')?;
                number.parse::<usize>().ok()
            });
            let whole = end + 4 + length.ok_or(io::ErrorKind::InvalidData)?;
            if bytes.len() >= whole {
                let body = bytes[end + 4..whole].to_vec();
                bytes.drain(..whole);
                return Ok(Some((head, body)));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

/// A collector that takes connections and never answers.
pub(crate) fn hanging() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// A connection that has come to a collector that hangs.
pub(crate) fn called(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("a socket");
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_nonblocking(false).expect("a socket");
    stream
}
