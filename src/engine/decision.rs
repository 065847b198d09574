//! The outcome of a decision.

use jiff::Timestamp;

use crate::cluster::{Override, Question};
use crate::domain::gate_override::OverrideKind;
use crate::policy::exemption::{Exemption, Standing};
use crate::policy::{Effect, Finding, Policy, Problems, Rule, Severity};

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
    /// What must be asked of the cluster before this decision may stand.
    pub question: Option<Question>,
    pub(super) overrides: Vec<OverrideUse>,
    softened: bool,
}

/// An override that lets a request through which would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideUse {
    /// Its name, in the namespace of the request.
    pub name: String,
    /// What it does.
    pub kind: OverrideKind,
    /// The release that it lets through.
    pub release: String,
    /// Why, in its author's words.
    pub reason: String,
    /// When it counts no more; `None` where it counts until it is deleted.
    pub until: Option<Timestamp>,
}

impl OverrideUse {
    /// In a sentence, for the client.
    pub fn notice(&self) -> String {
        let Self { name, kind, release, reason, until } = self;
        let until = until.map_or_else(|| "it is deleted".to_owned(), |until| until.to_string());
        format!("GateOverride {name} ({kind}) lets {release} through until {until}: {reason}")
    }
}

impl Decision {
    /// A person's word let a release through that would be held: notes it, and says so.
    pub(super) fn hear(&mut self, one: &Override, release: &str, policy: &Policy) {
        let used = OverrideUse {
            name: one.name.clone(),
            kind: one.kind(),
            release: release.to_owned(),
            reason: one.spec.reason.clone(),
            until: one.until(policy.longest_bypass),
        };
        self.notices.push(used.notice());
        self.overrides.push(used);
    }

    /// The overrides without which this request would be refused, each use of which leaves its trace. None where it is
    /// refused all the same, where nothing is refused, and on a dry run.
    pub fn overrides_used(&self) -> &[OverrideUse] {
        if self.is_allowed() { &self.overrides } else { &[] }
    }

    /// The same in short, for logs and audit: `Bypass/hotfix,Attest/by-hand`; empty where there is none.
    pub fn overrides_named(&self) -> String {
        let named = self.overrides_used().iter().map(|used| format!("{}/{}", used.kind, used.name));
        named.collect::<Vec<_>>().join(",")
    }

    /// Whether this override lets this release through which would be held, whatever else refuses the request.
    pub fn hears(&self, one: &Override, release: &str) -> bool {
        self.overrides.iter().any(|used| used.name == one.name && used.release == release)
    }

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
        self.findings.extend(findings(rule, severity, may_deny, found));
    }

    pub(super) fn add_of_gate(
        &mut self,
        rule: &'static Rule,
        severity: Severity,
        may_deny: bool,
        found: &mut Problems,
    ) {
        self.findings.extend(findings(rule, severity, may_deny, found).map(Finding::of_gate));
    }

    /// Whether the request is refused for what has happened in the cluster.
    pub(super) fn denies_by_gate(&self) -> bool {
        self.denials().any(Finding::is_of_gate)
    }

    /// Turns the gate's denials into warnings.
    pub(super) fn soften_gate(&mut self) {
        self.findings.iter_mut().filter(|finding| finding.is_of_gate()).for_each(Finding::soften);
    }

    /// Says of the gate's denials that the cluster could not be asked, and why.
    pub(super) fn doubt_gate(&mut self, reason: &str) {
        let denials = self.findings.iter_mut().filter(|finding| finding.is_of_gate());
        denials
            .filter(|finding| finding.effect() == Effect::Deny)
            .for_each(|finding| finding.doubt(reason));
    }

    /// The findings that only warn because somebody exempted them.
    pub fn exempted(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_exempted())
    }

    /// Applies exemptions to what would deny. One that has ended is only noted.
    pub(super) fn exempt<'e>(&mut self, find: impl Fn(&str) -> Option<(&'e Exemption, Standing)>) {
        let denials = self.findings.iter_mut().filter(|finding| finding.effect() == Effect::Deny);
        for denial in denials {
            if let Some(found) = find(denial.code()) {
                denial.exempt(found.into());
            }
        }
    }

    /// Turns the denials found so far into warnings.
    pub(super) fn soften_findings(&mut self) {
        self.findings.iter_mut().for_each(Finding::soften);
    }

    /// Turns every denial into a warning.
    pub(super) fn soften(&mut self) {
        self.softened = true;
        self.soften_findings();
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

fn findings(
    rule: &'static Rule,
    severity: Severity,
    may_deny: bool,
    found: &mut Problems,
) -> impl Iterator<Item = Finding> {
    found.drain().map(move |problem| {
        let denies = severity == Severity::Deny && may_deny && !problem.advice;
        Finding::new(rule, if denies { Effect::Deny } else { Effect::Warn }, problem)
    })
}
