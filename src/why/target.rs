//! Which workload is asked about, in kubectl's spelling.

use std::fmt;

use thiserror::Error;

use crate::domain::workload::WorkloadKind;

/// A workload by its kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Kind.
    pub kind: WorkloadKind,
    /// Name.
    pub name: String,
}

/// Why a text names no workload.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Not of one of the forms that kubectl knows.
    #[error("name one workload, as deployment/NAME or deployment NAME")]
    Form,
    /// A kind that wavegate does not cover.
    #[error("{0:?} is none of deployment, statefulset, daemonset and rollout")]
    Kind(String),
}

impl Target {
    /// Reads `KIND/NAME`, or the two words `KIND NAME`.
    pub fn parse(words: &[String]) -> Result<Self, TargetError> {
        let (kind, name) = match words {
            [one] => one.split_once('/').ok_or(TargetError::Form)?,
            [kind, name] => (kind.as_str(), name.as_str()),
            _ => return Err(TargetError::Form),
        };
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            return Err(TargetError::Form);
        }
        let kind = kind_of(kind).ok_or_else(|| TargetError::Kind(kind.to_owned()))?;
        Ok(Self { kind, name: name.to_owned() })
    }

    /// The workload as kubectl takes it: `deployment/NAME`.
    pub fn argument(&self) -> String {
        format!("{}/{}", self.kind.name().to_lowercase(), self.name)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// Singular, plural, short name or any of these with version and group, in any case, as kubectl takes them.
fn kind_of(text: &str) -> Option<WorkloadKind> {
    let text = text.to_lowercase();
    let (name, group) = text.split_once('.').unwrap_or((&text, ""));
    let kind = match name {
        "deployment" | "deployments" | "deploy" => WorkloadKind::Deployment,
        "statefulset" | "statefulsets" | "sts" => WorkloadKind::StatefulSet,
        "daemonset" | "daemonsets" | "ds" => WorkloadKind::DaemonSet,
        "rollout" | "rollouts" | "ro" => WorkloadKind::Rollout,
        _ => return None,
    };
    let groups: [&str; 3] = match kind {
        WorkloadKind::Rollout => ["", "argoproj.io", "v1alpha1.argoproj.io"],
        _ => ["", "apps", "v1.apps"],
    };
    groups.contains(&group).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, TargetError> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Target::parse(&words).map(|target| target.argument())
    }

    #[test]
    fn a_workload_is_named_as_for_kubectl() {
        for (text, want) in [
            ("deployment/api", "deployment/api"),
            ("Deployment api", "deployment/api"),
            ("deploy/api", "deployment/api"),
            ("deployments.apps/api", "deployment/api"),
            ("deployments.v1.apps/api", "deployment/api"),
            ("sts db", "statefulset/db"),
            ("ds/agent", "daemonset/agent"),
            ("rollouts.argoproj.io/api", "rollout/api"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(want), "{text}");
        }
        for text in ["api", "deployment/", "/api", "deployment/a/b", "deploy a b"] {
            assert_eq!(parse(text), Err(TargetError::Form), "{text}");
        }
        for (text, kind) in [("job/x", "job"), ("rollout.apps/x", "rollout.apps")] {
            assert_eq!(parse(text), Err(TargetError::Kind(kind.to_owned())));
        }
    }
}
