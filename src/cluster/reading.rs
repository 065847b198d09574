//! What is read of one namespace at the moment of a decision, since what the watchers know may lag behind.

use jiff::Timestamp;

use super::attempt::Attempt;
use super::state::{ClusterState, ObjectKey, WorkloadFacts};
use crate::domain::image::ImageRef;

/// What a decision asks of the cluster before it refuses, or of what only the cluster knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Namespace of the subject. Its Jobs and records are always read, Jobs without regard to any label.
    pub namespace: String,
    /// The workload whose revisions are wanted.
    pub revisions_of: Option<ObjectKey>,
    /// Whether the pods and workloads that run now are wanted.
    pub running: bool,
    /// Objects whose absence is wanted to be known.
    pub references: Vec<Reference>,
}

/// An object that a pod names and cannot start without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
    /// Field path of the name.
    pub path: String,
}

/// Kinds of objects that a pod names. Secrets are not among them: wavegate may not even read their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `spec.serviceAccountName`
    ServiceAccount,
    /// A volume, `envFrom` or `valueFrom`.
    ConfigMap,
    /// A volume.
    PersistentVolumeClaim,
}

impl ReferenceKind {
    /// Kind as in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
        }
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Every migration Job of the namespace.
    pub jobs: Vec<Attempt>,
    /// Every record of the namespace.
    pub records: Vec<Attempt>,
    /// The revisions that were asked for.
    pub revisions: Vec<Revision>,
    /// The pods and workloads that run now, where they were asked for.
    pub running: Vec<WorkloadFacts>,
    /// Those of the references that do not exist.
    pub missing: Vec<Reference>,
}

/// What a workload ran at some time: a ReplicaSet's or ControllerRevision's pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The workload.
    pub owner: ObjectKey,
    /// Images of all its containers.
    pub images: Vec<ImageRef>,
    /// When the template was first rolled out.
    pub created: Timestamp,
}

impl ClusterState {
    /// This state with what was just read of a namespace in place of what was known of it.
    #[must_use]
    pub fn confirmed(&self, namespace: &str, reading: Reading) -> Self {
        let mut state = self.clone();
        state.attempts.replace_namespace(namespace, reading.jobs, reading.records);
        state.confirmation = Some(Confirmation {
            revisions: reading.revisions,
            running: reading.running,
            missing: reading.missing,
        });
        state
    }

    /// What was read at the moment of the decision; `None` until that has happened.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }
}

/// What was read at the moment of a decision, besides attempts.
#[derive(Clone, Debug, Default)]
pub struct Confirmation {
    /// The revisions of the subject.
    pub revisions: Vec<Revision>,
    /// The pods and workloads that run now.
    pub running: Vec<WorkloadFacts>,
    /// References of the subject that do not exist.
    pub missing: Vec<Reference>,
}
