//! What is worth an Event: something that was said of an object and that nobody may have read.
//!
//! Argo CD shows a denial but drops warnings, and a denial is gone with the next sync. An Event stays for an hour,
//! where people look for it.

use std::fmt;

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
    /// The request was let through because somebody said so.
    Overridden,
}

impl Reason {
    /// The reason of the Event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "Denied",
            Self::Warned => "Warned",
            Self::Overridden => "Overridden",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
