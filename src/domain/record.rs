//! The durable proof of an attempt at a migration, as it is stored: `MigrationRecord`, `wavegate.dev/v1alpha1`.
//!
//! A record outlives the Job that it speaks of: hook Jobs are deleted by Argo CD, by Helm and by their own
//! time to live. `spec` is what is known when the attempt is first seen and never changes; `status` only
//! moves forward.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;

/// API group of the record.
pub const GROUP: &str = "wavegate.dev";
/// Version of the record.
pub const VERSION: &str = "v1alpha1";
/// Kind of the record.
pub const KIND: &str = "MigrationRecord";

/// What was attempted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordSpec {
    /// The app that the migration belongs to: its `wavegate.dev/app`, else the image's repository.
    pub app: String,
    /// Which of the app's migrations it is, whatever the release and the attempt.
    pub migration: String,
    /// Program and verb that it ran, as part of the migration's identity.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The release that it prepares, for a person to read: the token, else the image's tag or digest.
    pub release: String,
    /// Image of the migration container as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What it does to the schema.
    pub phase: RecordPhase,
    /// Whether the author declared the phase. One told by the command never refuses a rollback.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phase_declared: bool,
    /// Oldest release that works after a contract, where it is not the contract's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_safe_from: Option<String>,
    /// How sure it is that the Job was a migration.
    pub confidence: RecordConfidence,
    /// What pairs it with workloads.
    #[serde(default)]
    pub pairing: RecordPairing,
    /// Argo CD's phases of the Job: `PreSync`, `Sync`, `PostSync`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
    /// Its sync wave, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<i64>,
    /// The Job.
    pub job: RecordJob,
}

/// What a migration does to the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RecordPhase {
    /// Backward-compatible change.
    #[default]
    Expand,
    /// Removes what old code needs.
    Contract,
    /// Undoes a migration.
    Revert,
}

/// How sure it is that the Job was a migration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RecordConfidence {
    /// A signature that the author did not order before the rollout.
    #[default]
    Medium,
    /// A mutating signature that the author ordered before the rollout.
    Strong,
    /// The author said so.
    Explicit,
}

/// What pairs a migration with workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordPairing {
    /// Value of `wavegate.dev/app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Argo CD Application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Label `app.kubernetes.io/instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Value of `wavegate.dev/release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// The Job of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordJob {
    /// Its name.
    pub name: String,
    /// Its UID, which is also the record's name.
    pub uid: String,
    /// When it was created; attempts are ordered by this.
    pub created: Timestamp,
    /// Who created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
}

/// How the attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// How it ended, as far as is known.
    pub outcome: Outcome,
    /// Why, in the Job's words, such as `DeadlineExceeded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the Job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Timestamp>,
    /// How long it took, for a person to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Image that the migration container really ran, read from its pod.
    #[serde(default, rename = "imageID", skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
}
