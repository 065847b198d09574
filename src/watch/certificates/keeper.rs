//! What one replica does for all: it makes certificates, and publishes their CAs.
//!
//! Every round begins with what is stored and ends with at most one change of it, so it makes no difference who made the
//! change before, or whether he came to its end.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use thiserror::Error as ThisError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::carrier::{Carried, Carrier};
use super::rotation::{Asked, Facts, Lifetimes, Published, Step, decide};
use super::seen::{ROTATE, Seen, data, wanted};
use super::store::{Store, is_alive};
use crate::certs::{CertsError, SubjectName};
use crate::server::Metrics;
use crate::server::metrics::Rotation;
use crate::watch::lease::Claim;

/// Owner of `caBundle` in the webhook configurations' managed fields.
const MANAGER: &str = "wavegate-certificates";

/// How long a round may take.
const BOUND: Duration = Duration::from_secs(10);

/// How long one webhook configuration may take. While it is not answered for, the rest of a round must not wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two rounds, whatever happens. Each change of a watched object asks for one.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest time between two rounds.
const TICK: Duration = Duration::from_secs(1);

/// The longest time until what is stored is read although nobody told of a change: time is what most steps wait for.
const LOOK: Duration = Duration::from_secs(10);

/// For how long a claim is good, and how often it is renewed.
pub(super) const HELD: Duration = Duration::from_secs(15);
const RENEW: SignedDuration = SignedDuration::from_secs(5);

/// The longest way of a Secret from nothing to everything.
const STEPS: usize = 8;

