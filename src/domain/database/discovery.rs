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
            // No client takes a path behind a host, so it is not known what this is.
            if value.contains('/') && !value.contains("://") && !is_socket(value.trim()) {
                return Discovery::Unusable(name, Unusable::Host);
            }
            let port = filled(port).and_then(|text| written_port(port, &text, &value));
            let port = port.unwrap_or_else(|| (*default).to_owned());
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

fn is_socket(host: &str) -> bool {
    host.starts_with(['/', '@'])
}

/// What a port's variable says of a host. A Service named `pg-a` gives every pod of its namespace
/// `PG_A_PORT=tcp://10.0.0.7:5432`, which nobody wrote, and which tells nothing of another host.
fn written_port(name: &str, text: &str, host: &str) -> Option<String> {
    let Some((_, link)) = text.split_once("://") else {
        return Some(text.to_owned());
    };
    let (address, port) = link.trim_end().rsplit_once(':')?;
    let service = name.strip_suffix("_PORT")?.to_ascii_lowercase().replace('_', "-");
    let host = host.trim();
    let label = host.split(['.', ':']).next().unwrap_or_default();
    let is_of_host = label.eq_ignore_ascii_case(&service) || host == address;
    is_of_host.then(|| port.to_owned())
}

fn found(name: &'static str, target: Result<Target, Unusable>) -> Discovery {
    match target {
        Ok(target) if target.is_local() => Discovery::Local(name),
        Ok(target) => Discovery::Found(name, target),
        Err(reason) => Discovery::Unusable(name, reason),
    }
}
