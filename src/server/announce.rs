//! What is worth an Event: something that was said of an object and that nobody may have read.
//!
//! Argo CD shows a denial but drops warnings, and a denial is gone with the next sync. An Event stays for an hour,
//! where people look for it.

use std::fmt;

use crate::admission::{Admission, denial_message, warnings_line};
use crate::engine::{Decision, Mode, OverrideUse};
use crate::policy::{Finding, Policy};

/// Tells the cluster what happened to an object at admission.
///
/// Called on the request path for real requests, never for dry runs. An implementation takes it and returns at once;
/// what it cannot take is dropped and counted.
pub trait Announce: Send + Sync + 'static {
    /// Tells it, sooner or later and together with others like it.
    fn announce(&self, occurrence: Occurrence);
}

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The object.
    pub object: Regarding,
    /// What happened.
    pub reason: Reason,
    /// The same for a person, in one line.
    pub note: String,
}

impl Occurrence {
    /// What a decision leaves to be told: a refusal, a request that only a person's word let through, and warnings where
    /// nothing is refused. `None` for everything else, and for a dry run.
    pub fn of(
        mode: Mode,
        admission: &Admission<'_>,
        policy: &Policy,
        decision: &Decision,
    ) -> Option<Self> {
        if admission.dry_run {
            return None;
        }
        let warns = mode == Mode::Warn && decision.warnings().next().is_some();
        let (reason, note) = if !decision.is_allowed() {
            (Reason::Denied, denial_message(admission, decision, policy))
        } else if !decision.overrides_used().is_empty() {
            let used: Vec<_> = decision.overrides_used().iter().map(OverrideUse::notice).collect();
            (Reason::Overridden, format!("{} (asked by {})", used.join("; "), admission.username))
        } else if decision.exempted().next().is_some() {
            let told: Vec<_> = decision.exempted().map(Finding::to_string).collect();
            (Reason::Exempted, told.join("; "))
        } else if warns {
            (Reason::Warned, warnings_line(decision))
        } else {
            return None;
        };
        let object = Regarding {
            api_version: admission.api_version(),
            kind: admission.kind.to_string(),
            namespace: admission.namespace.to_string(),
            name: admission.name.to_string(),
            uid: admission.stored_uid().unwrap_or_default(),
        };
        Some(Self { object, reason, note })
    }
}

/// An object, as an Event names it. One that was refused at its creation does not exist, and has no uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Regarding {
    /// Group and version, such as `apps/v1`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for what has none.
    pub namespace: String,
    /// Name, or the `generateName` prefix followed by `*`.
    pub name: String,
    /// Uid. `kubectl describe` shows only Events that carry the object's.
    pub uid: String,
}

/// What happened, as an Event's reason says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request was refused.
    Denied,
    /// The request was let through with warnings, where refusals are not wanted.
    Warned,
    /// The request was let through because of a `GateOverride`.
    Overridden,
    /// The request was let through because of an exemption of the policy.
    Exempted,
}

impl Reason {
    /// The reason of the Event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "Denied",
            Self::Warned => "Warned",
            Self::Overridden => "Overridden",
            Self::Exempted => "Exempted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
