//! `wavegate check`.

use std::io::{IsTerminal, Write as _};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{COULD_NOT, CliError, REFUSED, SUCCESS, print};
use crate::check::load::{self, Bundle, LoadError};
use crate::check::policy::load_policy;
use crate::check::{Report, check_by, output};
use crate::policy::{Effect, Policies};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files, directories, or - for standard input. Each is one bundle: its objects are seen together.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Namespace of objects that name none.
    #[arg(long, short, default_value = "default")]
    namespace: String,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
    /// File with the `RolloutPolicy` of the cluster, as it is stored there; without one it is the built-in policy.
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Which findings make the exit status 1.
    #[arg(long, value_enum, default_value_t)]
    fail_on: FailOn,
    /// Take each directory that holds manifests for a bundle of its own.
    #[arg(long)]
    bundle_per_dir: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines that it is about.
    #[default]
    Text,
    /// For programs: all that is known.
    Json,
    /// For code scanning and editors: SARIF 2.1.0.
    Sarif,
    /// For CI systems that show tests: JUnit XML.
    Junit,
    /// For GitHub Actions: annotations of a pull request.
    Github,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Those that refuse an object.
    #[default]
    Deny,
    /// All.
    Warn,
}

impl Arguments {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        let policies = load_policies(self.policy.as_deref())?.unwrap_or_default();
        let policy = policies.cluster();
        let mut checked: Vec<(Bundle, Report)> = Vec::new();
        for path in &self.paths {
            let before = checked.len();
            for bundle in load::load(path, self.bundle_per_dir)? {
                let report = check_by(&bundle.sources, &policies, &self.namespace);
                checked.push((bundle, report));
            }
            let nothing = |(_, report): &(Bundle, Report)| {
                report.objects.is_empty() && report.errors.is_empty()
            };
            if checked.get(before..).unwrap_or_default().iter().all(nothing) {
                return Err(LoadError::Nothing(path.clone()).into());
            }
        }
        let text = match self.output {
            Format::Text => output::text::render(&checked, policy, colour()),
            Format::Json => output::json::render(&checked, policy)?,
            Format::Sarif => output::sarif::render(&checked, policy)?,
            Format::Junit => output::junit::render(&checked, |effect| self.fails(effect)),
            Format::Github => output::github::render(&checked, policy),
        };
        print(&text)?;
        Ok(self.exit_code(&checked))
    }

    /// Whether a finding with this effect fails the check.
    fn fails(&self, effect: Effect) -> bool {
        effect == Effect::Deny || self.fail_on == FailOn::Warn
    }

    fn exit_code(&self, checked: &[(Bundle, Report)]) -> u8 {
        let mut findings = checked.iter().flat_map(|(_, report)| &report.findings);
        if checked.iter().any(|(_, report)| !report.errors.is_empty()) {
            COULD_NOT
        } else if findings.any(|checked| self.fails(checked.finding.effect())) {
            REFUSED
        } else {
            SUCCESS
        }
    }
}

/// The settings of a policy file, where one is named. What its author should know goes to standard error.
pub(super) fn load_policies(path: Option<&str>) -> Result<Option<Policies>, CliError> {
    let Some(path) = path else { return Ok(None) };
    let loaded = load_policy(path, Timestamp::now())?;
    for notice in loaded.notices {
        // Nobody is there to be told if standard error is closed.
        let _ = writeln!(std::io::stderr(), "wavegate: {path}: {notice}");
    }
    Ok(Some(loaded.policies))
}

/// Colour only where somebody sees it and did not object (<https://no-color.org>).
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}
