//! What every probe works with.

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What a server says to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is ready; with what whoever reads the log should know.
    Ready(Option<String>),
    /// Not yet, because of this.
    Wait(String),
    /// No use in waiting, because of this.
    Useless(String),
    /// There is an error in the probe itself.
    Broken,
}

impl Answer {
    pub(super) const READY: Self = Self::Ready(None);
}

/// Why a probe had no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    /// The server does not speak this protocol.
    Foreign,
    /// The connection ended in the middle.
    Closed,
    /// The TLS handshake failed.
    Tls(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => f.write_str(&reason(error)),
            Self::Foreign => f.write_str("its answer is not of this protocol"),
            Self::Closed => f.write_str("it closed the connection"),
            Self::Tls(reason) => write!(f, "the TLS handshake failed: {reason}"),
        }
    }
}

/// A failure in few words, without the number that the standard library adds.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "it reset the connection".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "its network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "no answer to the connection attempt".to_owned(),
        _ => {
            let text = error.to_string();
            quoted(text.split(" (os error").next().unwrap_or_default().as_bytes())
        }
    }
}

/// Longest quotation in characters.
const QUOTATION: usize = 200;

/// What a server says, fit for one line of a log.
pub(super) fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(QUOTATION).collect::<String>().trim().to_owned()
}

/// A connection, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) async fn send(stream: &mut (impl Stream + ?Sized), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Reads that many bytes.
pub(super) async fn receive(
    stream: &mut (impl Stream + ?Sized),
    length: usize,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Reads up to this byte, which is left out, or up to so many bytes.
pub(super) async fn receive_until(
    stream: &mut (impl Stream + ?Sized),
    end: u8,
    most: usize,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while bytes.len() < most {
        match stream.read_u8().await? {
            byte if byte == end => break,
            byte => bytes.push(byte),
        }
    }
    Ok(bytes)
}
