//! One HTTP/1.1 connection from its first byte to its end, under time limits.

mod activity;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::Timeouts;
use super::lifecycle::{Stage, next_stage};
use super::refusal::Refusal;
use activity::{Activity, Waiting, Watched};

/// Longest header. The API server's takes some hundred bytes; a longer one is answered with 431.
const HEADER_BYTES: usize = 32 * 1024;

/// Largest read buffer of a connection, and so the largest piece of a body that is not copied.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// How long a connection without any request so far is kept when the server stops accepting: its client
/// opened it for a request that is on its way.
const FIRST_REQUEST_PATIENCE: Duration = Duration::from_secs(1);

/// What is read and forgotten of a connection that the server closes, at most.
const LINGER_BYTES: usize = 64 << 20;

/// What answers the requests of a connection.
pub(super) trait Handler: Sync {
    /// Answers one request.
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// A request was refused before it could be handed over.
    fn refused(&self, refusal: Refusal);
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer closed it, or it broke.
    ByPeer,
    /// The server has closed its sending side. The peer may still be sending: see [`linger`].
    ByServer,
    /// Cut without a word.
    Cut,
}

/// Why the HTTP implementation was left.
enum Left {
    /// It ended the connection by its own rules.
    Done,
    /// It failed; nothing can be said to the peer any more, or everything has been said.
    Failed,
    /// The server refuses to wait on; the peer can still be told.
    Refused(Refusal),
    /// The peer does not read, or the server ends now.
    Cut,
}

/// Serves the connection to its end. `stages` tells of the server's end; a sender that is gone counts as
/// [`Stage::Aborting`].
pub(super) async fn serve<S, H>(
    stream: &mut S,
    handler: &H,
    timeouts: &Timeouts,
    stages: watch::Receiver<Stage>,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    let activity = Activity::new();
    match drive(stream, handler, timeouts, stages, &activity).await {
        Left::Done if activity.read_ended() => Ending::ByPeer,
        Left::Done => Ending::ByServer,
        Left::Failed => Ending::ByPeer,
        Left::Cut => Ending::Cut,
        Left::Refused(refusal) => {
            handler.refused(refusal);
            let answer = refusal.raw_response();
            let farewell = async {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            };
            match timeout(timeouts.write, farewell).await {
                Ok(Ok(())) if !activity.read_ended() => Ending::ByServer,
                _ => Ending::ByPeer,
            }
        }
    }
}

async fn drive<S, H>(
    stream: &mut S,
    handler: &H,
    timeouts: &Timeouts,
    mut stages: watch::Receiver<Stage>,
    activity: &Activity,
) -> Left
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    let service = service_fn(|request: Request<Incoming>| {
        activity.request_started();
        async move {
            let response = handler.handle(request).await;
            activity.answer_ready();
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Watched::new(stream, activity));
    let mut connection = pin!(http().serve_connection(io, service));
    let mut timer = pin!(sleep(timeouts.idle));
    let mut watch = Watch { activity, timeouts, armed: None, stopping: false, closing: false };
    stages.mark_changed();
    loop {
        // In this order: what the connection can do now comes before any limit on its waiting.
        let due = tokio::select! {
            biased;
            result = connection.as_mut() => return watch.left(result),
            stage = next_stage(&mut stages) => watch.stage(stage),
            () = watch.begun() => watch.arm(),
            () = timer.as_mut() => watch.expired(),
        };
        match due {
            Due::Later(None) => {}
            Due::Later(Some(deadline)) => timer.as_mut().reset(deadline),
            Due::Close => {
                watch.closing = true;
                connection.as_mut().graceful_shutdown();
                timer.as_mut().reset(Instant::now() + timeouts.write);
            }
            Due::LastAnswer => connection.as_mut().graceful_shutdown(),
            Due::Leave(left) => return left,
        }
    }
}

/// The HTTP settings. Its own header timeout is off, see [`activity`]; half-closed connections are served,
/// as a client may close its sending side after its last request and still read the answer.
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        .half_close(true)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(READ_BUFFER_BYTES);
    http
}

