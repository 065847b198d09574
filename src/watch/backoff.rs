//! How long to wait before something is tried again.

use std::time::Duration;

/// Delays that double from a quarter of a second to a bound.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

const FIRST: Duration = Duration::from_millis(250);

impl Backoff {
    pub(super) const fn up_to(most: Duration) -> Self {
        Self { next: FIRST, most }
    }

    /// The delay before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let delay = self.next.min(self.most);
        self.next = delay.saturating_mul(2);
        delay
    }

    /// It worked: the next failure waits for a short time again.
    pub(super) const fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_bound() {
        let mut backoff = Backoff::up_to(Duration::from_millis(900));
        let delays: Vec<_> = (0..4).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(delays, [250, 500, 900, 900]);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST);
    }
}
