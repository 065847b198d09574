//! Whether this replica may get traffic, and if not, why.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `/readyz` answers. Start-up and drain decide; a fault that strikes every replica alike, such as a
/// lost watch, is better a metric than an outage of all of them at once.
#[derive(Debug, Default)]
pub struct Readiness {
    waiting: Mutex<BTreeMap<&'static str, String>>,
    serving: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    /// Not ready until the server runs, and until everything is met that [`Self::wait_for`] names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds readiness back until [`Self::met`] is called for the same `what`. `reason` is one line for
    /// the person who asks why; a second call replaces it.
    pub fn wait_for(&self, what: &'static str, reason: impl Into<String>) {
        self.waiting().insert(what, reason.into());
    }

    /// Says why a condition that is still waited for does not hold yet.
    pub fn hold(&self, what: &'static str, reason: &str) {
        if let Some(told) = self.waiting().get_mut(what) {
            reason.clone_into(told);
        }
    }

    /// The condition holds. Does nothing where it was not waited for.
    pub fn met(&self, what: &'static str) {
        self.waiting().remove(what);
    }

    /// The server is shutting down: no new traffic, and each answer ends its connection. There is no way
    /// back.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// `Ok`, or the reasons in one line, without a line break.
    pub fn check(&self) -> Result<(), String> {
        if self.is_draining() {
            return Err("draining: this replica is shutting down".to_owned());
        }
        if !self.serving.load(Ordering::Relaxed) {
            return Err("starting: the webhook port is not served yet".to_owned());
        }
        let waiting = self.waiting();
        if waiting.is_empty() {
            return Ok(());
        }
        let reasons: Vec<_> =
            waiting.iter().map(|(what, reason)| format!("{what}: {reason}")).collect();
        Err(format!("waiting: {}", reasons.join("; ")))
    }

    pub(super) fn serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// A panic under this lock leaves the map whole, since each use is one call on it.
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_waits_for_the_server_and_for_each_condition() {
        let readiness = Readiness::new();
        readiness.wait_for("policy", "no RolloutPolicy was read yet");
        assert_eq!(
            readiness.check(),
            Err("starting: the webhook port is not served yet".to_owned())
        );
        readiness.serving();
        readiness.wait_for("caches", "Jobs are not listed yet");
        assert_eq!(
            readiness.check(),
            Err("waiting: caches: Jobs are not listed yet; policy: no RolloutPolicy was read yet"
                .to_owned())
        );
        readiness.met("policy");
        readiness.met("caches");
        readiness.met("never waited for");
        assert_eq!(readiness.check(), Ok(()));
        readiness.drain();
        assert!(readiness.check().is_err_and(|reason| reason.starts_with("draining")));
    }
}
