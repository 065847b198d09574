//! Whether wavegate is asked about a namespace, and what it does there.

use serde::Serialize;

/// Namespaces that the webhook configurations leave out, whatever their label says.
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
    /// The namespace could not be read.
    Unknown,
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
    /// The mode of a namespace with this value of the label `wavegate.dev/mode`; or why the label could not be read.
    pub fn of(namespace: &str, label: Result<Option<&str>, &str>) -> Self {
        let (mode, reason) = match label {
            _ if EXCLUDED.contains(&namespace) => (
                Mode::Off,
                "is left out by the webhook configurations: wavegate is not asked here".to_owned(),
            ),
            Ok(Some("enforce")) => {
                (Mode::Enforce, "is labelled wavegate.dev/mode: enforce".to_owned())
            }
            Ok(Some("warn")) => {
                (Mode::Warn, "is labelled wavegate.dev/mode: warn: nothing is held here".to_owned())
            }
            Ok(Some("off")) => (
                Mode::Off,
                "is labelled wavegate.dev/mode: off: wavegate is not asked here".to_owned(),
            ),
            Ok(Some(other)) => (
                Mode::Warn,
                format!(
                    "is labelled wavegate.dev/mode: {other}, which does not exist: nothing is held here"
                ),
            ),
            Ok(None) => {
                (Mode::Warn, "has no label wavegate.dev/mode: nothing is held here".to_owned())
            }
            Err(why) => (
                Mode::Unknown,
                format!("could not be read ({why}): what follows is what an enforcing one gets"),
            ),
        };
        Self { mode, reason }
    }

    /// Whether what the engine refuses is refused here, as far as is known.
    pub fn refuses(&self) -> bool {
        matches!(self.mode, Mode::Enforce | Mode::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_tells_the_mode_but_for_excluded_namespaces() {
        let cases = [
            ("shop", Ok(Some("enforce")), Mode::Enforce),
            ("shop", Ok(Some("warn")), Mode::Warn),
            ("shop", Ok(Some("off")), Mode::Off),
            ("shop", Ok(Some("Enforce")), Mode::Warn),
            ("shop", Ok(None), Mode::Warn),
            ("shop", Err("forbidden"), Mode::Unknown),
            ("argocd", Ok(Some("enforce")), Mode::Off),
        ];
        for (namespace, label, want) in cases {
            assert_eq!(NamespaceMode::of(namespace, label).mode, want, "{namespace} {label:?}");
        }
    }
}
