//! What the webhook says, in the fields of a document.

use serde::Serialize;

use crate::admission::{Admission, denial_message};
use crate::engine::Decision;
use crate::policy::{Effect, Finding, Policy};

/// What a decision says about a request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Said {
    /// Whether the request is let through.
    pub(super) admitted: bool,
    /// The denial, word for word; absent where the request is let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// Findings, those that deny first.
    pub(super) findings: Vec<Found>,
    /// Remarks that belong to no rule.
    pub(super) notices: Vec<String>,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Found {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) severity: &'static str,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) help: String,
    pub(super) docs: String,
    /// Whether it is about what has happened, not about the object.
    pub(super) gate: bool,
    /// Whether a Bypass would lift it.
    #[serde(skip)]
    pub(super) yields_to_bypass: bool,
}

impl Said {
    pub(super) fn of(admission: &Admission<'_>, decision: &Decision, policy: &Policy) -> Self {
        let admitted = decision.is_allowed();
        let unread = decision.unreadable.as_ref().filter(|_| admitted);
        let unread =
            unread.map(|reason| format!("not checked, since it could not be read: {reason}"));
        Self {
            admitted,
            message: (!admitted).then(|| denial_message(admission, decision, policy)),
            findings: decision.findings.iter().map(|finding| Found::of(finding, policy)).collect(),
            notices: decision.notices.iter().cloned().chain(unread).collect(),
        }
    }

    pub(super) fn denials(&self) -> impl Iterator<Item = &Found> {
        self.findings.iter().filter(|found| found.severity == Effect::Deny.name())
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &Found> {
        self.findings.iter().filter(|found| found.severity == Effect::Warn.name())
    }
}

impl Found {
    fn of(finding: &Finding, policy: &Policy) -> Self {
        Self {
            code: finding.code(),
            name: finding.rule().name,
            severity: finding.effect().name(),
            path: finding.path().to_owned(),
            message: finding.message().to_owned(),
            help: finding.help().to_owned(),
            docs: policy.page_of(finding.code()),
            gate: finding.is_of_gate(),
            yields_to_bypass: finding.yields_to_bypass(),
        }
    }
}
