//! Addresses of databases that anybody may read: in a key, or in a policy.

use thiserror::Error;

use super::Target;

/// Why a text may not stand where anybody can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotShown {
    /// It gives something away.
    #[error("it holds credentials; write host:port or a URL without them")]
    Credentials,
    /// It names nothing to wait for.
    #[error("it is neither host:port nor the URL of a server")]
    NoServer,
}

/// Whether a text may stand for a database without giving a password away.
///
/// # Errors
///
/// Fails on credentials, and on what names no server: the waiter fails on a target it was given.
pub fn check(text: &str) -> Result<(), NotShown> {
    let parameters = text.split_once(['?', ';']).map(|(_, rest)| rest.to_ascii_lowercase());
    let mut names = parameters.iter().flat_map(|rest| rest.split(['&', ';']));
    let is_secret = |name: &str| is_credential(name.split('=').next().unwrap_or_default());
    if text.contains('@') || names.any(is_secret) {
        return Err(NotShown::Credentials);
    }
    if text.contains(char::is_whitespace) || !text.contains(':') || Target::parse(text).is_err() {
        return Err(NotShown::NoServer);
    }
    Ok(())
}

/// Whether a name is that of a credential, by a whole word of it: `KEYCLOAK_DB_HOST` holds no key.
pub fn is_credential(name: &str) -> bool {
    const WORDS: [&str; 9] =
        ["pass", "passwd", "password", "pwd", "secret", "token", "key", "user", "username"];
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| {
        WORDS.contains(&word) || ["password", "secret"].iter().any(|w| word.ends_with(w))
    })
}
