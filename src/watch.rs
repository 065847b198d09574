//! The cluster as wavegate sees it: watches that keep what has happened, and a reader for the moment of a decision.
//!
//! ```text
//! Jobs with our stamp ---> feed --+--> what is known (ClusterState) --> decisions
//! MigrationRecords ------> feed --+
//! GateOverrides ---------> feed --+
//! RolloutPolicy ---------> policy ---> settings in force (Policies) --> decisions, recorder, pruner
//!                                 +--> recorder --> MigrationRecords <-- pruner, by one replica
//! a question ------------> LiveReader: one namespace, one second, no second try
//! ```
//!
//! Nothing of it is on the path of a request but the lock of what is known and, before a denial, the live read.

mod backoff;
pub mod certificates;
mod events;
mod failure;
mod feed;
mod follow;
mod gauges;
mod image;
mod known;
mod lease;
mod live;
mod namespaces;
mod policy;
mod pruner;
mod record;
mod recorder;
mod stored;
mod trouble;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use kube::Client;
use kube::config::{
    Config as ClientConfig, InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError,
};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cluster::ClusterState;
use crate::server::announce::Announce;
use crate::server::live::Live;
use crate::server::webhook::SharedPolicies;
use crate::server::{Metrics, Readiness};
use events::Events;
use feed::Source;
use follow::{Follow, Listings};
use known::Known;
use lease::Claim;
pub use live::LiveReader;
use policy::PolicyWatch;
use pruner::Pruner;
use recorder::Recorder;
use writer::Writer;

/// Where the cluster is, and how much of its history is kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// Kubeconfig file. Without one it is `$KUBECONFIG`, `~/.kube/config`, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// wavegate's own namespace, where its Lease is.
    pub namespace: String,
    /// The settings in force, which are replaced where the stored policy changes. What stands in them at the start is
    /// what a policy that says nothing comes to.
    pub policies: SharedPolicies,
    /// How often records are pruned.
    pub prune_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            namespace: "wavegate".to_owned(),
            policies: SharedPolicies::default(),
            prune_every: Duration::from_mins(10),
        }
    }
}

/// Why the cluster cannot be watched.
#[derive(Debug, Error)]
pub enum StartError {
    /// The kubeconfig file cannot be used.
    #[error("cannot use the kubeconfig {path}: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account is there.
    #[error(
        "no way to the API server is configured ({0}); name a --kubeconfig, or use --standalone to serve without a cluster"
    )]
    Infer(#[from] InferConfigError),
    /// The configuration does not make a client.
    #[error("cannot make a client of the API server: {0}")]
    Client(#[source] kube::Error),
}

/// A cluster under watch. Dropping it ends the watches at once.
pub struct Watch {
    /// What is known. Empty until the API server has listed it, see [`Readiness`].
    pub state: Arc<RwLock<ClusterState>>,
    /// Reads one namespace at the moment of a decision.
    pub live: Arc<dyn Live>,
    /// Writes Events about decisions.
    pub announce: Arc<dyn Announce>,
    watching: JoinSet<()>,
    recording: JoinSet<()>,
    pruning: Claim,
    stop: watch::Sender<Option<Duration>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Begins to watch. Returns at once; `readiness` waits until Jobs, records and overrides were listed, and says what
/// for.
///
/// Must run in a tokio runtime with timers and I/O. Fails where it is not configured how to reach the API server, not
/// where that does not answer yet.
pub async fn start(
    config: Config,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
) -> Result<Watch, StartError> {
    let Config { kubeconfig, namespace, policies, prune_every } = config;
    let config = client_config(kubeconfig.as_deref()).await?;
    let client = |config| Client::try_from(config).map_err(StartError::Client);
    // Connections of its own: a decision does not wait behind a listing.
    let live = LiveReader::new(client(config.clone())?, Arc::clone(&policies));
    let client = client(config)?;
    let known = Known::default();
    let (touched, told) = mpsc::unbounded_channel();
    let (listings, listed) = watch::channel(Listings::default());
    let (stop, stopping) = watch::channel(None);
    let (following, followed) = watch::channel(policy::Followed::default());
    let recorder = Recorder {
        writer: Arc::new(Writer::new(
            client.clone(),
            known.clone(),
            Arc::clone(&metrics),
            listed.clone(),
        )),
        known: known.clone(),
        metrics: Arc::clone(&metrics),
        touched: told,
        listings: listed.clone(),
        stop: stopping,
    };
    let mut recording = JoinSet::new();
    recording.spawn(recorder.run());
    let (events, inbox) = Events::new(client.clone(), Arc::clone(&metrics), stop.subscribe());
    recording.spawn(events.run());
    // Good until the next round and one more: a holder that is gone is noticed then.
    let lasts = prune_every.saturating_mul(2);
    let pruning = Claim::new(client.clone(), &namespace, lease::PRUNING, lasts);
    let pruner = Pruner {
        client: client.clone(),
        reader: live.clone(),
        claim: pruning.clone(),
        known: known.clone(),
        metrics: Arc::clone(&metrics),
        listings: listed,
        policies: Arc::clone(&policies),
        followed: followed.clone(),
        every: prune_every,
    };
    let policy = PolicyWatch::new(
        client.clone(),
        Arc::clone(&policies),
        Arc::clone(&metrics),
        Arc::clone(&readiness),
        following,
    );
    let follow = Follow {
        client,
        known: known.clone(),
        policies,
        metrics,
        readiness,
        touched,
        listings,
        followed,
    };
    let mut watching = JoinSet::new();
    watching.spawn(policy.run());
    let (shared, gauged) = (Arc::clone(&follow.policies), Arc::clone(&follow.metrics));
    watching.spawn(gauges::run(known.clone(), gauged, shared));
    watching.spawn(pruner.run());
    watching.spawn(namespaces::count(follow.client.clone(), Arc::clone(&follow.metrics)));
    for source in [Source::Jobs, Source::Records, Source::Overrides] {
        let not_yet = format!("the {} are not listed yet", source.name());
        follow.readiness.wait_for(source.name(), not_yet);
        watching.spawn(follow.clone().run(source));
    }
    Ok(Watch {
        state: known.share(),
        live: Arc::new(live),
        announce: Arc::new(inbox),
        watching,
        recording,
        pruning,
        stop,
    })
}

impl Watch {
    /// Ends the watches, gives up the Lease for pruning, and then, as soon as the records that are still to be written are, or `grace` is over, the
    /// rest.
    pub async fn stop(mut self, grace: Duration) {
        self.watching.shutdown().await;
        self.stop.send_replace(Some(grace));
        // The pruner has ended, so it does not claim again.
        let recorded = async { while self.recording.join_next().await.is_some() {} };
        tokio::join!(recorded, self.pruning.give_up());
    }
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the API server may say nothing. Longer than a watch lasts, see `follow`.
const SILENCE: Duration = Duration::from_secs(75);

async fn client_config(kubeconfig: Option<&Path>) -> Result<ClientConfig, StartError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let wrong = |source| StartError::Kubeconfig { path: path.to_owned(), source };
            let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
            ClientConfig::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(wrong)?
        }
        None => ClientConfig::infer().await?,
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // What is to be repeated, and when, is decided here: kube would wait for up to 1000 s.
    config.default_retry = false;
    Ok(config)
}
