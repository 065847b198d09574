//! An attempt: one Job that ran a migration, known from the Job itself, from its record or from both.

use jiff::Timestamp;
use serde::Deserialize;
use thiserror::Error;

use super::shared::Shared;
use super::state::{MigrationFacts, ObjectKey, Ties};
use crate::domain::argocd::{HookPhase, Ordering};
use crate::domain::detection::Detection;
use crate::domain::image::{Comparison, ImageRef};
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::JobManifest;
use crate::domain::migration::Migration;
use crate::domain::names::ImageNames;
use crate::domain::outcome::Outcome;
use crate::domain::record::{
    RecordConfidence, RecordFailure, RecordJob, RecordPairing, RecordPhase, RecordSpec,
    RecordStatus,
};
use crate::domain::role::{Confidence, MigrationPhase};

/// One Job that ran a migration, and how it went.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// UID of the Job: the attempt's identity.
    pub uid: String,
    /// The Job, what ties it to workloads, its image and its place in a sync.
    pub facts: MigrationFacts,
    /// Which of the app's migrations it ran.
    pub migration: Shared<Migration>,
    /// What that does to the schema.
    pub phase: MigrationPhase,
    /// Whether the author declared the phase.
    pub phase_declared: bool,
    /// Oldest release that works after a contract, where it is not the contract's own.
    pub safe_from: Option<String>,
    /// Who created the Job, by its stamp.
    pub creator: Option<Shared<String>>,
    /// Name of the migration container, as long as the Job can tell it.
    pub container: Option<Box<str>>,
    /// Image that the migration container really ran.
    pub image_id: Option<String>,
    /// How it ended, as far as is known.
    pub outcome: Outcome,
    /// Why, in the Job's words.
    pub reason: Option<String>,
    /// By which container it failed, where its pod told.
    pub failure: Option<Box<RecordFailure>>,
    /// When the Job was created.
    pub created: Timestamp,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub completed: Option<Timestamp>,
}

/// Why a Job or a record tells nothing.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// The object does not have the fields of its kind.
    #[error("it cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A field without which it cannot be told apart from others.
    #[error("it has no {0}")]
    Missing(&'static str),
}

/// What of a stored Job is read besides its manifest.
#[derive(Deserialize)]
struct StoredJob {
    metadata: StoredMetadata,
    #[serde(default)]
    status: Option<JobStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMetadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    namespace: String,
    creation_timestamp: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct JobStatus {
    start_time: Option<Timestamp>,
    completion_time: Option<Timestamp>,
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    last_transition_time: Option<Timestamp>,
}

impl Attempt {
    /// The attempt that a stored Job is, from its JSON; `None` if it is no recognised migration.
    ///
    /// The role is recognised anew, from what the author wrote: a stamp is never evidence. Only `Complete` and
    /// `Failed` with status `True` are an end. `SuccessCriteriaMet` and `FailureTarget` come before the pods are
    /// gone, and a suspended and resumed Job, which Argo CD takes for healthy, has none of them.
    pub fn of_job(json: &str) -> Result<Option<Self>, AttemptError> {
        Self::of_job_by(json, &Detection::default())
    }

