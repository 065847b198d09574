//! How many overrides count and how many have expired, which changes without any event.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::known::Known;
use crate::cluster::Overrides;
use crate::domain::gate_override::OverrideKind;
use crate::server::Metrics;
use crate::server::metrics::OverrideState;

/// Often enough for whoever scrapes.
const EVERY: Duration = Duration::from_secs(5);

/// Counts until it is dropped.
pub(super) async fn run(known: Known, metrics: Arc<Metrics>, longest_bypass: SignedDuration) {
    loop {
        count(known.read().overrides(), &metrics, longest_bypass, Timestamp::now());
        sleep(EVERY).await;
    }
}

fn count(overrides: &Overrides, metrics: &Metrics, longest: SignedDuration, now: Timestamp) {
    for kind in OverrideKind::ALL {
        let of_kind = overrides.iter().filter(|one| one.kind() == kind);
        let (active, expired): (Vec<_>, Vec<_>) =
            of_kind.partition(|one| one.is_in_force(now, longest));
        metrics.overrides(kind, OverrideState::Active, active.len());
        metrics.overrides(kind, OverrideState::Expired, expired.len());
    }
}
