//! Reading a request's body within bounds of size, time and total memory.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes};
use tokio::time::timeout;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Longer than the limit, declared or received.
    TooLarge,
    /// Not complete within the time.
    Timeout,
    /// Ended before its declared length, or broken framing.
    Truncated,
    /// All bodies in handling together reached the [`Budget`].
    NoMemory,
}

/// A whole body.
#[derive(Debug)]
pub(super) enum Collected<'a> {
    /// It came in one piece and is the connection's own buffer, not copied. Such a piece is no longer than
    /// that buffer, and is not charged.
    Whole(Bytes),
    /// Pieces, joined.
    Joined { bytes: Vec<u8>, _charge: Charge<'a> },
}

impl Deref for Collected<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined { bytes, .. } => bytes,
        }
    }
}

/// Memory that all bodies in handling may take together, so that a few hundred large requests at once
/// cannot take the process past its container's limit. Counted as bytes arrive, not as they are
/// declared: a client that declares much and sends little blocks nobody.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) const fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    const fn charge(&self) -> Charge<'_> {
        Charge { budget: self, bytes: 0 }
    }
}

/// One body's part of the [`Budget`], given back on drop.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Charge<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        let before = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before.saturating_add(bytes) > self.budget.limit {
            return Err(BodyError::NoMemory);
        }
        Ok(())
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The first allocation for a body in pieces; it doubles from there. Most reviews fit.
const FIRST_ALLOCATION: usize = 64 * 1024;

/// Reads `body` to its end. Where that fails, what was read is given up, and the rest is still to be read
/// or [discarded](discard).
pub(super) async fn read<'a, B>(
    body: &mut B,
    limit: usize,
    time: Duration,
    budget: &'a Budget,
) -> Result<Collected<'a>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    // The timer is registered only where the body is not there already.
    timeout(time, collect(body, limit, budget)).await.unwrap_or(Err(BodyError::Timeout))
}

async fn collect<'a, B>(
    body: &mut B,
    limit: usize,
    budget: &'a Budget,
) -> Result<Collected<'a>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(BodyError::TooLarge);
    }
    let first = next_piece(body).await?.unwrap_or_default();
    if first.len() > limit {
        return Err(BodyError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(Collected::Whole(first));
    }
    let Some(second) = next_piece(body).await? else {
        return Ok(Collected::Whole(first));
    };

    let mut charge = budget.charge();
    charge.grow(first.len())?;
    let mut joined =
        Vec::with_capacity(declared.clamp(first.len(), FIRST_ALLOCATION.max(first.len())));
    joined.extend_from_slice(&first);
    drop(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        if joined.len() + piece.len() > limit {
            return Err(BodyError::TooLarge);
        }
        charge.grow(piece.len())?;
        joined.extend_from_slice(&piece);
        next = if body.is_end_stream() { None } else { next_piece(body).await? };
    }
    Ok(Collected::Joined { bytes: joined, _charge: charge })
}

/// Reads and forgets up to `limit` bytes within `time`, so that a client that sends its whole request
/// before it reads gets to read the answer, and may use the connection again. Returns whether the body
/// ended.
pub(super) async fn discard<B>(body: &mut B, limit: usize, time: Duration) -> bool
where
    B: Body<Data = Bytes> + Unpin,
{
    let drain = async {
        let mut left = limit;
        loop {
            if body.is_end_stream() {
                return true;
            }
            if body.size_hint().lower() > u64::try_from(left).unwrap_or(u64::MAX) {
                return false;
            }
            match next_piece(body).await {
                Ok(Some(piece)) => match left.checked_sub(piece.len()) {
                    Some(rest) => left = rest,
                    None => return false,
                },
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    };
    timeout(time, drain).await.unwrap_or(false)
}

/// The next data of the body; trailers are skipped.
async fn next_piece<B>(body: &mut B) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Err(_) => return Err(BodyError::Truncated),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body of given pieces; an `Err` breaks it, an empty queue ends it or leaves it hanging.
    struct Pieces {
        pieces: VecDeque<Result<&'static [u8], ()>>,
        hangs: bool,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            match self.pieces.pop_front() {
                Some(piece) => Poll::Ready(Some(piece.map(|b| Frame::data(Bytes::from_static(b))))),
                None if self.hangs => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    fn body(pieces: &[Result<&'static [u8], ()>]) -> Pieces {
        Pieces { pieces: pieces.iter().copied().collect(), hangs: false }
    }

    type Wanted = Result<&'static [u8], BodyError>;

    const TIME: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn bodies_are_joined_within_their_bounds() {
        let cases: [(&str, Pieces, Wanted); 9] = [
            ("no body", body(&[]), Ok(b"")),
            ("one piece", body(&[Ok(b"abc")]), Ok(b"abc")),
            ("three pieces", body(&[Ok(b"ab"), Ok(b"c"), Ok(b"de")]), Ok(b"abcde")),
            ("exactly the limit", body(&[Ok(b"abcd"), Ok(b"efgh")]), Ok(b"abcdefgh")),
            ("one piece past the limit", body(&[Ok(b"abcdefghi")]), Err(BodyError::TooLarge)),
            ("the sum past it", body(&[Ok(b"abcdefgh"), Ok(b"i")]), Err(BodyError::TooLarge)),
            ("broken at once", body(&[Err(())]), Err(BodyError::Truncated)),
            ("broken later", body(&[Ok(b"ab"), Ok(b"c"), Err(())]), Err(BodyError::Truncated)),
            (
                "never complete",
                Pieces { hangs: true, ..body(&[Ok(b"ab")]) },
                Err(BodyError::Timeout),
            ),
        ];
        let budget = Budget::new(100);
        for (name, mut body, wanted) in cases {
            let got = read(&mut body, 8, TIME, &budget).await;
            assert_eq!(got.as_deref().map_err(|e| *e), wanted, "{name}");
            drop(got);
            assert_eq!(budget.used.load(Ordering::Relaxed), 0, "{name}: the charge is given back");
        }
    }

    #[tokio::test]
    async fn bodies_in_handling_share_a_budget() {
        let budget = Budget::new(10);
        let mut one = body(&[Ok(b"abc"), Ok(b"def")]);
        let held = read(&mut one, 8, TIME, &budget).await.expect("6 of 10");
        let mut two = body(&[Ok(b"abc"), Ok(b"de")]);
        let refused = read(&mut two, 8, TIME, &budget).await;
        assert_eq!(refused.map(|_| ()), Err(BodyError::NoMemory), "11 of 10");
        drop(held);
        let mut three = body(&[Ok(b"abc"), Ok(b"de")]);
        assert!(read(&mut three, 8, TIME, &budget).await.is_ok(), "5 of 10");
    }

    #[tokio::test]
    async fn discarding_is_bounded() {
        let cases = [
            ("ends within the limit", body(&[Ok(b"abcd"), Ok(b"efgh")]), true),
            ("longer than the limit", body(&[Ok(b"abcd"), Ok(b"efghi")]), false),
            ("broken", body(&[Ok(b"ab"), Err(())]), false),
            ("hangs", Pieces { hangs: true, ..body(&[Ok(b"ab")]) }, false),
        ];
        for (name, mut body, wanted) in cases {
            assert_eq!(discard(&mut body, 8, TIME).await, wanted, "{name}");
        }
    }
}
