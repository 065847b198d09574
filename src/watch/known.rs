//! What is known, shared between the watchers, the recorder and decisions.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::feed::AttemptKey;
use crate::cluster::{Attempts, ClusterState, Sighting};

/// The cluster's state. It is never locked across an `await`, and each lock ends within microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<RwLock<ClusterState>>);

impl Known {
    /// The same state, for whoever decides.
    pub(super) fn share(&self) -> Arc<RwLock<ClusterState>> {
        Arc::clone(&self.0)
    }

    /// Changes what is known. A panic under the lock leaves at worst one attempt half observed, which the next
    /// listing puts right; it must not end all decisions.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Attempts) -> R) -> R {
        self.change_all(|state| change(state.attempts_mut()))
    }

    /// The same of all that is known.
    pub(super) fn change_all<R>(&self, change: impl FnOnce(&mut ClusterState) -> R) -> R {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of an attempt, as a copy.
    pub(super) fn attempt(&self, key: &AttemptKey) -> Option<Sighting> {
        self.read().attempts().get(&key.namespace, &key.uid).cloned()
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, ClusterState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
