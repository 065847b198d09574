//! Removes records that no decision can ask for any more, from time to time and by one replica only.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::api::DeleteParams;
use kube::{Api, Client, Error};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::follow::Listings;
use super::known::Known;
use super::lease::Claim;
use super::live::{History, LiveReader};
use super::policy::Followed;
use super::stored::{Kind, Stored};
use super::trouble;
use crate::cluster::retention::{Retention, may_prune, prunable_by};
use crate::cluster::{Attempt, Sighting};
use crate::server::Metrics;
use crate::server::metrics::RecordWrite;
use crate::server::webhook::SharedPolicies;

/// How long reading a namespace and removing its records may take.
const BOUND: Duration = Duration::from_mins(1);

/// Prunes until it is dropped.
pub(super) struct Pruner {
    pub(super) client: Client,
    pub(super) reader: LiveReader,
    pub(super) claim: Claim,
    pub(super) known: Known,
    pub(super) metrics: Arc<Metrics>,
    pub(super) listings: watch::Receiver<Listings>,
    pub(super) policies: SharedPolicies,
    pub(super) followed: watch::Receiver<Followed>,
    pub(super) every: Duration,
}

impl Pruner {
    pub(super) async fn run(self) {
        let mut waits = false;
        loop {
            sleep(self.every).await;
            // What stands in for a policy may keep less than it, and what is removed does not come back.
            let waited = std::mem::replace(&mut waits, !self.may_prune());
            if waits {
                if !waited {
                    tracing::warn!(
                        "no records are pruned until the stored policy is read and valid"
                    );
                }
                continue;
            }
            let namespaces = self.namespaces();
            if namespaces.is_empty() {
                continue;
            }
            match timeout(BOUND, self.claim.succeed()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => continue,
                Ok(Err(error)) => {
                    let error = error.to_string();
                    tracing::warn!(error, "the Lease for pruning cannot be claimed");
                    continue;
                }
                Err(_elapsed) => continue,
            }
            for namespace in namespaces {
                if !self.may_prune() {
                    break;
                }
                self.prune_within_bounds(&namespace).await;
            }
        }
    }

    fn may_prune(&self) -> bool {
        self.followed.borrow().in_force()
    }

    /// The namespaces where a migration has more records than are kept by number. Costs no request.
    fn namespaces(&self) -> BTreeSet<String> {
        if !self.listings.borrow().complete() {
            return BTreeSet::new();
        }
        let state = self.known.read();
        let of = |s: &Sighting| s.attempt().facts.key.namespace.clone();
        let mut namespaces: BTreeSet<String> = state.attempts().iter().map(of).collect();
        namespaces.retain(|ns| may_prune(state.attempts().of_namespace(ns), self.retention(ns)));
        namespaces
    }

    fn retention(&self, namespace: &str) -> Retention {
        self.policies.load().of(namespace).retention
    }

    async fn prune_within_bounds(&self, namespace: &str) {
        match timeout(BOUND, self.prune(namespace)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(records)) => tracing::info!(namespace, records, "records pruned"),
            Ok(Err(reason)) => tracing::warn!(namespace, reason, "records are not pruned"),
            Err(_elapsed) => tracing::warn!(namespace, "records could not all be pruned in time"),
        }
    }

    /// Decides by what is in the namespace now, which the watches may not have brought yet. An error ends the
    /// round: the order of removals is part of what makes them safe.
    async fn prune(&self, namespace: &str) -> Result<usize, String> {
        let History { attempts, overrides, live } =
            Box::pin(self.reader.history(namespace)).await.map_err(|unread| unread.to_string())?;
        let all: Vec<&Sighting> = attempts.of_namespace(namespace).collect();
        let records: Api<Stored> =
            Api::namespaced_with(self.client.clone(), namespace, &Kind::Record.resource());
        let policies = self.policies.load_full();
        let policy = policies.of(namespace);
        let counts = |attempt: &Attempt| policy.trusts(attempt);
        let gone = prunable_by(&all, &overrides, &live, policy.retention, &policy.names, counts);
        for sighting in &gone {
            match records.delete(&sighting.attempt().uid, &DeleteParams::default()).await {
                Ok(_) => self.metrics.watch().wrote(RecordWrite::Pruned),
                Err(Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(trouble::reason("delete", Kind::Record, &error)),
            }
        }
        Ok(gone.len())
    }
}
