//! What every replica does: it serves the certificate of the Secret, and says whether API servers trust it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::seen::Seen;
use super::store::{LEAF, Store, certificates, covers};
use crate::certs::{Leaf, SubjectName};
use crate::server::{Metrics, Pair, Readiness};

/// The name under which readiness waits for API servers to trust what is served.
pub(super) const CONDITION: &str = "ca-bundle";

pub(super) struct Replica {
    pub(super) seen: watch::Receiver<Seen>,
    pub(super) serve: watch::Sender<Option<Pair>>,
    pub(super) names: Vec<SubjectName>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) ready: bool,
    /// What was last said to be wrong.
    pub(super) said: Option<&'static str>,
}

impl Replica {
    pub(super) async fn run(mut self) {
        loop {
            let seen = self.seen.borrow_and_update().clone();
            self.look(&seen);
            if self.seen.changed().await.is_err() {
                return;
            }
        }
    }

    fn look(&mut self, seen: &Seen) {
        if let Some(pair) = pair(seen) {
            self.serve.send_if_modified(|served| {
                let new = served.as_ref() != Some(&pair);
                *served = Some(pair);
                new
            });
        }
        let store = seen.secret.as_ref().map(Store::read);
        if let Some(ends) = store.as_ref().and_then(Store::ca_ends) {
            self.metrics.certificates().ca_ends(ends.as_second());
        }
        let bundle = store.map(|store| store.bundle()).filter(|bundle| !bundle.is_empty());
        let current = seen.both().zip(bundle);
        let current =
            current.is_some_and(|(both, bundle)| both.iter().all(|one| one.carries(&bundle)));
        self.metrics.certificates().bundle_is_current(current);
        let reason = self.distrusted(seen);
        if reason.is_none() && !self.ready {
            self.ready = true;
            self.readiness.met(CONDITION);
        } else if let (Some(reason), false) = (reason, self.ready) {
            self.readiness.wait_for(CONDITION, reason);
        }
        if self.said != reason {
            // Once it was ready, all replicas lose it alike: that is a metric and an alert, no outage of all.
            match reason {
                Some(reason) if self.ready => tracing::warn!(reason, "API servers will refuse us"),
                Some(reason) => tracing::info!(reason, "not yet trusted by API servers"),
                None => tracing::info!("API servers trust the served certificate"),
            }
            self.said = reason;
        }
    }

    /// Why API servers do not accept what is served.
    fn distrusted(&self, seen: &Seen) -> Option<&'static str> {
        let served = self.serve.borrow();
        let Some(pair) = served.as_ref() else {
            return Some(if seen.secret.is_none() {
                "the Secret for certificates does not exist, or wavegate may not read it"
            } else {
                "there is no certificate yet"
            });
        };
        let Some(both) = seen.both() else {
            return Some("a webhook configuration does not exist yet, or wavegate may not read it");
        };
        let chain = certificates(&pair.certificate);
        let now = Timestamp::now();
        let mut bundles = both.iter().flat_map(|one| one.cas());
        let trusted = bundles.all(|cas| covers(&cas, &chain, &self.names, now));
        (!trusted).then_some("a caBundle does not contain the CA of the served certificate")
    }
}

/// The Secret's certificate, if it is one.
fn pair(seen: &Seen) -> Option<Pair> {
    let data = seen.secret.as_ref()?;
    let [certificate, key] = LEAF.map(|name| data.get(name).cloned().unwrap_or_default());
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let leaf = Leaf { certificate: text(&certificate)?, key: text(&key)? };
    leaf.is_pair().then_some(Pair { certificate, key })
}