    /// The same by what a policy adds to the recognition.
    pub fn of_job_by(json: &str, detection: &Detection) -> Result<Option<Self>, AttemptError> {
        let job = Job::read_by(serde_json::from_str::<JobManifest<'_>>(json)?, detection);
        if !job.recognition.is_migration() {
            return Ok(None);
        }
        let stored: StoredJob = serde_json::from_str(json)?;
        let creator = job.manifest.metadata.annotations.get(keys::STAMP_CREATOR);
        let attempt = Self {
            creator: creator.map(|creator| creator.to_owned().into()),
            ..Self::to_come(&job, MigrationFacts::of(&job, &stored.metadata.namespace))
        };
        attempt.standing_as(stored).map(Some)
    }

    /// This attempt, as its Job stands now. Who knows an attempt goes on so where the Job is not recognised any more:
    /// the recognition may be changed while it runs.
    ///
    /// # Errors
    ///
    /// As [`Self::of_job`].
    pub fn followed(self, json: &str) -> Result<Self, AttemptError> {
        self.standing_as(serde_json::from_str(json)?)
    }

    fn standing_as(self, stored: StoredJob) -> Result<Self, AttemptError> {
        let metadata = stored.metadata;
        if metadata.uid.is_empty() {
            return Err(AttemptError::Missing("metadata.uid"));
        }
        let status = stored.status.unwrap_or_default();
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let holds = |kind: &str| conditions.iter().find(|c| c.kind == kind && c.status == "True");
        let (outcome, end) = match (holds("Complete"), holds("Failed")) {
            (Some(end), _) => (Outcome::Succeeded, Some(end)),
            (None, Some(end)) => (Outcome::Failed, Some(end)),
            (None, None) => (Outcome::Running, None),
        };
        let completed = status.completion_time.or_else(|| end?.last_transition_time);
        Ok(Self {
            uid: metadata.uid,
            outcome,
            reason: end.and_then(|end| end.reason.clone()).filter(|reason| !reason.is_empty()),
            created: metadata
                .creation_timestamp
                .ok_or(AttemptError::Missing("metadata.creationTimestamp"))?,
            started: status.start_time,
            completed: end.and(completed),
            ..self
        })
    }

    /// The attempt that a Job will be which is about to be created: it has not begun and is nobody's evidence yet.
    pub fn to_come(job: &Job<'_>, facts: MigrationFacts) -> Self {
        Self {
            uid: String::new(),
            migration: Migration::of(job).into(),
            phase: job.recognition.phase,
            phase_declared: declares_phase(job),
            safe_from: job.key(keys::CONTRACT_SAFE_FROM).map(|key| key.value.to_owned()),
            creator: None,
            container: job.migration_container().map(|(_, c)| c.name.as_str().into()),
            image_id: None,
            outcome: Outcome::Running,
            reason: None,
            failure: None,
            created: Timestamp::MAX,
            started: None,
            completed: None,
            facts,
        }
    }

    /// Reads the attempt that a record in a namespace speaks of from the record's JSON.
    pub fn read_record(namespace: &str, json: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Stored {
            spec: RecordSpec,
            #[serde(default)]
            status: Option<RecordStatus>,
        }
        let Stored { spec, status } = serde_json::from_str(json)?;
        Ok(Self::of_record(namespace, spec, status))
    }

    /// The attempt that a record in a namespace speaks of. A record without a status was written by a replica
    /// that ended before it could complete it: the attempt had begun, no more is known.
    pub fn of_record(namespace: &str, spec: RecordSpec, status: Option<RecordStatus>) -> Self {
        let status = status.unwrap_or(RecordStatus {
            outcome: Outcome::Running,
            reason: None,
            start_time: None,
            completion_time: None,
            duration: None,
            image_id: None,
            failure: None,
        });
        let hooks: Vec<HookPhase> =
            spec.hooks.iter().filter_map(|hook| HookPhase::parse(hook)).collect();
        Self {
            uid: spec.job.uid,
            facts: MigrationFacts {
                key: ObjectKey {
                    kind: "Job",
                    namespace: namespace.to_owned(),
                    name: spec.job.name,
                },
                ties: Ties {
                    app: spec.pairing.app,
                    application: spec.pairing.application,
                    instance: spec.pairing.instance,
                    release: spec.pairing.release,
                }
                .into(),
                image: spec.image.and_then(|image| ImageRef::parse(&image).ok()),
                ordering: Ordering::of(hooks, spec.wave).into(),
                confidence: match spec.confidence {
                    RecordConfidence::Medium => Confidence::Medium,
                    RecordConfidence::Strong => Confidence::Strong,
                    RecordConfidence::Explicit => Confidence::Explicit,
                },
            },
            migration: Migration { name: spec.migration, command: spec.command }.into(),
            phase: match spec.phase {
                RecordPhase::Expand => MigrationPhase::Expand,
                RecordPhase::Contract => MigrationPhase::Contract,
                RecordPhase::Revert => MigrationPhase::Revert,
            },
            phase_declared: spec.phase_declared,
            safe_from: spec.contract_safe_from,
            creator: spec.job.creator.map(Shared::from),
            container: None,
            image_id: status.image_id,
            outcome: status.outcome,
            reason: status.reason,
            failure: status.failure.map(Box::new),
            created: spec.job.created,
            started: status.start_time,
            completed: status.completion_time,
        }
    }

    /// What a record of this attempt says of what was attempted.
    pub fn record_spec(&self) -> RecordSpec {
        let ties = &self.facts.ties;
        let image = self.facts.image.as_ref();
        let repository = || image.map(|image| image.repository().to_owned());
        RecordSpec {
            app: ties.app.clone().or_else(repository).unwrap_or_default(),
            migration: self.migration.name.clone(),
            command: self.migration.command.clone(),
            release: self.release(),
            image: image.map(ToString::to_string),
            phase: match self.phase {
                MigrationPhase::Expand => RecordPhase::Expand,
                MigrationPhase::Contract => RecordPhase::Contract,
                MigrationPhase::Revert => RecordPhase::Revert,
            },
            phase_declared: self.phase_declared,
            contract_safe_from: self.safe_from.clone(),
            confidence: match self.facts.confidence {
                Confidence::Weak | Confidence::Medium => RecordConfidence::Medium,
                Confidence::Strong => RecordConfidence::Strong,
                Confidence::Explicit => RecordConfidence::Explicit,
            },
            pairing: RecordPairing {
                app: ties.app.clone(),
                application: ties.application.clone(),
                instance: ties.instance.clone(),
                release: ties.release.clone(),
            },
            hooks: self.facts.ordering.phases.iter().map(|hook| hook.name().to_owned()).collect(),
            wave: self.facts.ordering.explicit_wave,
            job: RecordJob {
                name: self.facts.key.name.clone(),
                uid: self.uid.clone(),
                created: self.created,
                creator: self.creator.as_deref().cloned(),
            },
        }
    }

    /// What a record of this attempt says of how it went.
    pub fn record_status(&self) -> RecordStatus {
        let seconds =
            |from: Timestamp, to: Timestamp| to.as_second().saturating_sub(from.as_second());
        let lasted = self.started.zip(self.completed).map(|(from, to)| seconds(from, to));
        RecordStatus {
            outcome: self.outcome,
            reason: self.reason.clone(),
            start_time: self.started,
            completion_time: self.completed,
            duration: lasted.map(duration),
            image_id: self.image_id.clone(),
            failure: self.failure.as_deref().cloned(),
        }
    }

    /// The release that it prepares, for a person to read.
    pub fn release(&self) -> String {
        if let Some(token) = &self.facts.ties.release {
            return token.clone();
        }
        let Some(image) = &self.facts.image else { return String::new() };
        image.digest().unwrap_or_else(|| image.tag_or_latest()).to_owned()
    }

    /// Whether both were made for one release: by token where both have one, else by image; images of different
    /// repositories by tag.
    pub fn same_release(&self, other: &Self) -> bool {
        if let (Some(one), Some(other)) = (&self.facts.ties.release, &other.facts.ties.release) {
            return one == other;
        }
        let (Some(one), Some(other)) = (&self.facts.image, &other.facts.image) else {
            return false;
        };
        if one.same_repository(other) {
            return one.compare(other) == Comparison::Same;
        }
        one.tag().is_some() && one.tag() == other.tag()
    }

    /// Whether an author who writes this text, a token, a tag, a digest or an image by any of its names, means the
    /// release of this attempt.
    pub fn is_of_release(&self, text: &str, names: &ImageNames) -> bool {
        let image = self.facts.image.as_ref();
        self.facts.ties.release.as_deref() == Some(text)
            || image.is_some_and(|image| names.is_called(image, text))
    }

    /// Takes over what another sighting of the same Job knows more. Outcomes only move forward.
    pub fn merge(&mut self, other: Self) {
        if other.outcome.supersedes(self.outcome) {
            self.outcome = other.outcome;
            self.reason = other.reason;
            self.completed = other.completed;
        }
        self.started = self.started.or(other.started);
        self.container = self.container.take().or(other.container);
        self.completed = self.completed.or(other.completed);
        if other.image_id.is_some() {
            self.image_id = other.image_id;
        }
        if other.failure.is_some() {
            self.failure = other.failure;
        }
    }

    /// Whether the attempt may refuse a rollout and makes its app known to migrate.
    pub fn may_deny(&self) -> bool {
        self.facts.confidence >= Confidence::Strong
    }

    /// Order of the beginnings of attempts: in which their Jobs were created.
    pub fn order(&self) -> (Timestamp, &str) {
        (self.created, &self.uid)
    }

    /// Order of the ends of attempts; those in the same second by their beginnings.
    pub fn end_order(&self) -> (Timestamp, Timestamp, &str) {
        (self.completed.unwrap_or(Timestamp::MAX), self.created, &self.uid)
    }
}

fn declares_phase(job: &Job<'_>) -> bool {
    job.key(keys::PHASE).is_some_and(|key| key.value == job.recognition.phase.name())
}

/// Seconds as `kubectl` prints them.
fn duration(seconds: i64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn stored(status: &Value) -> String {
        json!({
            "metadata": {
                "name": "shop-migrate-v2", "namespace": "shop", "uid": "u-1",
                "creationTimestamp": "2026-11-24T10:00:00Z",
                "annotations": {
                    "argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-1",
                    "wavegate.dev/phase": "contract", "wavegate.dev/contract-safe-from": "v1",
                    "stamp.wavegate.dev/creator": "alice",
                },
                "labels": {"wavegate.dev/app": "shop", "app.kubernetes.io/instance": "shop-prod"},
            },
            "spec": {"template": {"spec": {"containers": [
                {"name": "m", "image": "shop/api:v2", "command": ["manage.py", "migrate"]},
            ]}}},
            "status": status,
        })
        .to_string()
    }

    fn attempt(status: &Value) -> Attempt {
        Attempt::of_job(&stored(status)).unwrap().expect("a migration")
    }

    #[test]
    fn only_a_true_condition_is_an_end() {
        let condition = |kind: &str, status: &str| {
            json!({"conditions": [{"type": kind, "status": status, "reason": "R",
                "lastTransitionTime": "2026-11-24T10:01:05Z"}]})
        };
        let cases = [
            (json!(null), Outcome::Running),
            (json!({"conditions": null}), Outcome::Running),
            (condition("Complete", "True"), Outcome::Succeeded),
            (condition("Failed", "True"), Outcome::Failed),
            (condition("Complete", "False"), Outcome::Running),
            (condition("Suspended", "False"), Outcome::Running),
            (condition("SuccessCriteriaMet", "True"), Outcome::Running),
            (condition("FailureTarget", "True"), Outcome::Running),
        ];
        for (status, want) in cases {
            let attempt = attempt(&status);
            assert_eq!(attempt.outcome, want, "{status}");
            assert_eq!(attempt.completed.is_some(), want.is_final(), "{status}");
        }
    }

    #[test]
    fn a_record_says_all_that_the_job_said() {
        let status = json!({
            "startTime": "2026-11-24T10:00:01Z", "completionTime": "2026-11-24T10:01:05Z",
            "conditions": [{"type": "Complete", "status": "True", "reason": "CompletionsReached"}],
        });
        let mut of_job = attempt(&status);
        of_job.image_id = Some("shop/api@sha256:00".to_owned());
        let (spec, status) = (of_job.record_spec(), of_job.record_status());
        assert_eq!((spec.app.as_str(), spec.release.as_str()), ("shop", "v2"));
        assert_eq!((spec.migration.as_str(), spec.job.uid.as_str()), ("shop-migrate", "u-1"));
        assert_eq!(status.duration.as_deref(), Some("1m4s"));
        let json = serde_json::to_string(&(&spec, &status)).unwrap();
        let (read_spec, read_status): (RecordSpec, RecordStatus) =
            serde_json::from_str(&json).unwrap();
        assert_eq!((&read_spec, &read_status), (&spec, &status));
        let of_record = Attempt::of_record("shop", read_spec, Some(read_status));
        assert_eq!(of_record.record_spec(), spec);
        assert_eq!(of_record.record_status(), status);
        assert_eq!(of_record.facts.key, of_job.facts.key);
        assert!(of_record.facts.ordering.has(HookPhase::PreSync));
        assert_eq!(of_record.facts.ordering.wave, -1);
        assert!(of_record.phase_declared && of_record.may_deny());
    }

    #[test]
    fn a_sighting_never_takes_back_what_is_known() {
        let running = || attempt(&json!({}));
        let done = || attempt(&json!({"conditions": [{"type": "Complete", "status": "True"}]}));
        let mut known = running();
        known.merge(done());
        known.image_id = Some("a@sha256:1".to_owned());
        known.merge(running());
        assert_eq!((known.outcome, known.image_id.is_some()), (Outcome::Succeeded, true));
    }

    #[test]
    fn a_job_that_is_no_migration_is_no_attempt() {
        let job =
            json!({"metadata": {"uid": "u"}, "spec": {"template": {"spec": {"containers": []}}}});
        assert!(Attempt::of_job(&job.to_string()).unwrap().is_none());
        assert!(Attempt::of_job(r#"{"spec":{"backoffLimit":"x"}}"#).is_err());
        let nameless = stored(&json!({})).replace("u-1", "");
        assert!(matches!(Attempt::of_job(&nameless), Err(AttemptError::Missing("metadata.uid"))));
    }
}
