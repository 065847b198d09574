//! Which replica does what one is enough for: the holder of a Lease, who renews it with every round.
//!
//! Two at once do no harm, whatever it is: pruning removes the same records twice, and certificates are written with
//! the version that was read. So clocks need not agree better than a round is long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, Error};
use tokio::time::timeout;

/// Who prunes records. Named in the chart's Role too.
pub(super) const PRUNING: &str = "wavegate-pruning";
/// Who keeps the certificates. Named in the chart's Role too.
pub(super) const CERTIFICATES: &str = "wavegate-certificates";

/// A claim on the Lease.
#[derive(Clone)]
pub(super) struct Claim {
    leases: Api<Lease>,
    name: &'static str,
    holder: String,
    lasts: Duration,
}

impl Claim {
    /// A claim on the Lease of this name in wavegate's own namespace, good for `lasts` from each time that it succeeds.
    pub(super) fn new(
        client: Client,
        namespace: &str,
        name: &'static str,
        lasts: Duration,
    ) -> Self {
        // A pod's host is named like the pod; elsewhere process and time tell replicas apart.
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "wavegate".to_owned());
        let started = Timestamp::now().as_millisecond();
        let holder = format!("{host}_{}_{started}", std::process::id());
        Self { leases: Api::namespaced(client, namespace), name, holder, lasts }
    }

    /// Takes the Lease or renews it. `false`: another replica holds it.
    pub(super) async fn succeed(&self) -> Result<bool, Error> {
        let now = Timestamp::now();
        let parameters = PostParams::default();
        let found = self.leases.get_opt(self.name).await?;
        let held = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let Some(spec) = claimed(held, &self.holder, self.lasts, now) else { return Ok(false) };
        let written = if let Some(mut lease) = found {
            lease.spec = Some(spec);
            // With the version that was read: of two claims at the same time one fails.
            self.leases.replace(self.name, &parameters, &lease).await
        } else {
            let metadata = ObjectMeta { name: Some(self.name.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec) };
            self.leases.create(&parameters, &lease).await
        };
        match written {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the Lease up, so that another replica need not wait until it runs out. One that is not held is left alone.
    ///
    /// A new claim of this one must not be under way: it would take the Lease again.
    pub(super) async fn release(&self) -> Result<(), Error> {
        let Some(mut lease) = self.leases.get_opt(self.name).await? else { return Ok(()) };
        let Some(spec) = released(lease.spec.as_ref(), &self.holder) else { return Ok(()) };
        lease.spec = Some(spec);
        match self.leases.replace(self.name, &PostParams::default(), &lease).await {
            // Whoever was faster holds it now.
            Err(Error::Api(status)) if status.code == 409 => Ok(()),
            written => written.map(drop),
        }
    }

    /// [`release`](Self::release), with what goes wrong in the log: the Lease runs out by itself.
    pub(super) async fn give_up(&self) {
        match timeout(RELEASE, self.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = error.to_string();
                tracing::warn!(lease = self.name, error, "the Lease is not given up");
            }
            Err(_elapsed) => {
                tracing::warn!(lease = self.name, "the Lease could not be given up in time");
            }
        }
    }
}

/// How long giving a Lease up may take: it is a courtesy, and the process is about to end.
const RELEASE: Duration = Duration::from_secs(2);

/// The Lease as `holder` leaves it; `None` where it is not his.
fn released(spec: Option<&LeaseSpec>, holder: &str) -> Option<LeaseSpec> {
    let held = spec.filter(|spec| spec.holder_identity.as_deref() == Some(holder))?;
    Some(LeaseSpec { holder_identity: None, ..held.clone() })
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
        assert_eq!(released(Some(&first), "b"), None);
        assert_eq!(released(None, "a"), None);
        let given_up = released(Some(&first), "a").expect("it is its holder's");
        assert_eq!(given_up.lease_transitions, first.lease_transitions);
        assert!(claimed(Some(&given_up), "b", LASTS, at(1)).is_some());
    }
}
