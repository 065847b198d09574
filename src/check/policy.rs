//! A policy in a file, for the linter: the same text as in the cluster, and the same errors, with their lines.

use std::path::Path;

use jiff::Timestamp;
use thiserror::Error;

use super::load::{LoadError, Source, load_file};
use crate::policy::document::weaken::weakenings;
use crate::policy::document::{KIND, PolicyError, check_expiry, compile, exemption_notices, read};
use crate::policy::{Policies, Policy};

/// Why a file is no policy.
#[derive(Debug, Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It says something that a policy cannot say. Each line has file, line and field.
    #[error("{0}")]
    Invalid(String),
}

/// Settings of a file, and what its author should know.
#[derive(Debug)]
pub struct PolicyFile {
    /// The settings.
    pub policies: Policies,
    /// What weakens the defaults, and exemptions that end soon, each a sentence.
    pub notices: Vec<String>,
}

/// Reads a file that holds one `RolloutPolicy`.
///
/// # Errors
///
/// Fails with everything that the cluster would refuse it for, an exemption whose day has passed included.
pub fn load_policy(path: &str, now: Timestamp) -> Result<PolicyFile, PolicyFileError> {
    policy_of(&load_file(Path::new(path))?, now)
}

/// The policy of a source.
///
/// # Errors
///
/// As [`load_policy`].
pub fn policy_of(source: &Source, now: Timestamp) -> Result<PolicyFile, PolicyFileError> {
    let name = &source.name;
    let invalid = |text: String| PolicyFileError::Invalid(text);
    let documents = source
        .documents
        .as_ref()
        .map_err(|error| invalid(format!("{name}:{}: {error}", error.location.line)))?;
    let [document] = documents.as_slice() else {
        let count = documents.len();
        return Err(invalid(format!("{name}: holds {count} documents; write one {KIND}")));
    };
    let told = |errors: Vec<PolicyError>| {
        let line =
            |error: &PolicyError| format!("{name}:{}: {error}", document.locate(&error.path).line);
        invalid(errors.iter().map(line).collect::<Vec<_>>().join("\n"))
    };
    let read = read(&document.value).map_err(|error| told(vec![error]))?;
    let compiled = compile(&read.spec, &Policy::default());
    let expiry = check_expiry(&read.spec, now);
    match (compiled, expiry) {
        (Ok(policies), Ok(())) => {
            let mut notices = weakenings(&read.spec);
            notices.extend(exemption_notices(&policies, now));
            Ok(PolicyFile { policies, notices })
        }
        (compiled, expiry) => {
            let mut errors = compiled.err().unwrap_or_default();
            errors.extend(expiry.err().unwrap_or_default());
            Err(told(errors))
        }
    }
}
