//! `wavegate why`.

mod cluster;

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error as ThisError;

use self::cluster::{Access, Connection};
use super::check::load_policies;
use super::{CliError, Output, REFUSED, SUCCESS, print};
use crate::cluster::ClusterState;
use crate::engine;
use crate::policy::Policies;
use crate::why::{self, Target, TargetError, WhyError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The workload, as deployment/NAME or deployment NAME; kinds are deployment, statefulset, daemonset and rollout.
    #[arg(num_args = 1..=2, value_name = "KIND/NAME", required_unless_present = "review", conflicts_with = "review")]
    workload: Vec<String>,
    /// Namespace of the workload; without one it is that of the kubeconfig's context.
    #[arg(long, short, conflicts_with = "review")]
    namespace: Option<String>,
    /// Judge this image in place of the app container's; without one the workload is judged as it is.
    #[arg(long, conflicts_with = "review")]
    image: Option<String>,
    /// File with a recorded AdmissionReview, or - for standard input, to be decided once more. No cluster is asked for
    /// what has happened unless a kubeconfig is named.
    #[arg(long, value_name = "FILE")]
    review: Option<String>,
    /// What the namespace of the recorded review wants.
    #[arg(long, value_enum, default_value_t, conflicts_with = "workload")]
    mode: Mode,
    /// Kubeconfig file; without one it is $KUBECONFIG, ~/.kube/config or the pod's service account.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
    /// File with the `RolloutPolicy` to decide by; without one it is the one that is stored in the cluster.
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// The `ValidatingWebhookConfiguration` by which wavegate is registered. It tells the mode of the namespace.
    #[arg(long, value_name = "NAME", default_value = "wavegate")]
    webhook_configuration: String,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Findings that deny refuse the request.
    #[default]
    Enforce,
    /// Every finding warns.
    Warn,
}

/// Why it cannot be told.
#[derive(Debug, ThisError)]
pub(super) enum Error {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Why(#[from] WhyError),
    #[error("{review}: {source}")]
    Review { review: String, source: WhyError },
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
}

impl Arguments {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let named = load_policies(self.policy.as_deref())?;
        if let Some(review) = &self.review {
            let replay = runtime.block_on(self.replay(review, named))?;
            self.print(&replay, why::Replay::text)?;
            return Ok(exit_status(replay.is_admitted()));
        }
        let explanation = runtime.block_on(self.explain(named))?;
        self.print(&explanation, why::Explanation::text)?;
        Ok(exit_status(explanation.is_admitted()))
    }

    fn print<T: Serialize>(&self, document: &T, text: fn(&T) -> String) -> Result<(), CliError> {
        print(&match self.output {
            Output::Text => text(document),
            Output::Json => serde_json::to_string_pretty(document)? + "\n",
        })
    }

    async fn connect(&self) -> Result<Connection, cluster::Error> {
        let (kubeconfig, context) = (self.kubeconfig.clone(), self.context.clone());
        let configuration = self.webhook_configuration.clone();
        Connection::make(Access { kubeconfig, context, configuration }).await
    }

    async fn explain(&self, named: Option<Policies>) -> Result<why::Explanation, Error> {
        let target = Target::parse(&self.workload)?;
        let connection = self.connect().await?;
        let policies = connection.settle_policy(named).await?;
        let seen = connection.see(target, self.namespace.as_deref()).await?;
        let policy = policies.of(&seen.namespace);
        Ok(why::explain(&seen, self.image.as_deref(), policy, Timestamp::now())?)
    }

    async fn replay(&self, review: &str, named: Option<Policies>) -> Result<why::Replay, Error> {
        let body =
            read(review).map_err(|source| Error::Read { path: review.to_owned(), source })?;
        let now = Timestamp::now();
        let names_cluster = self.kubeconfig.is_some() || self.context.is_some();
        let connection = if names_cluster { Some(self.connect().await?) } else { None };
        let policies = match &connection {
            Some(connection) => connection.settle_policy(named).await?,
            None => Arc::new(named.unwrap_or_default()),
        };
        let wrong = |source| Error::Review { review: name(review).to_owned(), source };
        let question = why::question(&body, &policies, now).map_err(wrong)?;
        let mut state = ClusterState::default();
        if let Some(question) = question
            && let Some(connection) = &connection
        {
            let namespace = question.namespace.clone();
            state = state.confirmed(&namespace, connection.read(question).await?);
        }
        let mode = match self.mode {
            Mode::Enforce => engine::Mode::Enforce,
            Mode::Warn => engine::Mode::Warn,
        };
        why::replay(&body, mode, &state, &policies, now).map_err(wrong)
    }
}

fn exit_status(admitted: bool) -> u8 {
    if admitted { SUCCESS } else { REFUSED }
}

fn name(path: &str) -> &str {
    if path == "-" { "<stdin>" } else { path }
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    if path != "-" {
        return fs::read(path);
    }
    let mut body = Vec::new();
    io::stdin().lock().read_to_end(&mut body)?;
    Ok(body)
}
