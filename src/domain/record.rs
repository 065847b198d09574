//! The durable proof of an attempt at a migration, as it is stored: `MigrationRecord`, `wavegate.dev/v1alpha1`.
//!
//! A record outlives the Job that it speaks of: hook Jobs are deleted by Argo CD, by Helm and by their own
//! time to live. `spec` is what is known when the attempt is first seen and never changes; `status` only
//! moves forward.

use std::fmt;

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
    /// By which container it failed, read from its pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RecordFailure>,
}

/// The container by which an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordFailure {
    /// Its name.
    #[cfg_attr(feature = "serve", schemars(length(max = 63)))]
    pub container: String,
    /// The status that it ended with, never 0.
    pub exit_code: i32,
    /// Why, in the kubelet's word, such as `OOMKilled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serve", schemars(length(max = 63)))]
    pub reason: Option<String>,
    /// What it said last, of wavegate's own waiter only: the last words of any other may hold a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serve", schemars(length(max = 300)))]
    pub message: Option<String>,
}

impl RecordFailure {
    /// Longest name or reason, in characters; Kubernetes bounds names so.
    const LONGEST_NAME: usize = 63;
    /// Longest message, in characters.
    const LONGEST_MESSAGE: usize = 300;

    /// What a record keeps of a container's end: of `message` its last line that says something, each text on one
    /// line and bounded.
    pub fn new(
        container: &str,
        exit_code: i32,
        reason: Option<&str>,
        message: Option<&str>,
    ) -> Self {
        let name = |text: &str| plain(text, Self::LONGEST_NAME);
        let last = |text: &str| {
            let mut lines = text.lines().rev().map(|line| plain(line, Self::LONGEST_MESSAGE));
            lines.find(|line| !line.is_empty())
        };
        Self {
            container: name(container),
            exit_code,
            reason: reason.map(name).filter(|reason| !reason.is_empty()),
            message: message.and_then(last),
        }
    }
}

/// In a sentence: `container wait-for-db ended with exit code 1: db:5432 did not ...`.
impl fmt::Display for RecordFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {} ended with exit code {}", self.container, self.exit_code)?;
        // `Error` is all that the kubelet says of any code but 0.
        if let Some(reason) = self.reason.as_deref().filter(|reason| *reason != "Error") {
            write!(f, " ({reason})")?;
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

/// A text on one line, without what a terminal acts on or what turns its direction, of at most so many characters.
fn plain(text: &str, limit: usize) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let text: String = text.chars().map(|c| if acts(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(limit) {
        None => line,
        Some(_) => line.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_one_bounded_line_of_plain_text() {
        let said = |message: &str| RecordFailure::new("w", 1, None, Some(message)).message;
        let cases = [
            ("first\nlast", Some("last")),
            ("last\n \t\r\n\n", Some("last")),
            ("\u{1b}[31mred\u{7}\0 \u{202e}dlrow", Some("[31mred dlrow")),
            ("a\rb", Some("a b")),
            ("", None),
            ("\n\n", None),
        ];
        for (message, want) in cases {
            assert_eq!(said(message).as_deref(), want, "{message:?}");
        }
        let long = said(&"ä".repeat(5000)).unwrap();
        assert_eq!((long.chars().count(), long.chars().last()), (300, Some('…')));
        assert_eq!(said(&"ä".repeat(300)).unwrap().chars().count(), 300);
        let failure = RecordFailure::new(&"n".repeat(100), 137, Some(&"r".repeat(100)), None);
        assert_eq!(
            (failure.container.chars().count(), failure.reason.unwrap().chars().count()),
            (63, 63)
        );
    }

    #[test]
    fn a_failure_reads_as_a_sentence() {
        let shown = |reason, message| RecordFailure::new("w", 1, reason, message).to_string();
        assert_eq!(shown(Some("Error"), None), "container w ended with exit code 1");
        assert_eq!(
            shown(Some("OOMKilled"), Some("gone")),
            "container w ended with exit code 1 (OOMKilled): gone"
        );
    }
}
