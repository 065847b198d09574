//! Which replica prunes: the holder of a Lease, who renews it with every round.
//!
//! Two that prune at once would remove the same records twice, which is harmless, so clocks need not agree better
//! than a round is long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Error};

/// Named in the chart's Role too.
const NAME: &str = "wavegate-pruning";

/// A claim on the Lease.
pub(super) struct Claim {
    leases: Api<Lease>,
    holder: String,
    lasts: Duration,
}

impl Claim {
    /// A claim in wavegate's own namespace, good for `lasts` from each time that it succeeds.
    pub(super) fn new(client: Client, namespace: &str, lasts: Duration) -> Self {
        // A pod's host is named like the pod; elsewhere process and time tell replicas apart.
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "wavegate".to_owned());
        let started = Timestamp::now().as_millisecond();
        let holder = format!("{host}_{}_{started}", std::process::id());
        Self { leases: Api::namespaced(client, namespace), holder, lasts }
    }

    /// Takes the Lease or renews it. `false`: another replica holds it.
    pub(super) async fn succeed(&self) -> Result<bool, Error> {
        let now = Timestamp::now();
        let parameters = PostParams::default();
        let found = self.leases.get_opt(NAME).await?;
        let held = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let Some(spec) = claimed(held, &self.holder, self.lasts, now) else { return Ok(false) };
        let written = if let Some(mut lease) = found {
            lease.spec = Some(spec);
            // With the version that was read: of two claims at the same time one fails.
            self.leases.replace(NAME, &parameters, &lease).await
        } else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec) };
            self.leases.create(&parameters, &lease).await
        };
        match written {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The Lease as `holder` holds it from `now` on; `None` as long as another one does.
fn claimed(
    spec: Option<&LeaseSpec>,
    holder: &str,
    lasts: Duration,
    now: Timestamp,
) -> Option<LeaseSpec> {
    let held = spec.cloned().unwrap_or_default();
    let own = held.holder_identity.as_deref() == Some(holder);
    let renewed = held.renew_time.as_ref().zip(held.lease_duration_seconds);
    let until = renewed.and_then(|(MicroTime(renewed), seconds)| {
        renewed.checked_add(SignedDuration::from_secs(seconds.into())).ok()
    });
    if !own && held.holder_identity.is_some() && until.is_some_and(|until| now < until) {
        return None;
    }
    let changes = held.lease_transitions.unwrap_or(0);
    Some(LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(i32::try_from(lasts.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: held.acquire_time.filter(|_| own).or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if own { changes } else { changes.saturating_add(1) }),
        ..LeaseSpec::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_mins(1);

    #[test]
    fn a_lease_is_held_until_it_is_not_renewed() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let first = claimed(None, "a", LASTS, at(0)).expect("nobody holds it");
        let claim = |holder, seconds: i64| claimed(Some(&first), holder, LASTS, at(seconds));
        assert!(claim("b", 59).is_none());
        let renewed = claim("a", 59).expect("its holder renews it");
        assert_eq!(renewed.lease_transitions, first.lease_transitions);
        assert_eq!(renewed.acquire_time, first.acquire_time);
        let taken = claim("b", 60).expect("it has run out");
        assert_eq!(taken.holder_identity.as_deref(), Some("b"));
        assert_eq!(taken.acquire_time, Some(MicroTime(at(60))));
        let released = LeaseSpec { holder_identity: None, ..first.clone() };
        assert!(claimed(Some(&released), "b", LASTS, at(1)).is_some());
    }
}
