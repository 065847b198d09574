//! `wavegate rules` and `wavegate explain`.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::{CliError, Output, SUCCESS, print};
use crate::policy::Rule;
use crate::policy::rules::{self, RULES};

#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// Code or name of a rule, such as WG101 or retries-enabled.
    rule: String,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

#[derive(Serialize)]
struct RuleDocument {
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    scope: &'static str,
    summary: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    docs: Option<String>,
}

impl RuleDocument {
    fn of(rule: &'static Rule, docs: Option<String>) -> Self {
        Self {
            code: rule.code,
            name: rule.name,
            severity: rule.severity.name(),
            scope: rule.scope.name(),
            summary: rule.summary(),
            docs,
        }
    }
}

impl RulesArguments {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        let text = match self.output {
            Output::Json => {
                let documents: Vec<_> =
                    RULES.iter().map(|rule| RuleDocument::of(rule, None)).collect();
                serde_json::to_string_pretty(&documents)? + "\n"
            }
            Output::Text => RULES.iter().fold(String::new(), |mut text, rule| {
                let (code, severity, name) = (rule.code, rule.severity.name(), rule.name);
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{code}  {severity:<4}  {name:<26}  {}", rule.summary());
                text
            }),
        };
        print(&text)?;
        Ok(SUCCESS)
    }
}

impl ExplainArguments {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        let found = rules::find(&self.rule);
        let rule = found.ok_or_else(|| CliError::UnknownRule(self.rule.clone()))?;
        let text = match self.output {
            Output::Text => rule.page(),
            Output::Json => {
                serde_json::to_string_pretty(&RuleDocument::of(rule, Some(rule.page())))? + "\n"
            }
        };
        print(&text)?;
        Ok(SUCCESS)
    }
}
