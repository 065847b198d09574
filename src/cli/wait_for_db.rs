//! `wavegate wait-for-db`.

use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use clap::Args;

use super::{COULD_NOT, REFUSED, SUCCESS};
use crate::domain::database::{Discovery, Target, discover};
use crate::domain::duration;
use crate::wait::{Ending, Named, Wait};

/// A server says that waiting is useless.
const USELESS: u8 = 3;
/// Ended by a signal: what shells make of SIGTERM.
const SIGNALLED: u8 = 143;

/// What clap would quote in its errors is taken as text and read here: it may hold a password.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to wait for: host:port, or a URL; may be repeated, and then all must be ready. Without one it is what the
    /// process's variables name, such as `DATABASE_URL` or PGHOST.
    #[arg(long = "target", value_name = "ADDRESS", allow_hyphen_values = true)]
    targets: Vec<String>,
    /// The longest that the wait may take.
    #[arg(long, default_value = "60s", value_name = "DURATION", allow_hyphen_values = true)]
    timeout: String,
    /// Want a second ready answer one second after the first, since a server may answer and restart. It does not see
    /// through a pooler that asks for passwords itself.
    #[arg(long)]
    retry_once_ready: bool,
    #[arg(hide = true)]
    stray: Vec<String>,
}

impl Arguments {
    pub(super) fn run(self) -> u8 {
        // A panic's message may quote what it was about.
        panic::set_hook(Box::new(|_| {}));
        let is_discovered = self.targets.is_empty();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.wait()));
        let error = match outcome {
            Ok(Ok(code)) => return code,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "an internal error".to_owned(),
        };
        // What was only discovered must not break a migration that works.
        if is_discovered {
            say(&format!("cannot wait: {error}; the migration is started without"));
            return SUCCESS;
        }
        say(&format!("cannot wait: {error}; the migration was not started"));
        COULD_NOT
    }

    fn wait(&self) -> io::Result<u8> {
        let bound = match self.bound() {
            Ok(bound) => bound,
            Err(reason) => return Ok(refuse(&reason)),
        };
        let targets = if self.targets.is_empty() {
            match discovered() {
                Ok(named) => vec![named],
                Err(reason) => {
                    say(&format!("{reason}; nothing to wait for"));
                    return Ok(SUCCESS);
                }
            }
        } else {
            match self.given() {
                Ok(targets) => targets,
                Err(reason) => return Ok(refuse(&reason)),
            }
        };
        let wait = Wait { targets, bound, confirm: self.retry_once_ready };
        Ok(match wait.run(&mut say)? {
            Ending::Ready => SUCCESS,
            Ending::Late => REFUSED,
            Ending::Useless => USELESS,
            Ending::Signalled => SIGNALLED,
        })
    }

    fn bound(&self) -> Result<Duration, String> {
        if !self.stray.is_empty() {
            return Err(
                "there is an argument that belongs to no option; write --target before each \
                        address"
                    .to_owned(),
            );
        }
        match duration::parse(&self.timeout) {
            Ok(bound) if !bound.is_zero() && bound <= LONGEST => Ok(bound),
            _ => {
                Err("--timeout is no duration from 1ms to 24h; write such as 60s, 2m or 1h"
                    .to_owned())
            }
        }
    }

    fn given(&self) -> Result<Vec<Named>, String> {
        let named = |(text, number): (&String, usize)| {
            let source = if self.targets.len() == 1 {
                "--target".to_owned()
            } else {
                format!("--target {number}")
            };
            match Target::parse(text) {
                Ok(target) => Ok(Named { target, source }),
                Err(reason) => Err(format!(
                    "{source} is not usable: {reason}; write host:port, or a URL such as \
                     postgres://host:5432/database"
                )),
            }
        };
        self.targets.iter().zip(1..).map(named).collect()
    }
}

const LONGEST: Duration = Duration::from_hours(24);

/// What the variables name, or why there is nothing to wait for.
fn discovered() -> Result<Named, String> {
    let variable = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
    match discover(variable) {
        Discovery::Nothing => Err("no variable names a database".to_owned()),
        Discovery::Unusable(name, reason) => Err(format!("{name} is not usable: {reason}")),
        Discovery::Local(name) => Err(format!("{name} names this pod itself")),
        Discovery::Found(name, target) => Ok(Named { target, source: name.to_owned() }),
    }
}

fn refuse(reason: &str) -> u8 {
    say(reason);
    COULD_NOT
}

/// There is nobody left to tell if standard error is closed.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "wait-for-db: {line}");
}
