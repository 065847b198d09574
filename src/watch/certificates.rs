//! Certificates that wavegate makes, renews and publishes by itself.
//!
//! ```text
//! Secret -------> every replica: serves its certificate; ready once API servers trust it
//!   ^                                                          ^
//!   | one replica, by a Lease: `rotation` decides              |
//!   '---------------------------> caBundle of both webhook configurations
//! ```
//!
//! Losing the API server takes nothing away: what is served stays served.

mod carrier;
mod keeper;
mod replica;
mod rotation;
mod seen;
mod store;

use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::lease::{self, Claim};
use super::{StartError, client_config};
use crate::certs::SubjectName;
use crate::server::{ManagedPair, Metrics, Readiness};
use keeper::Keeper;
use replica::Replica;
pub use rotation::Lifetimes;
use seen::{Seen, carried, change, follow, poll, put_secret};

/// Where certificates are kept and published, and for how long they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The Secret, in wavegate's own namespace. wavegate fills it and never creates it.
    pub secret: String,
    /// Name of both webhook configurations.
    pub configuration: String,
    /// The names that the server is called by, at least one.
    pub names: Vec<SubjectName>,
    /// How long everything lasts.
    pub lifetimes: Lifetimes,
}

/// Certificates in keeping. Dropped, what is served stays.
pub struct Certificates {
    /// What the server serves.
    pub pair: ManagedPair,
    claim: Claim,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// Keeps them no longer, and lets another replica do so at once. What is served stays.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.claim.give_up().await;
    }
}

/// Begins to keep certificates. Returns at once; `readiness` waits until there is a certificate that API servers trust.
///
/// Must run in a tokio runtime with timers and I/O. Fails where it is not configured how to reach the API server, not
/// where that does not answer yet.
pub async fn start(
    kubeconfig: Option<&Path>,
    namespace: &str,
    options: &Options,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
) -> Result<Certificates, StartError> {
    let client = Client::try_from(client_config(kubeconfig).await?).map_err(StartError::Client)?;
    let (sender, seen) = watch::channel(Seen::default());
    let (serve, pair) = watch::channel(None);
    let mut tasks = JoinSet::new();
    readiness.wait_for(replica::CONDITION, "the Secret for certificates was not read yet");
    tasks.spawn(
        Replica {
            seen: seen.clone(),
            serve,
            names: options.names.clone(),
            metrics: Arc::clone(&metrics),
            readiness,
            ready: false,
            said: None,
        }
        .run(),
    );
    let claim = Claim::new(client.clone(), namespace, lease::CERTIFICATES, keeper::HELD);
    let keeper = Keeper::new(&client, namespace, claim.clone(), options, metrics);
    tasks.spawn(keeper.run(seen));
    watch_all(&mut tasks, &client, namespace, options, sender);
    Ok(Certificates { pair: ManagedPair(pair), claim, tasks })
}

fn watch_all(
    tasks: &mut JoinSet<()>,
    client: &Client,
    namespace: &str,
    options: &Options,
    sender: watch::Sender<Seen>,
) {
    let secrets = Api::namespaced(client.clone(), namespace);
    tasks.spawn(poll(secrets.clone(), options.secret.clone(), sender.clone()));
    let put = sender.clone();
    let put = move |secret: Option<&_>| put_secret(&put, secret);
    tasks.spawn(follow(secrets, options.secret.clone(), "secret", put));
    let put = sender.clone();
    let put = move |configuration: Option<&_>| {
        let carried = carried::<ValidatingWebhookConfiguration>(configuration);
        change(&put, |seen| std::mem::replace(&mut seen.validating, carried.clone()) != carried);
    };
    let name = &options.configuration;
    let validating = Api::all(client.clone());
    tasks.spawn(follow(validating, name.clone(), "validatingwebhookconfiguration", put));
    let put = move |configuration: Option<&_>| {
        let carried = carried::<MutatingWebhookConfiguration>(configuration);
        change(&sender, |seen| std::mem::replace(&mut seen.mutating, carried.clone()) != carried);
    };
    let mutating = Api::all(client.clone());
    tasks.spawn(follow(mutating, name.clone(), "mutatingwebhookconfiguration", put));
}
