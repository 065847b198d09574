//! `wavegate certs`.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, SUCCESS, print};
use crate::certs::{self, CertsOptions, SubjectName, Validity};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where the files go; created if need be.
    #[arg(long, short, default_value = "certs-dev")]
    directory: PathBuf,
    /// DNS name that the certificate speaks for; may be repeated.
    #[arg(long = "dns", value_name = "NAME")]
    dns: Vec<SubjectName>,
    /// IP address that the certificate speaks for; may be repeated.
    #[arg(long = "ip", value_name = "ADDRESS")]
    ip: Vec<SubjectName>,
    /// How long the certificates hold: a number of days, or such as 12w or 2y.
    #[arg(long = "days", value_name = "DAYS", default_value = "90")]
    validity: Validity,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        let mut names: Vec<SubjectName> = self.dns.iter().chain(&self.ip).cloned().collect();
        if names.is_empty() {
            names = vec!["localhost".parse()?, "127.0.0.1".parse()?];
        }
        let written = certs::run(&CertsOptions {
            directory: self.directory.clone(),
            names,
            validity: self.validity,
            force: self.force,
        })?;
        print(&format!("{written}\n"))?;
        Ok(SUCCESS)
    }
}
