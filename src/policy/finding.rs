//! What a rule says about an object.

use std::fmt;

use super::exemption::{Exempted, Standing};
use super::rule::Rule;

/// What a finding does to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It refuses the request.
    Deny,
    /// It is told to the client.
    Warn,
}

impl Effect {
    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// What a rule found, before the engine decides what it does to the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Field path, such as `spec.backoffLimit`.
    pub path: String,
    /// What was found and what is wanted: lower case, no full stop.
    pub message: String,
    /// What to write instead, as an instruction.
    pub help: String,
    /// Whether it only ever warns, whatever the rule's severity.
    pub advice: bool,
}

/// Collects a rule's problems.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Reports a problem of the rule's own severity.
    pub fn push(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(path.into(), message.into(), help.into(), false);
    }

    /// Reports a problem that only ever warns.
    pub fn advise(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(path.into(), message.into(), help.into(), true);
    }

    /// Reports a problem of the rule's own severity, or one that only warns.
    pub fn push_or_advise(
        &mut self,
        denies: bool,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(path.into(), message.into(), help.into(), !denies);
    }

    fn add(&mut self, path: String, message: String, help: String, advice: bool) {
        self.0.push(Problem { path, message, help, advice });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Problem> + '_ {
        self.0.drain(..)
    }
}

/// A problem with the rule that found it and its effect. Only the engine makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    rule: &'static Rule,
    effect: Effect,
    problem: Problem,
    gate: bool,
    exempted: Option<Exempted>,
}

impl Finding {
    pub(crate) fn new(rule: &'static Rule, effect: Effect, problem: Problem) -> Self {
        Self { rule, effect, problem, gate: false, exempted: None }
    }

    /// A finding about what has happened, which a dry run must not be refused for.
    pub(crate) fn of_gate(self) -> Self {
        Self { gate: true, ..self }
    }

    /// Whether it is about what has happened in the cluster, not about the object.
    pub fn is_of_gate(&self) -> bool {
        self.gate
    }

    /// Whether a person's Bypass lets through what this finding holds.
    pub fn yields_to_bypass(&self) -> bool {
        self.is_of_gate() && matches!(self.code(), "WG301" | "WG302" | "WG306" | "WG308")
    }

    /// Says that what it rests on could not be confirmed.
    pub(crate) fn doubt(&mut self, reason: &str) {
        let told = &self.problem.message;
        self.problem.message = format!("{told} (as last seen: {reason}, which is not your fault)");
    }

    /// The rule.
    pub fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// The rule's code.
    pub fn code(&self) -> &'static str {
        self.rule.code
    }

    /// What it does to the request.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Field path.
    pub fn path(&self) -> &str {
        &self.problem.path
    }

    /// What was found and what is wanted.
    pub fn message(&self) -> &str {
        &self.problem.message
    }

    /// What to write instead.
    pub fn help(&self) -> &str {
        &self.problem.help
    }

    /// The exemption that speaks of it, which holds or has ended.
    pub fn exempted(&self) -> Option<&Exempted> {
        self.exempted.as_ref()
    }

    /// Whether it only warns because somebody exempted it.
    pub fn is_exempted(&self) -> bool {
        self.exempted.as_ref().is_some_and(|exempted| exempted.standing != Standing::Expired)
    }

    /// Notes an exemption that speaks of it; one that holds makes it a warning.
    pub(crate) fn exempt(&mut self, exempted: Exempted) {
        self.problem.message = format!("{} ({exempted})", self.problem.message);
        if exempted.standing != Standing::Expired {
            self.effect = Effect::Warn;
        }
        self.exempted = Some(exempted);
    }

    pub(crate) fn soften(&mut self) {
        self.effect = Effect::Warn;
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}; {}", self.code(), self.path(), self.message(), self.help())
    }
}
