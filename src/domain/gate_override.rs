//! What a person says against the gate, as it is stored: `GateOverride`, `wavegate.dev/v1alpha1`.
//!
//! An override names one app or workload, says why, and never changes: whoever changes his mind deletes it and creates
//! another. wavegate reads them and never writes one.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Kind of the override; its group and version are those of the record.
pub const KIND: &str = "GateOverride";
/// Plural name, as in URLs and RBAC.
pub const PLURAL: &str = "gateoverrides";

/// What an override does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
pub enum OverrideKind {
    /// Lets one release through, whatever says otherwise, until it expires.
    Bypass,
    /// A migration was done by hand or elsewhere: counts as its success.
    Attest,
    /// What succeeded before a time counts no more, as after a database was restored.
    Invalidate,
    /// The app no longer migrates: attempts older than this require nothing.
    Retire,
}

impl OverrideKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Bypass, Self::Attest, Self::Invalidate, Self::Retire];

    /// Name as in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bypass => "Bypass",
            Self::Attest => "Attest",
            Self::Invalidate => "Invalidate",
            Self::Retire => "Retire",
        }
    }
}

impl fmt::Display for OverrideKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is said against the gate, of what, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OverrideSpec {
    /// What it does.
    pub kind: OverrideKind,
    /// The app that it speaks of: the value of `wavegate.dev/app`, else the image's repository, as `kubectl get
    /// migrationrecords` shows it. Either this or a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 253), regex(pattern = r"^\S+$")))]
    pub app: Option<String>,
    /// The workload that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<OverriddenWorkload>,
    /// The release that it speaks of, as the image of the app's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 512), regex(pattern = r"^\S+$")))]
    pub image: Option<String>,
    /// The release that it speaks of: the value of `wavegate.dev/release`, else the image's tag or digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 512), regex(pattern = r"^\S+$")))]
    pub release: Option<String>,
    /// Which migration was done, as records name it; without it all that the release requires. Attest only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 253), regex(pattern = r"^\S+$")))]
    pub migration: Option<String>,
    /// The moment of the restore: what succeeded before counts no more. Without it, or where it is still to come, when the
    /// override was created.
    /// Invalidate only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// Why, for whoever asks later.
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 300), regex(pattern = r"\S")))]
    pub reason: String,
    /// When it counts no more. A Bypass must have one; the policy bounds how long it counts at most. An Attest may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The workload that an override speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OverriddenWorkload {
    /// Its kind.
    pub kind: OverriddenKind,
    /// Its name.
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 253), regex(pattern = r"^\S+$")))]
    pub name: String,
}

/// Kind of a workload that runs an app's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
pub enum OverriddenKind {
    /// `apps/v1`.
    Deployment,
    /// `apps/v1`.
    StatefulSet,
    /// `apps/v1`.
    DaemonSet,
    /// `argoproj.io/v1alpha1`.
    Rollout,
}

impl OverriddenKind {
    /// Kind as in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Rollout => "Rollout",
        }
    }
}

/// What holds of every override and no field says alone: in the API server, and where an override is read from a file.
#[derive(Clone, Copy, Debug)]
pub struct Requirement {
    /// The same in CEL, about the spec.
    pub cel: &'static str,
    /// What to write.
    pub message: &'static str,
    holds: fn(&OverrideSpec) -> bool,
}

