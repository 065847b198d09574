//! The outcome of a decision.

use crate::policy::{Effect, Finding, Problems, Rule, Severity};

/// What wavegate says about a request.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Findings, those that deny first.
    pub findings: Vec<Finding>,
    /// Remarks that belong to no rule, each a sentence.
    pub notices: Vec<String>,
    /// Why the object could not be read. No API server sends such an object; it is refused where wavegate
    /// enforces, as everything that wavegate cannot vouch for.
    pub unreadable: Option<String>,
    softened: bool,
}

impl Decision {
    /// Whether the request is let through.
    pub fn is_allowed(&self) -> bool {
        let denies = self.findings.iter().any(|finding| finding.effect() == Effect::Deny);
        !denies && (self.unreadable.is_none() || self.softened)
    }

    /// The findings that deny.
    pub fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.effect() == Effect::Deny)
    }

    /// The findings that warn.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.effect() == Effect::Warn)
    }

    pub(super) fn add(
        &mut self,
        rule: &'static Rule,
        severity: Severity,
        may_deny: bool,
        found: &mut Problems,
    ) {
        self.findings.extend(found.drain().map(|problem| {
            let denies = severity == Severity::Deny && may_deny && !problem.advice;
            Finding::new(rule, if denies { Effect::Deny } else { Effect::Warn }, problem)
        }));
    }

    /// Turns every denial into a warning.
    pub(super) fn soften(&mut self) {
        self.softened = true;
        self.findings.iter_mut().for_each(Finding::soften);
    }

    /// Turns the denials into warnings that another decision has findings for: by the same rule, at the same path.
    pub(super) fn soften_those_of(&mut self, other: &Self) {
        let denials = self.findings.iter_mut().filter(|finding| finding.effect() == Effect::Deny);
        for denial in denials {
            let same =
                |other: &Finding| other.code() == denial.code() && other.path() == denial.path();
            if other.findings.iter().any(same) {
                denial.soften();
            }
        }
    }

    /// Denials first; the catalogue's order, which is that of the codes, among equals.
    pub(super) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (finding.effect(), finding.code()));
    }
}
