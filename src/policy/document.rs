//! The policy as people write it: the spec of a `RolloutPolicy`, and how settings are made of it.
//!
//! The same text is read from the cluster and by `wavegate check --policy`; both are told the same of what is wrong.

pub mod compile;
mod duration;
mod expiry;
mod parameters;
pub mod read;
mod settings;
pub mod spec;
pub mod status;
pub mod weaken;

use std::fmt;

pub use compile::compile;
pub use expiry::{check_expiry, exemption_notices};
pub use read::read;
pub use spec::RolloutPolicySpec;

/// Kind of the policy.
pub const KIND: &str = "RolloutPolicy";
/// Its name in addresses.
pub const PLURAL: &str = "rolloutpolicies";
/// Name of the one that is in force.
pub const ACTIVE: &str = "default";

/// Something wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Field path, such as `spec.exemptions[2].expires`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Collects what is wrong, with the path to where it stands.
#[derive(Debug, Default)]
struct Errors(Vec<PolicyError>);

impl Errors {
    fn push(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(PolicyError { path: path.to_owned(), message: message.into() });
    }

    /// What was read, or nothing and an error at this place.
    fn take<T, E: fmt::Display>(&mut self, path: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.push(path, error.to_string());
                None
            }
        }
    }
}

/// All errors on one line.
pub fn one_line(errors: &[PolicyError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests;
