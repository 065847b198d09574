//! `wavegate serve`: wiring only.

mod certificates;
mod traces;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::{ArgGroup, Args, ValueEnum};
use thiserror::Error as ThisError;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::{CliError, SUCCESS};
use crate::domain::image::ImageRef;
use crate::policy::{Policy, Waiter, WaiterForm, WaiterMode};
use crate::server::traces::TracesError;
use crate::server::webhook::{Cluster, SharedPolicies, Webhook};
use crate::server::{
    self, Drain, Limits, Metrics, Readiness, ServeError, ServerConfig, Timeouts, TlsSource,
    TlsVersion,
};
use crate::watch::certificates::{Certificates, start as keep};
use crate::watch::{self, Watch};

#[derive(Debug, Args)]
// A required group, so that the message for none of them names both ways.
#[command(group = ArgGroup::new("certificate").args(["tls_cert", "managed_certificates"]).required(true))]
pub(super) struct Arguments {
    /// Address of the webhook port; port 0 lets the operating system choose, and the log tells which.
    #[arg(long, env = "WAVEGATE_LISTEN", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Address of the port for /healthz, /readyz and /metrics.
    #[arg(long, env = "WAVEGATE_HEALTH_LISTEN", default_value = "0.0.0.0:8080")]
    health_listen: SocketAddr,
    /// PEM file with the server's certificate and its chain; read again when it changes. Needed unless certificates are
    /// managed.
    #[arg(
        long,
        env = "WAVEGATE_TLS_CERT",
        requires = "tls_key",
        conflicts_with = "managed_certificates"
    )]
    tls_cert: Option<PathBuf>,
    /// PEM file with the server's key; needed with --tls-cert.
    #[arg(
        long,
        env = "WAVEGATE_TLS_KEY",
        requires = "tls_cert",
        conflicts_with = "managed_certificates"
    )]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    certificates: certificates::Certificates,
    /// PEM file with the CA of the clients that may connect; without it every client may.
    #[arg(long, env = "WAVEGATE_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    /// Oldest TLS version that is spoken.
    #[arg(long, value_enum, default_value = "1.3")]
    tls_min_version: MinVersion,
    /// How long to serve on after SIGTERM, while /readyz fails and clients are asked to go elsewhere.
    #[arg(long, value_parser = duration, default_value = "10s", value_name = "DURATION")]
    drain_delay: Duration,
    /// Largest number of requests in handling; further ones are answered 429.
    #[arg(long, default_value_t = Limits::default().requests)]
    max_requests: usize,
    /// Largest number of connections; further ones are answered 429.
    #[arg(long, default_value_t = Limits::default().connections)]
    max_connections: usize,
    /// Kubeconfig file of the cluster whose migrations are watched; without one it is $KUBECONFIG,
    /// ~/.kube/config or the pod's service account.
    #[arg(long, env = "WAVEGATE_KUBECONFIG", conflicts_with = "standalone")]
    kubeconfig: Option<PathBuf>,
    /// Serve without a cluster: objects are judged by themselves, and nothing is known of what has happened.
    #[arg(long, env = "WAVEGATE_STANDALONE")]
    standalone: bool,
    /// wavegate's own namespace, where its replicas agree on who prunes records, and where its certificates are.
    #[arg(long, env = "WAVEGATE_NAMESPACE", default_value = "wavegate")]
    namespace: String,
    /// How often records that nobody needs any more are removed.
    #[arg(long, value_parser = duration, default_value = "10m", value_name = "DURATION")]
    prune_every: Duration,
    /// What waits in the init container that is added to migrations.
    #[arg(long, env = "WAVEGATE_WAITER", value_enum, default_value = "native")]
    waiter: WaiterKind,
    /// wavegate's own image, as nodes pull it: that of the native waiter. Without one the waiter is busybox's.
    #[arg(long, env = "WAVEGATE_WAITER_IMAGE", value_name = "REF", value_parser = image)]
    waiter_image: Option<String>,
    /// Image of the busybox waiter: one with a shell and nc.
    #[arg(long, env = "WAVEGATE_BUSYBOX_IMAGE", value_name = "REF", value_parser = image)]
    busybox_image: Option<String>,
    /// User that the busybox waiter runs as where its pod chooses none; `none` leaves it to the cluster.
    #[arg(long, env = "WAVEGATE_BUSYBOX_USER", default_value = "65532", value_parser = user)]
    busybox_user: User,
    #[command(flatten)]
    tracing: traces::Tracing,
    /// What to log, and everything worse.
    #[arg(long, env = "WAVEGATE_LOG", default_value = "info", value_name = "LEVEL")]
    log: LevelFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MinVersion {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WaiterKind {
    /// wavegate's own `wait-for-db`.
    Native,
    /// A loop around `nc` in a shell.
    Busybox,
}

/// Why the server does not serve.
#[derive(Debug, ThisError)]
pub(super) enum Error {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Watch(#[from] watch::StartError),
    #[error("cannot deliver traces: {0}")]
    Traces(#[from] TracesError),
    #[error("cannot manage certificates: {0}")]
    Certificates(#[from] certificates::Wrong),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot start the log: {0}")]
    Log(#[source] io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

impl Arguments {
    pub(super) fn run(self) -> Result<u8, CliError> {
        let log = server::log::start(self.log, io::stdout()).map_err(Error::Log)?;
        log_panics_without_their_payload();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let outcome = runtime.block_on(self.serve());
        drop(log);
        // A look-up of the collector's name may still hold a thread, for longer than anybody waits for this process.
        runtime.shutdown_background();
        outcome?;
        Ok(SUCCESS)
    }

    async fn serve(self) -> Result<(), Error> {
        let shutdown = shutdown().map_err(Error::Signals)?;
        let webhook = server::listen(self.listen).await?;
        let health = server::listen(self.health_listen).await?;
        let metrics = Arc::new(Metrics::new());
        let traces = self.tracing.start(&metrics)?;
        let readiness = Arc::new(Readiness::new());
        let policy = self.policy();
        let waiter = policy.waiter.clone();
        let policies: SharedPolicies = Arc::new(ArcSwap::from_pointee(policy.into()));
        let certificates = self.certificates.options(&self.namespace)?;
        let watch = self.watch(&policies, &metrics, &readiness).await?;
        let certificates = match &certificates {
            Some(options) => {
                let (metrics, readiness) = (Arc::clone(&metrics), Arc::clone(&readiness));
                let kubeconfig = self.kubeconfig.as_deref();
                Some(keep(kubeconfig, &self.namespace, options, metrics, readiness).await?)
            }
            None => None,
        };
        let cluster = watch.as_ref().map_or_else(Cluster::default, |watch| Cluster {
            state: Arc::clone(&watch.state),
            live: Some(Arc::clone(&watch.live)),
            announce: Some(Arc::clone(&watch.announce)),
        });
        let decide = Arc::new(Webhook::following(policies, cluster, Arc::clone(&metrics)));
        // Port 0 was resolved by now; an address that cannot be told is not worth failing for.
        tracing::info!(
            listen = webhook.local_addr().ok().map(tracing::field::display),
            health = health.local_addr().ok().map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        tell_of_fallback(&waiter);
        let config = ServerConfig {
            webhook,
            health,
            tls: self.tls(certificates.as_ref()),
            limits: Limits {
                requests: self.max_requests,
                connections: self.max_connections,
                ..Limits::default()
            },
            timeouts: Timeouts::default(),
            drain: Drain { delay: self.drain_delay, ..Drain::default() },
            metrics,
            readiness,
            traces: traces.clone(),
        };
        server::run(config, decide, shutdown).await?;
        let stop_watch = async {
            if let Some(watch) = watch {
                watch.stop(FLUSH).await;
            }
        };
        let stop_certificates = async {
            if let Some(certificates) = certificates {
                certificates.stop().await;
            }
        };
        let stop_traces = async {
            if let Some(traces) = traces {
                traces.stop().await;
            }
        };
        tokio::join!(stop_watch, stop_certificates, stop_traces);
        Ok(())
    }

    /// The cluster; none where the command line says so.
    async fn watch(
        &self,
        policies: &SharedPolicies,
        metrics: &Arc<Metrics>,
        readiness: &Arc<Readiness>,
    ) -> Result<Option<Watch>, Error> {
        if self.standalone {
            return Ok(None);
        }
        let config = watch::Config {
            kubeconfig: self.kubeconfig.clone(),
            namespace: self.namespace.clone(),
            policies: Arc::clone(policies),
            prune_every: self.prune_every,
        };
        Ok(Some(watch::start(config, Arc::clone(metrics), Arc::clone(readiness)).await?))
    }

    fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        let waiter = &mut policy.waiter;
        waiter.mode = match self.waiter {
            WaiterKind::Native => WaiterMode::Native,
            WaiterKind::Busybox => WaiterMode::Busybox,
        };
        waiter.image.clone_from(&self.waiter_image);
        if let Some(image) = &self.busybox_image {
            waiter.busybox_image.clone_from(image);
        }
        waiter.busybox_user = self.busybox_user.0;
        policy
    }

    fn tls(&self, managed: Option<&Certificates>) -> TlsSource {
        let path = |file: &Option<PathBuf>, key: &str| {
            file.clone().unwrap_or_else(|| PathBuf::from(format!("the Secret's {key}")))
        };
        let certificate = path(&self.tls_cert, "tls.crt");
        let mut source = TlsSource::new(certificate, path(&self.tls_key, "tls.key"));
        source.managed = managed.map(|certificates| certificates.pair.clone());
        source.client_ca.clone_from(&self.client_ca);
        source.oldest_version = match self.tls_min_version {
            MinVersion::Tls12 => TlsVersion::V1_2,
            MinVersion::Tls13 => TlsVersion::V1_3,
        };
        source
    }
}

/// How long records that are still to be written get at the end, after the last request was answered.
const FLUSH: Duration = Duration::from_secs(5);

/// An image that nobody named cannot be pulled.
fn tell_of_fallback(waiter: &Waiter) {
    if let (WaiterMode::Native, WaiterForm::Busybox { image, .. }) = (waiter.mode, waiter.form()) {
        let reason = "--waiter-image does not name wavegate's own image";
        tracing::warn!(image, reason, "migrations get a waiter of busybox");
    }
}

/// A panic's message may quote the request that it was about; where it happened is all that the log tells.
fn log_panics_without_their_payload() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panic");
    }));
}

/// Completes at SIGTERM, as the kubelet ends a pod, or at SIGINT.
fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A numeric user, or none.
#[derive(Clone, Copy, Debug)]
struct User(Option<u32>);

fn user(text: &str) -> Result<User, String> {
    match (text, text.parse()) {
        ("none", _) => Ok(User(None)),
        (_, Ok(id)) if id > 0 => Ok(User(Some(id))),
        _ => Err(format!("{text:?} is neither a user id above 0 nor `none`")),
    }
}

/// An image reference, checked before a Job's pod is refused for it.
fn image(text: &str) -> Result<String, String> {
    match ImageRef::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A duration of an argument, such as `10s`, `1h30m` or `90d`.
fn duration(text: &str) -> Result<Duration, String> {
    crate::domain::duration::parse(text).map_err(|error| format!("{text:?} {error}"))
}
