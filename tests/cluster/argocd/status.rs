//! What Argo CD says about an Application.

use serde::Deserialize;
use serde_json::Value;

use super::sync;

/// Does the cluster hold what Git says?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum SyncStatus {
    Synced,
    OutOfSync,
    /// It could not be compared; the conditions tell why. Also: not compared yet.
    #[default]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Health {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
    Missing,
    #[default]
    Unknown,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Phase {
    Running,
    Terminating,
    Succeeded,
    Failed,
    Error,
}

impl Phase {
    /// Has the operation ended?
    pub fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Error)
    }
}

/// The status of an Application at one moment.
#[derive(Debug, Clone)]
pub struct Status {
    pub sync: SyncStatus,
    /// The revision that `sync` compares with; empty before the first comparison.
    pub revision: String,
    pub health: Health,
    pub conditions: Vec<Condition>,
    /// The operation that runs, or else the last one.
    pub operation: Option<Operation>,
    /// The whole Application, for what has no field of its own.
    pub object: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Condition {
    /// `ComparisonError`, `SyncError`, ...
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
}

/// An operation: one sync with its retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub phase: Phase,
    pub message: String,
    /// What was synced; empty if the operation ended before that was known.
    pub revision: String,
    /// Was it started by Argo CD itself?
    pub automated: bool,
    /// How many times it was tried again.
    pub retries: u64,
    /// The objects in the order in which they were applied. A retry starts this list anew.
    pub resources: Vec<Outcome>,
    /// Was it for some objects only, as a selective sync and every self-heal?
    pub selective: bool,
    pub(super) number: Option<u32>,
}

impl Operation {
    /// What became of an object; nothing if the operation has not come to it.
    pub fn outcome(&self, kind: &str, name: &str) -> Option<&Outcome> {
        self.resources.iter().find(|it| it.kind == kind && it.name == name)
    }
}

/// What an operation did with one object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    pub kind: String,
    pub name: String,
    /// `Synced`, `SyncFailed`, `Pruned` or `PruneSkipped`; empty while nothing has been done.
    pub status: String,
    pub message: String,
    /// How far a hook is; also set on other objects when the sync has several steps.
    pub hook_phase: Option<Phase>,
    /// `PreSync`, ...; empty if the object is no hook.
    pub hook_type: String,
    pub sync_phase: String,
}

impl Status {
    /// Reads an Application. Fields that Argo CD has not set yet have their defaults.
    pub(super) fn of(object: &Value) -> Self {
        let status = &object["status"];
        Self {
            sync: field(&status["sync"]["status"]).unwrap_or_default(),
            revision: field(&status["sync"]["revision"]).unwrap_or_default(),
            health: field(&status["health"]["status"]).unwrap_or_default(),
            conditions: field(&status["conditions"]).unwrap_or_default(),
            operation: Operation::of(&status["operationState"]),
            object: object.clone(),
        }
    }

    /// Is there an operation that has not ended, or not even begun?
    pub fn is_busy(&self) -> bool {
        self.object["operation"].is_object()
    }
}

impl Operation {
    fn of(state: &Value) -> Option<Self> {
        let result = &state["syncResult"];
        let operation = &state["operation"];
        Some(Self {
            phase: field(&state["phase"])?,
            message: field(&state["message"]).unwrap_or_default(),
            revision: field(&result["revision"]).unwrap_or_default(),
            automated: operation["initiatedBy"]["automated"] == true,
            retries: field(&state["retryCount"]).unwrap_or_default(),
            resources: field(&result["resources"]).unwrap_or_default(),
            selective: operation["sync"]["resources"].is_array(),
            number: sync::number(operation),
        })
    }
}

/// A field if it is set. Argo CD writes an empty word for what it does not know yet.
///
/// # Panics
/// When it is something else than Argo CD's documentation says.
fn field<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    if value.is_null() || value == "" {
        return None;
    }
    let parsed = serde_json::from_value(value.clone());
    Some(parsed.unwrap_or_else(|error| panic!("{error} in {value}")))
}
