//! Finds the database in a program's variables.

use super::variables::{HOSTS, URLS};
use super::{Engine, Hint, Target, Unusable, read};

/// What the variables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// No variable names a database.
    Nothing,
    /// This one does, but not so that it can be waited for.
    Unusable(&'static str, Unusable),
    /// This one names the pod itself.
    Local(&'static str),
    /// This one names a database.
    Found(&'static str, Target),
}

/// Finds what names a database: the first variable with a value counts, URLs before hosts.
pub fn discover(variable: impl Fn(&str) -> Option<String>) -> Discovery {
    let filled = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    for name in URLS {
        if let Some(value) = filled(name) {
            return found(name, read(&value, &Hint::default()));
        }
    }
    for (name, port, default) in HOSTS {
        if let Some(value) = filled(name) {
            let port = filled(port).unwrap_or_else(|| (*default).to_owned());
            let engine = match *default {
                "5432" => Some(Engine::Postgres),
                "3306" => Some(Engine::Mysql),
                _ => None,
            };
            return found(name, read(&value, &Hint { engine, port: &port }));
        }
    }
    Discovery::Nothing
}

fn found(name: &'static str, target: Result<Target, Unusable>) -> Discovery {
    match target {
        Ok(target) if target.is_local() => Discovery::Local(name),
        Ok(target) => Discovery::Found(name, target),
        Err(reason) => Discovery::Unusable(name, reason),
    }
}
