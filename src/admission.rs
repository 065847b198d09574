//! What is asked: bytes to [`Admission`], and decisions back to bytes.

mod decode;
mod json;
mod policy;
mod respond;
mod review;

use std::borrow::Cow;

pub use decode::{DecodeError, decode, uid_of};
pub use policy::{PolicyReview, answer_policy, review_override, review_policy};
pub use respond::{
    answer_broken, answer_mutation, answer_unknown_mode, answer_validation, denial_message,
    warnings_line,
};
pub use review::{Response, ReviewAnswer};

use crate::domain::detection::Detection;
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::{CronJobManifest, Metadata};
use crate::domain::workload::Workload;

fn recognise(subject: &mut Subject<'_>, detection: &Detection) {
    if let (Subject::Job(job), Some(_)) = (subject, detection.additions()) {
        job.recognise_by(detection);
    }
}

/// What the request does to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It creates it.
    Create,
    /// It changes it.
    Update,
    /// It deletes it.
    Delete,
    /// It connects to it.
    Connect,
}

impl Operation {
    /// Name as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// The object, parsed as far as its kind needs it.
#[derive(Debug)]
pub enum Subject<'b> {
    /// A `batch/v1` Job.
    Job(Box<Job<'b>>),
    /// A Deployment, StatefulSet, DaemonSet or Rollout.
    Workload(Box<Workload<'b>>),
    /// A `batch/v1` CronJob.
    CronJob(Box<CronJobManifest<'b>>),
    /// Nothing that wavegate has rules for; never parsed.
    Unrelated,
    /// An object of a kind with rules that could not be read: which field, and why.
    Unreadable(String),
}

impl<'b> Subject<'b> {
    /// Metadata of the object, if it was read.
    pub fn metadata(&self) -> Option<&Metadata<'b>> {
        match self {
            Self::Job(job) => Some(&job.manifest.metadata),
            Self::Workload(workload) => Some(&workload.manifest.metadata),
            Self::CronJob(cron_job) => Some(&cron_job.metadata),
            Self::Unrelated | Self::Unreadable(_) => None,
        }
    }

    /// What people call the object; `?` if it was not read.
    pub fn display_name(&self) -> Cow<'_, str> {
        self.metadata().map_or(Cow::Borrowed("?"), Metadata::display_name)
    }
}

impl Subject<'_> {
    /// The value of an author key of the object, if it was read.
    pub fn key(&self, key: &'static str) -> Option<&str> {
        let found = match self {
            Self::Job(job) => job.key(key),
            Self::Workload(workload) => workload.key(key),
            Self::CronJob(cron_job) => {
                let template = cron_job.spec.job_template.as_ref();
                let template = template.map(|job| &job.spec.template.metadata);
                keys::author_value(&cron_job.metadata, template, key)
            }
            Self::Unrelated | Self::Unreadable(_) => None,
        };
        found.map(|found| found.value)
    }
}

/// A request, decoded.
#[derive(Debug)]
pub struct Admission<'b> {
    /// Identity of the request, to be repeated in the answer; empty offline.
    pub uid: Cow<'b, str>,
    /// What the request does.
    pub operation: Operation,
    /// API group of the object.
    group: Cow<'b, str>,
    /// API version of the object; empty offline.
    version: Cow<'b, str>,
    /// Kind of the object.
    pub kind: Cow<'b, str>,
    /// Namespace of the object.
    pub namespace: Cow<'b, str>,
    /// Name of the object, or its `generateName` prefix followed by `*`.
    pub name: Cow<'b, str>,
    /// Who asks.
    pub username: Cow<'b, str>,
    /// Which tool asks, as far as it says so.
    pub field_manager: Option<Cow<'b, str>>,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// The object.
    pub subject: Subject<'b>,
    /// Text of the object before an update.
    old: Option<&'b str>,
    /// What the policy adds to how Jobs are recognised.
    detection: Detection,
    /// The object's text; empty where there is none, and for workloads, which are read in one pass.
    pub object: &'b str,
}

impl<'b> Admission<'b> {
    /// The creation of a manifest that no API server has seen.
    pub fn of_manifest(group: &str, kind: &'b str, namespace: &str, object: &'b str) -> Self {
        let subject = decode::subject(group, kind, object);
        let name = subject.display_name().into_owned();
        Self {
            uid: Cow::Borrowed(""),
            operation: Operation::Create,
            group: Cow::Owned(group.to_owned()),
            version: Cow::Borrowed(""),
            kind: Cow::Borrowed(kind),
            namespace: Cow::Owned(namespace.to_owned()),
            name: Cow::Owned(name),
            username: Cow::Borrowed(""),
            field_manager: None,
            dry_run: false,
            subject,
            old: None,
            detection: Detection::default(),
            object,
        }
    }

    /// The object before an update. It is read when it is asked for: most updates are decided without it.
    pub fn old(&self) -> Option<Subject<'b>> {
        let mut old = self.old.map(|old| decode::subject(&self.group, &self.kind, old))?;
        recognise(&mut old, &self.detection);
        Some(old)
    }

    /// Group and version of the object, such as `apps/v1`.
    pub fn api_version(&self) -> String {
        let (group, version) = (&self.group, &self.version);
        if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
    }

    /// Uid of the object where it exists already. The one that the API server gives on creation dies with a refusal. It
    /// is read when it is asked for: where somebody is to be told of the decision.
    pub fn stored_uid(&self) -> Option<String> {
        self.old.and_then(decode::uid_of_object)
    }

    /// Text of the object before an update.
    pub(crate) fn old_text(&self) -> Option<&'b str> {
        self.old
    }

    /// Recognises Jobs by what the policy of their namespace adds, which is only known once the namespace is.
    pub fn detect(&mut self, detection: &Detection) {
        recognise(&mut self.subject, detection);
        self.detection = detection.clone();
    }

    /// Whether an API server sent the request; offline there are no stamps to look for.
    pub fn is_admitted(&self) -> bool {
        !self.uid.is_empty()
    }
}
