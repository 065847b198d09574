//! Migrations that were let through a moment ago, and that the watches need not have told of yet.
//!
//! A folder's Deployment is applied some milliseconds after its migration Job. Nobody knows here whether that Job came to
//! be: something else may have refused it. So it is evidence of nothing, and in nobody's view. It makes the gate ask the
//! cluster, as it does before every refusal, and what the cluster says holds.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::attempt::Attempt;
use super::attempts::Attempts;
use super::state::ClusterState;

/// For how long one is remembered: watches tell within a second, and within some more where they must connect anew.
const MEMORY: SignedDuration = SignedDuration::from_secs(30);

/// How many are remembered. The oldest is forgotten first.
const MOST: usize = 256;

/// What was let through, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct LetThrough(VecDeque<(Timestamp, Arc<Attempt>)>);

/// Whether one still matters: it is recent, and not known otherwise.
fn matters((at, one): &(Timestamp, Arc<Attempt>), attempts: &Attempts, now: Timestamp) -> bool {
    let is_known = || attempts.get(&one.facts.key.namespace, &one.uid).is_some();
    now.duration_since(*at).abs() < MEMORY && !is_known()
}

impl ClusterState {
    /// The Job of an attempt was let through.
    pub fn let_through(&mut self, attempt: Attempt, now: Timestamp) {
        let Self { let_through: LetThrough(kept), attempts, .. } = self;
        kept.retain(|one| matters(one, attempts, now) && one.1.uid != attempt.uid);
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back((now, attempt.into()));
    }

    /// This state, as if the watches had told of what was let through in a namespace; `None` where they have.
    pub fn with_let_through(&self, namespace: &str, now: Timestamp) -> Option<Self> {
        let own = self.let_through.0.iter().filter(|one| one.1.facts.key.namespace == namespace);
        let mut unseen = own.filter(|one| matters(one, &self.attempts, now)).peekable();
        unseen.peek()?;
        let mut state = self.clone();
        for (_, attempt) in unseen {
            state.attempts.observe_job(Attempt::clone(attempt));
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Reading;
    use crate::cluster::sample::{Sample, at};

    fn seen(state: &ClusterState, namespace: &str, second: i64) -> usize {
        let told = state.with_let_through(namespace, at(second));
        told.map_or(0, |state| state.attempts().of_namespace(namespace).count())
    }

    #[test]
    fn one_counts_in_its_namespace_for_a_while_or_until_it_is_known() {
        let mut state = ClusterState::default();
        state.let_through(Sample::new("a", "v1").attempt(), at(100));
        assert_eq!([99, 100, 129, 130].map(|second| seen(&state, "shop", second)), [1, 1, 1, 0]);
        assert_eq!(seen(&state, "other", 100), 0);
        assert!(state.attempts().is_empty(), "nobody else is told");

        state.attempts_mut().observe_job(Sample::new("a", "v1").failed(5).attempt());
        assert_eq!(seen(&state, "shop", 100), 0, "what the watches tell holds");
    }

    #[test]
    fn what_the_cluster_says_holds_and_silence_leaves_the_doubt() {
        let mut state = ClusterState::default();
        state.let_through(Sample::new("a", "v1").attempt(), at(100));
        assert_eq!(seen(&state.confirmed("shop", Reading::default()), "shop", 100), 0);
        assert_eq!(seen(&state.unconfirmed("no answer"), "shop", 100), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut state = ClusterState::default();
        for number in 0..MOST + 10 {
            state.let_through(Sample::new(&format!("u{number}"), "v1").attempt(), at(100));
        }
        assert_eq!((state.let_through.0.len(), seen(&state, "shop", 100)), (MOST, MOST));
        state.let_through(Sample::new("u20", "v1").attempt(), at(100));
        assert_eq!(state.let_through.0.len(), MOST, "one is remembered once");
        state.let_through(Sample::new("late", "v1").attempt(), at(200));
        assert_eq!(state.let_through.0.len(), 1);
    }
}
