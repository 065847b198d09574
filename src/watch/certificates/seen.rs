//! What the API server says of the three objects that certificates are about.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::carrier::{Carried, Carrier};
use super::store::Data;
use crate::watch::backoff::Backoff;
use crate::watch::follow::{LONGEST_DELAY, WATCH_SECONDS};
use crate::watch::trouble::Fare;

/// How often the Secret is read although a watch tells of its changes: a second way to what must not be missed.
const POLL: Duration = Duration::from_secs(30);

/// What was seen last. What was never seen is as if it did not exist.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) secret: Option<Data>,
    /// What a person asked for on the Secret.
    pub(super) asked: Option<String>,
    pub(super) validating: Option<Carried>,
    pub(super) mutating: Option<Carried>,
}

impl Seen {
    /// Both configurations, if both exist.
    pub(super) fn both(&self) -> Option<[&Carried; 2]> {
        Some([self.validating.as_ref()?, self.mutating.as_ref()?])
    }
}

/// A Secret's data as bytes.
pub(super) fn data(secret: &Secret) -> Data {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

/// What a person writes on the Secret to have something made anew: `ca` or `leaf`. It is removed when that is done.
pub(super) const ROTATE: &str = "wavegate.dev/rotate";

/// What a person asks for on the Secret.
pub(super) fn wanted(secret: &Secret) -> Option<&str> {
    secret.metadata.annotations.as_ref()?.get(ROTATE).map(String::as_str)
}

/// Follows one object by its name for ever. `put` gets it, or none where it does not exist.
pub(super) async fn follow<K>(
    api: Api<K>,
    name: String,
    what: &'static str,
    mut put: impl FnMut(Option<&K>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = Config::default().fields(&format!("metadata.name={name}")).timeout(WATCH_SECONDS);
    let mut events = pin!(watcher(api, config));
    let mut backoff = Backoff::up_to(LONGEST_DELAY);
    let mut fare = Fare::of(what);
    let mut listed = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                fare.fails(error.to_string(), None);
                sleep(backoff.next()).await;
                continue;
            }
        };
        match event {
            Event::Init => {
                listed = false;
                continue;
            }
            Event::InitApply(object) | Event::Apply(object) => {
                listed = true;
                put(Some(&object));
            }
            Event::InitDone if listed => {}
            Event::InitDone | Event::Delete(_) => put(None),
        }
        backoff.reset();
        fare.works();
    }
}

/// Reads the Secret from time to time.
pub(super) async fn poll(secrets: Api<Secret>, name: String, seen: watch::Sender<Seen>) {
    loop {
        sleep(POLL).await;
        if let Ok(Ok(Some(secret))) = timeout(POLL, secrets.get_opt(&name)).await {
            put_secret(&seen, Some(&secret));
        }
    }
}

pub(super) fn put_secret(seen: &watch::Sender<Seen>, secret: Option<&Secret>) {
    let asked = secret.and_then(wanted).map(str::to_owned);
    let secret = secret.map(data);
    change(seen, |seen| {
        let new = seen.secret != secret || seen.asked != asked;
        (seen.secret, seen.asked) = (secret, asked);
        new
    });
}

pub(super) fn carried<K: Carrier>(configuration: Option<&K>) -> Option<Carried> {
    configuration.map(Carried::by)
}

/// Wakes who looks, if something is different.
pub(super) fn change(seen: &watch::Sender<Seen>, change: impl FnOnce(&mut Seen) -> bool) {
    seen.send_if_modified(change);
}
