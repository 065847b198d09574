//! Requests that never reach the decision: status, one line of text, and a label for the metric.

use std::borrow::Cow;
use std::time::Duration;

use hyper::StatusCode;

use super::metrics::RefusalReason;
use super::webhook::Endpoint;

/// Why a request is not decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No endpoint has this path.
    NotFound,
    /// The path is an endpoint, the method is not POST.
    MethodNotAllowed(Endpoint),
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is longer than this many bytes.
    BodyTooLarge(usize),
    /// The body did not arrive within this time.
    BodyTimeout(Duration),
    /// The body ended before its declared length, or its framing is broken.
    BodyTruncated,
    /// The header did not arrive within this time.
    HeaderTimeout(Duration),
    /// The connection's reading side ended inside a header.
    HeaderTruncated,
    /// This many requests are in handling.
    Busy(usize),
    /// This many connections are open.
    TooManyConnections(usize),
    /// Bodies in handling take this many bytes together.
    TooManyBytes(usize),
    /// The decision panicked.
    Panicked,
}

/// Seconds after which a client that met a limit may come again. The API server honours it within the
/// webhook's timeout; without it a 429 fails the admission request at once.
pub(super) const RETRY_AFTER: &str = "1";

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout(_) | Self::HeaderTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTruncated | Self::HeaderTruncated => StatusCode::BAD_REQUEST,
            Self::Busy(_) | Self::TooManyConnections(_) | Self::TooManyBytes(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) const fn reason(self) -> RefusalReason {
        match self {
            Self::NotFound => RefusalReason::NotFound,
            Self::MethodNotAllowed(_) => RefusalReason::MethodNotAllowed,
            Self::UnsupportedMediaType => RefusalReason::UnsupportedMediaType,
            Self::BodyTooLarge(_) => RefusalReason::BodyTooLarge,
            Self::BodyTimeout(_) => RefusalReason::BodyTimeout,
            Self::BodyTruncated => RefusalReason::BodyTruncated,
            Self::HeaderTimeout(_) => RefusalReason::HeaderTimeout,
            Self::HeaderTruncated => RefusalReason::HeaderTruncated,
            Self::Busy(_) => RefusalReason::Concurrency,
            Self::TooManyConnections(_) => RefusalReason::Connections,
            Self::TooManyBytes(_) => RefusalReason::BodyMemory,
            Self::Panicked => RefusalReason::Panic,
        }
    }

    /// Whether the client may send the same request again soon.
    pub(super) const fn retry_after(self) -> Option<&'static str> {
        match self {
            Self::Busy(_) | Self::TooManyConnections(_) | Self::TooManyBytes(_) => {
                Some(RETRY_AFTER)
            }
            _ => None,
        }
    }

    /// The `Allow` header of a 405.
    pub(super) const fn allow(self) -> Option<&'static str> {
        match self {
            Self::MethodNotAllowed(_) => Some("POST"),
            _ => None,
        }
    }

    /// Whether the connection ends with this answer, whatever became of the body.
    pub(super) const fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::TooManyConnections(_)
                | Self::BodyTimeout(_)
                | Self::BodyTruncated
                | Self::HeaderTimeout(_)
                | Self::HeaderTruncated
        )
    }

    /// One line, with its line break.
    pub(super) fn line(self) -> Cow<'static, str> {
        match self {
            Self::NotFound => {
                let paths = Endpoint::ALL.map(Endpoint::path).join(", ");
                format!("not found; served here: POST {paths}\n").into()
            }
            Self::MethodNotAllowed(endpoint) => {
                format!("method not allowed; served here: POST {}\n", endpoint.path()).into()
            }
            Self::UnsupportedMediaType => {
                "the body must be an AdmissionReview with Content-Type: application/json\n".into()
            }
            Self::BodyTooLarge(limit) => {
                format!("the body is larger than the limit of {}\n", Bytes(limit)).into()
            }
            Self::BodyTimeout(limit) => {
                format!("the body did not arrive within {limit:?}\n").into()
            }
            Self::BodyTruncated => {
                "the body ended early: its framing is broken or bytes are missing\n".into()
            }
            Self::HeaderTimeout(limit) => {
                format!("the header did not arrive within {limit:?}\n").into()
            }
            Self::HeaderTruncated => "the request ended inside its header\n".into(),
            Self::Busy(limit) => {
                format!("busy: {limit} requests are in handling; retry in {RETRY_AFTER} s\n").into()
            }
            Self::TooManyConnections(limit) => {
                format!("busy: {limit} connections are open; retry in {RETRY_AFTER} s\n").into()
            }
            Self::TooManyBytes(limit) => {
                let limit = Bytes(limit);
                format!("busy: bodies in handling fill {limit}; retry in {RETRY_AFTER} s\n").into()
            }
            Self::Panicked => {
                "wavegate failed on this request; the fault is not yours, see wavegate's log\n"
                    .into()
            }
        }
    }

    /// The whole answer as it goes over the wire, for a connection on which the HTTP implementation can
    /// no longer answer by itself.
    pub(super) fn raw_response(self) -> String {
        let line = self.line();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             connection: close\r\ncontent-length: {length}\r\n\r\n{line}",
            status = self.status(),
            length = line.len(),
        )
    }
}

/// A number of bytes as people write limits.
struct Bytes(usize);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MEBI: usize = 1 << 20;
        const KIBI: usize = 1 << 10;
        match self.0 {
            bytes if bytes >= MEBI && bytes.is_multiple_of(MEBI) => {
                write!(f, "{} MiB", bytes / MEBI)
            }
            bytes if bytes >= KIBI && bytes.is_multiple_of(KIBI) => {
                write!(f, "{} KiB", bytes / KIBI)
            }
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_one_line_that_says_something() {
        for refusal in [
            Refusal::NotFound,
            Refusal::MethodNotAllowed(Endpoint::MutateWarn),
            Refusal::UnsupportedMediaType,
            Refusal::BodyTooLarge(8 << 20),
            Refusal::BodyTimeout(Duration::from_millis(2500)),
            Refusal::BodyTruncated,
            Refusal::HeaderTimeout(Duration::from_secs(10)),
            Refusal::HeaderTruncated,
            Refusal::Busy(256),
            Refusal::TooManyConnections(1024),
            Refusal::TooManyBytes(64 << 20),
            Refusal::Panicked,
        ] {
            let line = refusal.line();
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
            let raw = refusal.raw_response();
            assert!(raw.ends_with(&format!("content-length: {}\r\n\r\n{line}", line.len())));
            let retry = refusal.status() == StatusCode::TOO_MANY_REQUESTS;
            assert_eq!(refusal.retry_after().is_some(), retry, "{refusal:?}");
        }
    }

    #[test]
    fn limits_are_named_in_a_unit_people_read() {
        for (bytes, text) in [(8 << 20, "8 MiB"), (64 << 10, "64 KiB"), (100, "100 bytes")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Bytes((1 << 20) + 1).to_string(), "1048577 bytes", "rounding would lie");
    }
}
