//! Pauses between attempts.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3);

/// Pauses that grow by half from 0.2 s to 3 s. Each is shortened by up to a quarter at random, so that pods that
/// start together do not ask together.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    seed: RandomState,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause: FIRST, seed: RandomState::new() }
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 3 / 2).min(LONGEST);
        let random = u32::try_from(self.seed.hash_one(pause) % 256).unwrap_or_default();
        pause.saturating_sub(pause / 4 * random / 256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] > FIRST / 2, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST), "{pauses:?}");
        assert!(pauses[19] > LONGEST / 2 && pauses[4] > pauses[0], "{pauses:?}");
    }
}
