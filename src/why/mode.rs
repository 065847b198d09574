//! Whether wavegate is asked about a namespace, and what it does there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::selector::{Asks, Configuration, Labels};
use crate::domain::keys;

/// Namespaces that the webhook configurations of the chart leave out by default, whatever their label says.
const EXCLUDED: [&str; 3] = ["kube-system", "argocd", "wavegate"];

/// What wavegate does in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Findings that deny refuse the object.
    Enforce,
    /// Findings are warnings.
    Warn,
    /// It is not asked.
    Off,
    /// It could not be learned, and is taken for enforcing.
    Unknown,
}

/// The webhook configuration by which the API server asks wavegate.
#[derive(Clone, Debug)]
pub enum Registration {
    /// It was read.
    Read(Configuration),
    /// It was not, as the rest of a sentence about it: `may not be read by you`.
    Unread(String),
}

/// The mode of a namespace, and what it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamespaceMode {
    /// The mode.
    pub mode: Mode,
    /// What it comes from, as the rest of a sentence about the namespace.
    pub reason: String,
}

impl NamespaceMode {
    /// The mode of a namespace with these labels, or why they could not be read, by what is registered.
    ///
    /// The API server decides by the `namespaceSelector` of each entry, so that is what is evaluated where it may be
    /// read. Elsewhere the label tells, and what it does not tell is taken for enforcing.
    pub fn of(
        namespace: &str,
        labels: Result<&BTreeMap<String, String>, &str>,
        registration: &Registration,
    ) -> Self {
        let label = labels.map(|labels| labels.get(keys::MODE).map(String::as_str));
        let (mode, reason) = match registration {
            Registration::Read(configuration) if configuration.guards() => {
                registered(configuration, &Labels::new(namespace, labels.ok()), label)
            }
            Registration::Read(_) => {
                assumed(namespace, label, "does not ask wavegate about workloads")
            }
            Registration::Unread(why) => assumed(namespace, label, why),
        };
        Self { mode, reason }
    }

    /// Whether what the engine refuses is refused here, as far as is known.
    pub fn refuses(&self) -> bool {
        matches!(self.mode, Mode::Enforce | Mode::Unknown)
    }
}

type Label<'a> = Result<Option<&'a str>, &'a str>;

/// What the registered entries make of a namespace.
fn registered(configuration: &Configuration, labels: &Labels, label: Label<'_>) -> (Mode, String) {
    let (mode, name, entry, effect) = match configuration.asks(labels) {
        Asks::Enforce(entry) => (Mode::Enforce, "enforce", entry, ""),
        Asks::Warn(entry) => (Mode::Warn, "warn", entry, ": nothing is held here"),
        Asks::Nobody => (Mode::Off, "off", "", ": wavegate is not asked here"),
        Asks::Unknown => {
            let why = label.err().unwrap_or_default();
            return (
                Mode::Unknown,
                format!("could not be read ({why}): what follows is what an enforcing one gets"),
            );
        }
    };
    // A label that would be heeded tells a namespace that chose from one that has no choice.
    let left_out = || configuration.asks(&labels.with(keys::MODE, "enforce")) == Asks::Nobody;
    let reason = match label {
        _ if entry.starts_with("workloads.pinned.") => {
            "is enforced by name (pinned), whatever its label says".to_owned()
        }
        _ if mode == Mode::Off && left_out() => {
            "is left out by the webhook configuration, whatever its label says".to_owned()
        }
        Ok(Some(label)) if label == name => format!("is labelled {}: {label}", keys::MODE),
        Ok(Some(label)) if !["enforce", "warn", "off"].contains(&label) => format!(
            "is labelled {}: {label}, which does not exist, and this cluster's default is {name}",
            keys::MODE
        ),
        Ok(None) => {
            format!("has no label {}, and this cluster's default is {name}", keys::MODE)
        }
        _ if entry.is_empty() => "is in no entry of the webhook configuration".to_owned(),
        _ => format!("is in the entry {entry} of the webhook configuration"),
    };
    (mode, reason + effect)
}

/// What the chart's defaults make of a namespace where it is not known what is registered.
fn assumed(namespace: &str, label: Label<'_>, why: &str) -> (Mode, String) {
    let (mode, reason) = match label {
        _ if EXCLUDED.contains(&namespace) => (Mode::Off, "is left out by default".to_owned()),
        Ok(Some(label @ "enforce")) => {
            (Mode::Enforce, format!("is labelled {}: {label}", keys::MODE))
        }
        Ok(Some(label @ "warn")) => (Mode::Warn, format!("is labelled {}: {label}", keys::MODE)),
        Ok(Some(label @ "off")) => (Mode::Off, format!("is labelled {}: {label}", keys::MODE)),
        Ok(Some(label)) => {
            (Mode::Unknown, format!("is labelled {}: {label}, which does not exist", keys::MODE))
        }
        Ok(None) => (Mode::Unknown, format!("has no label {}", keys::MODE)),
        Err(unread) => (Mode::Unknown, format!("could not be read ({unread})")),
    };
    let taken = match mode {
        Mode::Unknown => "what follows is what an enforcing one gets",
        _ => "this is by the chart's defaults",
    };
    (mode, format!("{reason}; the ValidatingWebhookConfiguration {why}: {taken}"))
}

#[cfg(test)]
mod tests;
