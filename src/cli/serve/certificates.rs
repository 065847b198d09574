//! Arguments about certificates that wavegate keeps itself.

use std::time::Duration;

use clap::Args;
use thiserror::Error;

use super::duration;
use crate::certs::{CertsError, SubjectName};
use crate::watch::certificates::{Lifetimes, Options};

#[derive(Debug, Args)]
pub(super) struct Certificates {
    /// Make, renew and publish certificates without anybody's help, instead of reading them from files.
    #[arg(
        id = "managed_certificates",
        long = "managed-certificates",
        env = "WAVEGATE_MANAGED_CERTIFICATES",
        conflicts_with = "standalone"
    )]
    managed: bool,
    /// Secret in wavegate's namespace that holds the managed certificates. It must exist; it may be empty.
    #[arg(long, default_value = "wavegate-certificates", value_name = "NAME")]
    certificate_secret: String,
    /// Service in wavegate's namespace that API servers call: managed certificates speak for it.
    #[arg(long, env = "WAVEGATE_SERVICE", default_value = "wavegate", value_name = "NAME")]
    service: String,
    /// Further DNS name or IP address that managed certificates speak for.
    #[arg(long, value_name = "NAME")]
    certificate_name: Vec<SubjectName>,
    /// Name of both webhook configurations, which get the managed CA as their caBundle.
    #[arg(long, default_value = "wavegate", value_name = "NAME")]
    webhook_configuration: String,
    /// How long a managed certificate holds; a new one is made when two thirds are over.
    #[arg(long, value_parser = duration, default_value = "90d", value_name = "DURATION")]
    leaf_lifetime: Duration,
    /// How long a managed CA holds; a new one is made when two thirds are over.
    #[arg(long, value_parser = duration, default_value = "1825d", value_name = "DURATION")]
    ca_lifetime: Duration,
    /// How long a new CA is published before it signs: what every API server needs to hear of it.
    #[arg(long, value_parser = duration, default_value = "1m", value_name = "DURATION")]
    certificate_settle: Duration,
    /// How long an old CA stays published after that: what every replica needs to hear of the new certificate.
    #[arg(long, value_parser = duration, default_value = "1h", value_name = "DURATION")]
    certificate_overlap: Duration,
}

/// Why certificates cannot be kept.
#[derive(Debug, Error)]
pub(in crate::cli) enum Wrong {
    #[error(transparent)]
    Name(#[from] CertsError),
    #[error("{0}")]
    Lifetimes(String),
}

impl Certificates {
    /// What to keep, where it is asked for.
    pub(super) fn options(&self, namespace: &str) -> Result<Option<Options>, Wrong> {
        if !self.managed {
            return Ok(None);
        }
        let mut names = SubjectName::of_service(&self.service, namespace)?;
        names.extend(self.certificate_name.iter().cloned());
        let lifetimes = Lifetimes {
            leaf: self.leaf_lifetime,
            ca: self.ca_lifetime,
            settle: self.certificate_settle,
            overlap: self.certificate_overlap,
        };
        Ok(Some(Options {
            secret: self.certificate_secret.clone(),
            configuration: self.webhook_configuration.clone(),
            names,
            lifetimes: lifetimes.check().map_err(Wrong::Lifetimes)?,
        }))
    }
}
