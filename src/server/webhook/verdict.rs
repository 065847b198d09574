//! What came of a request: the answer, and the words for its log event and its span.

use crate::admission::{
    Admission, PolicyReview, answer_mutation, answer_policy, answer_unknown_mode, answer_validation,
};
use crate::engine::{Decision, Mutation};
use crate::policy::{Finding, Policy};

/// A request's outcome.
pub(in crate::server) struct Verdict {
    pub(super) body: Result<Vec<u8>, serde_json::Error>,
    pub(in crate::server) outcome: &'static str,
    /// Codes of rules, or the paths of what is wrong in a policy.
    pub(in crate::server) denied: String,
    pub(in crate::server) warned: String,
    /// Overrides that let it through, as `Kind/name`.
    pub(in crate::server) overrides: String,
}

impl Verdict {
    /// One that says nothing but its outcome.
    fn plain(body: Result<Vec<u8>, serde_json::Error>, outcome: &'static str) -> Self {
        let nothing = String::new;
        Self { body, outcome, denied: nothing(), warned: nothing(), overrides: nothing() }
    }

    pub(super) fn of_unknown_mode(admission: &Admission<'_>) -> Self {
        Self::plain(answer_unknown_mode(admission), "allowed")
    }

    pub(super) fn of_mutation(admission: &Admission<'_>, mutation: &Mutation) -> Self {
        let outcome = if mutation.patch.0.is_empty() { "unchanged" } else { "patched" };
        Self::plain(answer_mutation(admission, mutation), outcome)
    }

    pub(super) fn of_configuration(admission: &Admission<'_>, review: &PolicyReview) -> Self {
        let paths: Vec<&str> = review.errors.iter().map(|error| error.path.as_str()).collect();
        let outcome = if paths.is_empty() { "allowed" } else { "denied" };
        let answer = Self::plain(answer_policy(admission, review), outcome);
        Self { denied: paths.join(","), ..answer }
    }

    pub(super) fn of_validation(
        admission: &Admission<'_>,
        policy: &Policy,
        decision: &Decision,
    ) -> Self {
        Self {
            body: answer_validation(admission, decision, policy),
            outcome: if decision.is_allowed() { "allowed" } else { "denied" },
            denied: codes(decision.denials()),
            warned: codes(decision.warnings()),
            overrides: decision.overrides_named(),
        }
    }
}

fn codes<'f>(findings: impl Iterator<Item = &'f Finding>) -> String {
    findings.map(Finding::code).fold(String::new(), |mut codes, code| {
        if !codes.is_empty() {
            codes.push(',');
        }
        codes.push_str(code);
        codes
    })
}
