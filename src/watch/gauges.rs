//! How many overrides count and how many have expired, which changes without any event.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use super::known::Known;
use crate::cluster::Overrides;
use crate::domain::gate_override::OverrideKind;
use crate::policy::Policies;
use crate::server::Metrics;
use crate::server::metrics::OverrideState;
use crate::server::webhook::SharedPolicies;

/// Often enough for whoever scrapes.
const EVERY: Duration = Duration::from_secs(5);

/// Counts until it is dropped.
pub(super) async fn run(known: Known, metrics: Arc<Metrics>, policies: SharedPolicies) {
    loop {
        count(known.read().overrides(), &metrics, &policies.load(), Timestamp::now());
        sleep(EVERY).await;
    }
}

fn count(overrides: &Overrides, metrics: &Metrics, policies: &Policies, now: Timestamp) {
    for kind in OverrideKind::ALL {
        let of_kind = overrides.iter().filter(|one| one.kind() == kind);
        let (active, expired): (Vec<_>, Vec<_>) = of_kind
            .partition(|one| one.is_in_force(now, policies.of(&one.namespace).longest_bypass));
        metrics.overrides(kind, OverrideState::Active, active.len());
        metrics.overrides(kind, OverrideState::Expired, expired.len());
    }
}