/// What follows from an event on the connection.
enum Due {
    /// Nothing, or a new deadline.
    Later(Option<Instant>),
    /// End the connection with the answer in progress.
    LastAnswer,
    /// End the idle connection.
    Close,
    /// Give the connection up now.
    Leave(Left),
}

/// The time limits of one connection. One timer serves them all: it is moved forward only when a shorter
/// limit begins, and otherwise finds out what it is due for when it fires. So a request that arrives
/// whole costs no timer operation.
struct Watch<'a> {
    activity: &'a Activity,
    timeouts: &'a Timeouts,
    /// The header or write, with the number of requests before it, that the timer is set for.
    armed: Option<(Waiting, u64)>,
    stopping: bool,
    closing: bool,
}

impl Watch<'_> {
    /// The wait that has a short limit of its own, if the connection is in one.
    fn short_wait(&self) -> Option<(Waiting, u64)> {
        match self.activity.waiting() {
            waiting @ (Waiting::Head | Waiting::Write) => Some((waiting, self.activity.answered())),
            Waiting::Idle | Waiting::Request => None,
        }
    }

    /// Completes when the timer must be looked at. Only ever polled after the connection, in its task, so
    /// it needs no waker of its own.
    fn begun(&self) -> impl Future<Output = ()> {
        poll_fn(|_| match self.short_wait() {
            now if self.closing || now == self.armed => Poll::Pending,
            _ => Poll::Ready(()),
        })
    }

    fn arm(&mut self) -> Due {
        self.armed = self.short_wait();
        let limit = match self.armed {
            Some((Waiting::Head, _)) => self.timeouts.header,
            Some(_) => self.timeouts.write,
            None => return Due::Later(None),
        };
        Due::Later(Some(Instant::now() + limit))
    }

    fn expired(&self) -> Due {
        if self.closing {
            return Due::Leave(Left::Cut);
        }
        let now = Instant::now();
        match self.activity.waiting() {
            Waiting::Idle => {
                let deadline = self.activity.idle_since() + self.timeouts.idle;
                if self.stopping || deadline <= now {
                    Due::Close
                } else {
                    Due::Later(Some(deadline))
                }
            }
            // The handler has a limit of its own for the body.
            Waiting::Request => Due::Later(Some(now + self.timeouts.idle)),
            Waiting::Head => {
                Due::Leave(Left::Refused(Refusal::HeaderTimeout(self.timeouts.header)))
            }
            Waiting::Write => Due::Leave(Left::Cut),
        }
    }

    /// A begun header is waited for: hyper takes such a connection for idle and would close it, so it is
    /// left alone. Its answer will say `Connection: close`, as each does from the drain on.
    fn stage(&mut self, stage: Stage) -> Due {
        match stage {
            Stage::Serving => Due::Later(None),
            Stage::Aborting => Due::Leave(Left::Cut),
            Stage::Stopping => {
                self.stopping = true;
                match self.activity.waiting() {
                    Waiting::Idle if self.activity.answered() > 0 => Due::Close,
                    Waiting::Idle => Due::Later(Some(Instant::now() + FIRST_REQUEST_PATIENCE)),
                    Waiting::Head => Due::Later(None),
                    Waiting::Request | Waiting::Write => Due::LastAnswer,
                }
            }
        }
    }

    fn left(&self, result: hyper::Result<()>) -> Left {
        match result {
            Ok(()) => Left::Done,
            // hyper has answered what it could not parse, and closed its side.
            Err(error) if error.is_parse() => Left::Done,
            Err(_) if self.activity.read_ended() && self.activity.waiting() == Waiting::Head => {
                Left::Refused(Refusal::HeaderTruncated)
            }
            Err(_) => Left::Failed,
        }
    }
}

/// Waits until the peer has closed its side too, reading and forgetting what it still sends. A socket that
/// is closed with unread data resets the connection, and the peer loses the answer that it was about to
/// read (RFC 9112 section 9.6).
pub(super) async fn linger<S: AsyncRead + Unpin>(stream: &mut S, time: Duration) {
    let forget = async {
        let mut scratch = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut scratch).await {
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Past the limit the peer has had its time.
    let _ = timeout(time, forget).await;
}