#[derive(Debug, ThisError)]
enum Trouble {
    #[error("the Lease cannot be claimed: {0}")]
    Claim(#[source] Error),
    #[error("the Secret for certificates does not exist: the chart makes an empty one")]
    NoSecret,
    #[error("the Secret for certificates cannot be read: {0}")]
    Read(#[source] Error),
    #[error("the Secret for certificates cannot be written: {0}")]
    Write(#[source] Error),
    #[error("a webhook configuration cannot be read: {0}")]
    Configuration(#[source] Error),
    #[error("a webhook configuration cannot be read: the API server does not answer")]
    ConfigurationLate,
    #[error("a webhook configuration does not take the CAs: {0}")]
    Publish(#[source] Error),
    #[error("a webhook configuration does not take the CAs: the API server does not answer")]
    PublishLate,
    #[error(transparent)]
    Make(#[from] CertsError),
    #[error("the API server does not answer")]
    Late,
}

/// What was read of the configurations. One that does not exist is none, and asks nobody.
struct Configurations {
    validating: Option<Carried>,
    mutating: Option<Carried>,
    /// Why one of them could not be read. It is none here too, but it exists, and what it carries is not known.
    unread: Option<Trouble>,
}

impl Configurations {
    /// The CAs that are known to be trusted now, each once.
    fn alive(&self, now: Timestamp) -> Vec<CertificateDer<'static>> {
        let mut cas = Vec::new();
        let carried = [&self.validating, &self.mutating].into_iter().flatten();
        for ca in carried.flat_map(Carried::cas).flatten() {
            if is_alive(&ca, now) && !cas.contains(&ca) {
                cas.push(ca);
            }
        }
        cas
    }
}

pub(super) struct Keeper {
    secrets: Api<Secret>,
    validating: Api<ValidatingWebhookConfiguration>,
    mutating: Api<MutatingWebhookConfiguration>,
    claim: Claim,
    secret: String,
    configuration: String,
    names: Vec<SubjectName>,
    lifetimes: Lifetimes,
    metrics: Arc<Metrics>,
    /// When the claim last succeeded.
    claimed: Option<Timestamp>,
    /// What is published everywhere, and since when. Another leader begins to count anew, which is on the safe side.
    published: Option<(Vec<u8>, Timestamp)>,
    said: String,
    /// When what is stored is read again, whatever was told.
    look: Instant,
    /// What was asked for last that does not exist.
    misunderstood: Option<String>,
}

impl Keeper {
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        claim: Claim,
        options: &super::Options,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            validating: Api::all(client.clone()),
            mutating: Api::all(client.clone()),
            claim,
            secret: options.secret.clone(),
            configuration: options.configuration.clone(),
            names: options.names.clone(),
            lifetimes: options.lifetimes,
            metrics,
            claimed: None,
            published: None,
            said: String::new(),
            look: Instant::now(),
            misunderstood: None,
        }
    }

    /// Looks at every change, after every failure, and from time to time.
    pub(super) async fn run(mut self, mut seen: watch::Receiver<Seen>) {
        loop {
            let done = timeout(BOUND, self.round()).await.unwrap_or(Err(Trouble::Late));
            if done.is_err() {
                self.look = Instant::now();
            }
            self.report(done);
            sleep(PAUSE).await;
            if matches!(timeout(TICK, seen.changed()).await, Ok(Ok(()))) {
                self.look = Instant::now();
            }
        }
    }

    /// Says a failure once, until another one follows or it works again.
    fn report(&mut self, done: Result<(), Trouble>) {
        let said = match &done {
            Ok(()) => String::new(),
            Err(trouble) => trouble.to_string(),
        };
        if self.said != said {
            match done {
                Ok(()) => tracing::info!("certificates are kept again"),
                Err(trouble) => tracing::warn!(reason = %trouble, "certificates are not kept"),
            }
            self.said = said;
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        if !self.leads().await? {
            self.published = None;
            self.look = Instant::now();
            return Ok(());
        }
        if Instant::now() < self.look {
            return Ok(());
        }
        let settle = self.lifetimes.settle;
        self.look = Instant::now() + (settle / 4).clamp(TICK, LOOK);
        let mut trouble = None;
        for _ in 0..STEPS {
            // The configurations first: see `Carried::patch`. What is read of the Secret is no older than they are.
            let configurations = self.configurations().await;
            let secret = self.secrets.get_opt(&self.secret).await.map_err(Trouble::Read)?;
            let secret = secret.ok_or(Trouble::NoSecret)?;
            self.tell_of_unknown(&secret);
            let now = Timestamp::now();
            let store = Store::read(&data(&secret)).trusting(configurations.alive(now));
            let facts = store.facts(&self.names, asked(&secret), now);
            let published = self.publish(&store, &facts, &configurations, now).await;
            // Time goes on for certificates also where nothing can be read or published.
            let (published, unpublished) = (self.known(&configurations), published.err());
            trouble = configurations.unread.or(unpublished);
            let step = decide(&facts, published, &self.lifetimes, now);
            if step == Step::Rest {
                break;
            }
            self.take(step, &facts, store, secret, now).await?;
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Says once that what was asked for does not exist. The annotation stays: whoever wrote it finds it where they left
    /// it, and removing it is how wavegate says that something was done.
    fn tell_of_unknown(&mut self, secret: &Secret) {
        let unknown = wanted(secret).filter(|_| asked(secret).is_none());
        if self.misunderstood.as_deref() != unknown {
            if let Some(value) = unknown {
                let allowed = "leaf, ca";
                tracing::warn!(annotation = ROTATE, value, allowed, "nothing is rotated");
            }
            self.misunderstood = unknown.map(str::to_owned);
        }
    }

    /// Whether this replica is the one. The claim is good for longer than it takes to renew it.
    async fn leads(&mut self) -> Result<bool, Trouble> {
        let now = Timestamp::now();
        if self.claimed.is_some_and(|at| now.duration_since(at).abs() < RENEW) {
            return Ok(true);
        }
        let claimed = self.claim.succeed().await;
        let leads = matches!(claimed, Ok(true));
        let led = std::mem::replace(&mut self.claimed, leads.then_some(now)).is_some();
        self.metrics.certificates().leads(leads);
        if leads != led {
            tracing::info!(leads, "whether this replica keeps the certificates has changed");
        }
        claimed.map_err(Trouble::Claim)
    }

    async fn configurations(&self) -> Configurations {
        let (validating, mutating) =
            tokio::join!(self.read(&self.validating), self.read(&self.mutating));
        let (validating, mut unread) =
            validating.map_or_else(|e| (None, Some(e)), |read| (read, None));
        let mutating = mutating.unwrap_or_else(|error| {
            unread.get_or_insert(error);
            None
        });
        Configurations { validating, mutating, unread }
    }

    async fn read<K>(&self, api: &Api<K>) -> Result<Option<Carried>, Trouble>
    where
        K: Carrier + Clone + DeserializeOwned + Debug,
    {
        let read = timeout(PATIENCE, api.get_opt(&self.configuration)).await;
        let read = read.map_err(|_elapsed| Trouble::ConfigurationLate)?;
        Ok(read.map_err(Trouble::Configuration)?.as_ref().map(Carried::by))
    }

    /// Sees to it that both configurations carry the store's CAs, as far as they can be read.
    async fn publish(
        &mut self,
        store: &Store,
        facts: &Facts,
        configurations: &Configurations,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        // Where something was lost, nothing is published before it was stored what must stay so.
        if facts.damaged || facts.signer.is_none() && facts.next.is_none() {
            return Ok(());
        }
        let bundle = store.bundle();
        let (validating, mutating) = tokio::join!(
            self.carry(&self.validating, configurations.validating.as_ref(), &bundle),
            self.carry(&self.mutating, configurations.mutating.as_ref(), &bundle),
        );
        let done = [validating, mutating];
        let everywhere = done.iter().all(|done| matches!(done, Ok(false)));
        match &self.published {
            Some((published, _)) if everywhere && *published == bundle => {}
            _ => self.published = everywhere.then_some((bundle, now)),
        }
        done.into_iter().try_for_each(|done| done.map(drop))
    }

    /// What is known of the publication. One that was not seen for a while begins anew.
    fn known(&mut self, configurations: &Configurations) -> Published {
        if configurations.unread.is_some() {
            self.published = None;
            return Published::Unread;
        }
        self.published.as_ref().map_or(Published::Incomplete, |(_, since)| Published::Since(*since))
    }

    /// Whether it had to be written. One who was faster is seen in the next round.
    async fn carry<K>(
        &self,
        api: &Api<K>,
        carried: Option<&Carried>,
        bundle: &[u8],
    ) -> Result<bool, Trouble>
    where
        K: Carrier + Clone + DeserializeOwned + Debug,
    {
        let Some(patch) = carried.and_then(|carried| carried.patch(bundle)) else {
            return Ok(false);
        };
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::<()>::Json(patch);
        let patched = timeout(PATIENCE, api.patch(&self.configuration, &parameters, &patch)).await;
        match patched.map_err(|_elapsed| Trouble::PublishLate)? {
            Ok(_) => {
                let kind = std::any::type_name::<K>().rsplit("::").next();
                tracing::info!(kind, name = self.configuration, "CAs published");
                Ok(true)
            }
            Err(Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(true),
            Err(error) => Err(Trouble::Publish(error)),
        }
    }

    /// Makes what was decided and stores it. One who was faster is seen when it is read again.
    async fn take(
        &self,
        step: Step,
        facts: &Facts,
        store: Store,
        mut secret: Secret,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let (metrics, rotation) = (self.metrics.certificates(), Rotation::of(step));
        let made = store.apply(step, &self.names, &self.lifetimes, now);
        let written = match made {
            Ok(store) => {
                let bytes = store.data().into_iter().map(|(key, value)| (key, ByteString(value)));
                secret.data = Some(bytes.collect::<BTreeMap<_, _>>());
                let answered = match step {
                    Step::Promote => facts.asked == Some(Asked::Ca),
                    Step::Issue => facts.asked == Some(Asked::Leaf),
                    _ => false,
                };
                if let (true, Some(annotations)) = (answered, &mut secret.metadata.annotations) {
                    annotations.remove(ROTATE);
                }
                let parameters =
                    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
                let written = self.secrets.replace(&self.secret, &parameters, &secret).await;
                written.map(drop).map_err(Trouble::Write)
            }
            Err(error) => Err(error.into()),
        };
        match written {
            Err(Trouble::Write(Error::Api(status))) if status.code == 409 => return Ok(()),
            Ok(()) if facts.damaged => {
                tracing::warn!(?step, "the stored certificates were damaged and are repaired");
            }
            Ok(()) => tracing::info!(?step, "certificates written"),
            Err(_) => {}
        }
        if let Some(rotation) = rotation {
            metrics.rotated(rotation, written.is_ok());
        }
        written
    }
}

impl Rotation {
    /// What a step counts as.
    const fn of(step: Step) -> Option<Self> {
        match step {
            Step::Promote => Some(Self::Ca),
            Step::Issue => Some(Self::Leaf),
            Step::Tidy => Some(Self::Repair),
            Step::Prepare | Step::Retire | Step::Rest => None,
        }
    }
}

fn asked(secret: &Secret) -> Option<Asked> {
    match wanted(secret)? {
        "ca" => Some(Asked::Ca),
        "leaf" => Some(Asked::Leaf),
        _ => None,
    }
}
