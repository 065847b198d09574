//! The command line.

#[cfg(feature = "serve")]
mod certs;
mod check;
mod rules;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod wait_for_db;
#[cfg(feature = "serve")]
mod why;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use thiserror::Error;

/// Keeps schema and code in step on Kubernetes: an admission webhook and linter for database migrations.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check manifests offline, with the verdicts that the webhook gives in an enforcing namespace.
    Check(check::Arguments),
    /// Explain a rule: what it checks, why it matters, an example, what may be configured.
    Explain(rules::ExplainArguments),
    /// List all rules.
    Rules(rules::RulesArguments),
    /// Serve the admission webhook.
    #[cfg(feature = "serve")]
    Serve(Box<serve::Arguments>),
    /// Tell why a workload may or may not roll out, or decide on a recorded review once more.
    ///
    /// Exit status 0: it would be admitted; 1: it would be held; 2: it could not be told.
    #[cfg(feature = "serve")]
    Why(why::Arguments),
    /// Wait until databases are ready, as the init container of a migration.
    ///
    /// Exit status 0: ready, or nothing to wait for; 1: not ready in time; 2: bad arguments; 3: a server says that
    /// waiting is useless; 143: ended by SIGTERM or SIGINT.
    #[cfg(feature = "serve")]
    WaitForDb(wait_for_db::Arguments),
    /// Make a throw-away CA and server certificate for development.
    #[cfg(feature = "serve")]
    Certs(certs::Arguments),
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Nothing to complain about.
const SUCCESS: u8 = 0;
/// Something is refused or held.
const REFUSED: u8 = 1;
/// The command could not do its work.
const COULD_NOT: u8 = 2;

/// Why a command could not do its work.
#[derive(Debug, Error)]
enum CliError {
    #[error(transparent)]
    Load(#[from] crate::check::load::LoadError),
    #[error(transparent)]
    Policy(#[from] crate::check::policy::PolicyFileError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot write the output as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("there is no rule {0:?}; `wavegate rules` lists them")]
    UnknownRule(String),
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Serve(#[from] serve::Error),
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Why(#[from] why::Error),
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Certs(#[from] crate::certs::CertsError),
}

impl Cli {
    /// Runs the command and says how it ended: 0 if all is well, 1 if something is refused or held, 2 if the command
    /// could not do its work.
    pub fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::Check(arguments) => arguments.run(),
            Command::Explain(arguments) => arguments.run(),
            Command::Rules(arguments) => arguments.run(),
            #[cfg(feature = "serve")]
            Command::Serve(arguments) => arguments.run(),
            #[cfg(feature = "serve")]
            Command::Why(arguments) => arguments.run(),
            #[cfg(feature = "serve")]
            Command::WaitForDb(arguments) => Ok(arguments.run()),
            #[cfg(feature = "serve")]
            Command::Certs(arguments) => arguments.run(),
        };
        match outcome {
            Ok(code) => ExitCode::from(code),
            // Whoever reads our output has seen enough, as in `wavegate rules | head -1`.
            Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::from(SUCCESS)
            }
            Err(error) => {
                // There is nobody left to tell if standard error is closed as well.
                let _ = writeln!(io::stderr(), "wavegate: {error}");
                ExitCode::from(COULD_NOT)
            }
        }
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
