//! What came out of checking a bundle.

use std::fmt;
use std::sync::Arc;

use super::yaml::Location;
use crate::policy::{Effect, Finding};

/// A place in one of a bundle's sources.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Index of the source.
    pub source: usize,
    /// Where in it.
    pub location: Location,
}

impl Place {
    /// A place in the source with this index.
    pub fn new(source: usize, location: Location) -> Self {
        Self { source, location }
    }
}

/// An object that was looked at.
#[derive(Clone, Debug)]
pub struct CheckedObject {
    /// Kind.
    pub kind: String,
    /// Namespace; where the manifest has none, the one that it is checked for.
    pub namespace: String,
    /// Name, or the `generateName` prefix followed by `*`.
    pub name: String,
    /// Where it starts.
    pub place: Place,
}

/// Such as `Job shop/shop-migrate`.
impl fmt::Display for CheckedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// A finding with the object and the place that it is about.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The finding.
    pub finding: Finding,
    /// The object, one of [`Report::objects`].
    pub object: Arc<CheckedObject>,
    /// Field path as in the manifest, which has no container of wavegate's.
    pub path: String,
    /// Where the field stands, or would stand.
    pub place: Place,
}

impl Checked {
    /// What was found and what to do, as one sentence that begins with the field.
    pub fn sentence(&self) -> String {
        format!("{} {}; {}", self.path, self.finding.message(), self.finding.help())
    }
}

/// A workload that a Job is paired with.
#[derive(Clone, Debug)]
pub struct PairReport {
    /// Kind of the workload.
    pub kind: String,
    /// Name of the workload.
    pub object: String,
    /// Why it is paired.
    pub reason: String,
    /// Whether the pair may deny.
    pub sure: bool,
}

/// A Job with a role.
#[derive(Clone, Debug)]
pub struct JobReport {
    /// Namespace of the Job.
    pub namespace: String,
    /// Name of the Job.
    pub object: String,
    /// Where the Job starts.
    pub place: Place,
    /// Its role.
    pub role: &'static str,
    /// How sure the role is.
    pub confidence: &'static str,
    /// Why it has that role.
    pub reason: String,
    /// What a migration does to the schema.
    pub phase: Option<&'static str>,
    /// The workloads that it gates.
    pub pairs: Vec<PairReport>,
}

/// A remark that belongs to no rule.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it is about.
    pub place: Place,
    /// The remark.
    pub message: String,
}

/// Something that could not be checked.
#[derive(Clone, Debug)]
pub struct CheckError {
    /// The object that cannot be read, one of [`Report::objects`]; `None` where there is no object.
    pub object: Option<Arc<CheckedObject>>,
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is to say about a bundle.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The objects that were looked at.
    pub objects: Vec<Arc<CheckedObject>>,
    /// Findings, in the order of their objects.
    pub findings: Vec<Checked>,
    /// Jobs with a role.
    pub jobs: Vec<JobReport>,
    /// Remarks.
    pub notices: Vec<Notice>,
    /// What could not be checked.
    pub errors: Vec<CheckError>,
}

impl Report {
    /// Number of findings with an effect.
    pub fn count(&self, effect: Effect) -> usize {
        self.findings.iter().filter(|checked| checked.finding.effect() == effect).count()
    }
}
