//! What a connection is doing, seen from outside of the HTTP implementation.
//!
//! hyper's own `header_read_timeout` starts when the previous answer is done, not when the first byte of
//! the next header comes, so it cuts idle keep-alive connections (after 30 s by default, where hyper has a timer). A server
//! that cuts an idle connection just as the client writes makes that request fail, and Go's client does
//! not repeat a POST. So the time limits here are this module's: idle connections may outlive the API
//! server's own limit of 90 s, while a begun header must go on.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The first byte of a request.
    Idle,
    /// The rest of a header.
    Head,
    /// The answer to a request whose header is complete, or its body.
    Request,
    /// The peer to read what was written.
    Write,
}

/// Shared by the three that see a part of it: the stream, the handler and the timer. They run in one task;
/// the atomics order nothing and only satisfy the compiler that the task may move between threads.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    phase: AtomicU8,
    write_stalled: AtomicBool,
    read_ended: AtomicBool,
    answered: AtomicU64,
    idle_since: AtomicU64,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const REQUEST: u8 = 2;

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(IDLE),
            write_stalled: AtomicBool::new(false),
            read_ended: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
        }
    }

    pub(super) fn waiting(&self) -> Waiting {
        if self.write_stalled.load(Ordering::Relaxed) {
            return Waiting::Write;
        }
        match self.phase.load(Ordering::Relaxed) {
            IDLE => Waiting::Idle,
            HEAD => Waiting::Head,
            _ => Waiting::Request,
        }
    }

    /// Requests answered so far.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// When the last answer was ready, or the connection opened.
    pub(super) fn idle_since(&self) -> Instant {
        self.opened + Duration::from_millis(self.idle_since.load(Ordering::Relaxed))
    }

    /// Whether the peer has closed its side.
    pub(super) fn read_ended(&self) -> bool {
        self.read_ended.load(Ordering::Relaxed)
    }

    pub(super) fn request_started(&self) {
        self.phase.store(REQUEST, Ordering::Relaxed);
    }

    pub(super) fn answer_ready(&self) {
        let idle = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.store(idle, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.phase.store(IDLE, Ordering::Relaxed);
    }

    fn received(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.phase.store(HEAD, Ordering::Relaxed);
        }
    }
}

/// A stream that reports to an [`Activity`].
#[derive(Debug)]
pub(super) struct Watched<'a, S> {
    stream: S,
    activity: &'a Activity,
}

impl<'a, S> Watched<'a, S> {
    pub(super) const fn new(stream: S, activity: &'a Activity) -> Self {
        Self { stream, activity }
    }

    fn written<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.activity.write_stalled.store(poll.is_pending(), Ordering::Relaxed);
        poll
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &poll {
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.activity.received(),
            Poll::Ready(_) => self.activity.read_ended.store(true, Ordering::Relaxed),
            Poll::Pending => {}
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(poll)
    }
}