/// Every requirement.
pub const REQUIREMENTS: [Requirement; 7] = [
    Requirement {
        cel: "has(self.app) != has(self.workload)",
        message: "name what it speaks of: either app or workload, not both",
        holds: |spec| spec.app.is_some() != spec.workload.is_some(),
    },
    Requirement {
        cel: "!(self.kind in ['Bypass', 'Attest']) || has(self.image) != has(self.release)",
        message: "a Bypass or Attest is for one release: write either image or release, not both",
        holds: |spec| {
            !matches!(spec.kind, OverrideKind::Bypass | OverrideKind::Attest)
                || spec.image.is_some() != spec.release.is_some()
        },
    },
    Requirement {
        cel: "self.kind != 'Retire' || (!has(self.image) && !has(self.release))",
        message: "a Retire is for the whole app: leave image and release out",
        holds: |spec| {
            spec.kind != OverrideKind::Retire || (spec.image.is_none() && spec.release.is_none())
        },
    },
    Requirement {
        cel: "self.kind != 'Invalidate' || !(has(self.image) && has(self.release))",
        message: "an Invalidate is for the whole app or one release: write image or release, not both",
        holds: |spec| {
            spec.kind != OverrideKind::Invalidate || spec.image.is_none() || spec.release.is_none()
        },
    },
    Requirement {
        cel: "!has(self.migration) || self.kind == 'Attest'",
        message: "migration belongs to an Attest: it says which one was done",
        holds: |spec| spec.migration.is_none() || spec.kind == OverrideKind::Attest,
    },
    Requirement {
        cel: "!has(self.before) || self.kind == 'Invalidate'",
        message: "before belongs to an Invalidate: what succeeded before that time counts no more",
        holds: |spec| spec.before.is_none() || spec.kind == OverrideKind::Invalidate,
    },
    Requirement {
        cel: "self.kind == 'Bypass' ? has(self.expiresAt) : (self.kind == 'Attest' || !has(self.expiresAt))",
        message: "expiresAt must be set for a Bypass, may be for an Attest, and is left out otherwise: an Invalidate or Retire holds until it is deleted",
        holds: |spec| match spec.kind {
            OverrideKind::Bypass => spec.expires_at.is_some(),
            OverrideKind::Attest => true,
            OverrideKind::Invalidate | OverrideKind::Retire => spec.expires_at.is_none(),
        },
    },
];

impl OverrideSpec {
    /// What is wrong with it that its fields do not say alone; `None` where nothing is.
    pub fn fault(&self) -> Option<&'static str> {
        if self.reason.trim().is_empty() {
            return Some("reason must say why");
        }
        let broken = REQUIREMENTS.iter().find(|requirement| !(requirement.holds)(self));
        broken.map(|requirement| requirement.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> OverrideSpec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_kind_has_what_it_needs_and_nothing_else() {
        const APP: &str = r#""app":"shop","reason":"x""#;
        const SOON: &str = r#""expiresAt":"2026-11-24T10:00:00Z""#;
        let cases = [
            (format!(r#"{{"kind":"Bypass",{APP},"release":"v2",{SOON}}}"#), None),
            (format!(r#"{{"kind":"Bypass",{APP},"image":"a/b:v2",{SOON}}}"#), None),
            (format!(r#"{{"kind":"Bypass",{APP},"release":"v2"}}"#), Some("expiresAt must be set")),
            (format!(r#"{{"kind":"Bypass",{APP},{SOON}}}"#), Some("for one release")),
            (
                format!(r#"{{"kind":"Attest",{APP},"release":"v2","image":"a/b:v2"}}"#),
                Some("for one release"),
            ),
            (format!(r#"{{"kind":"Attest",{APP},"release":"v2","migration":"m"}}"#), None),
            (format!(r#"{{"kind":"Attest",{APP},"release":"v2",{SOON}}}"#), None),
            (format!(r#"{{"kind":"Retire",{APP}}}"#), None),
            (format!(r#"{{"kind":"Retire",{APP},"release":"v2"}}"#), Some("whole app")),
            (format!(r#"{{"kind":"Retire",{APP},{SOON}}}"#), Some("until it is deleted")),
            (format!(r#"{{"kind":"Retire",{APP},"migration":"m"}}"#), Some("belongs to an Attest")),
            (
                format!(r#"{{"kind":"Retire",{APP},"before":"2026-11-24T10:00:00Z"}}"#),
                Some("belongs to an Invalidate"),
            ),
            (format!(r#"{{"kind":"Invalidate",{APP},"before":"2026-11-24T10:00:00Z"}}"#), None),
            (r#"{"kind":"Retire","reason":"x"}"#.to_owned(), Some("either app or workload")),
            (
                format!(
                    r#"{{"kind":"Retire",{APP},"workload":{{"kind":"Deployment","name":"a"}}}}"#
                ),
                Some("either app or workload"),
            ),
            (r#"{"kind":"Retire","app":"shop","reason":" "}"#.to_owned(), Some("reason")),
        ];
        for (json, want) in cases {
            let fault = spec(&json).fault();
            match want {
                None => assert_eq!(fault, None, "{json}"),
                Some(want) => {
                    assert!(fault.is_some_and(|fault| fault.contains(want)), "{json}: {fault:?}");
                }
            }
        }
    }
}
