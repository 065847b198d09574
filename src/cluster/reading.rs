//! What is read of one namespace at the moment of a decision, since what the watchers know may lag behind.

use jiff::Timestamp;

use super::attempt::Attempt;
use super::let_through::LetThrough;
use super::overrides::Override;
use super::state::{ClusterState, ObjectKey, WorkloadFacts};
use crate::domain::image::ImageRef;
use crate::domain::reference::Reference;

/// What a decision asks of the cluster before it refuses, or of what only the cluster knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Namespace of the subject. Its Jobs, records and overrides are always read, Jobs without regard to any label.
    pub namespace: String,
    /// The workload whose revisions are wanted.
    pub revisions_of: Option<ObjectKey>,
    /// Whether the pods and workloads that run now are wanted.
    pub running: bool,
    /// Objects whose absence is wanted to be known.
    pub references: Vec<Reference>,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Every migration Job of the namespace.
    pub jobs: Vec<Attempt>,
    /// Every record of the namespace.
    pub records: Vec<Attempt>,
    /// Every override of the namespace.
    pub overrides: Vec<Override>,
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
        let Reading { jobs, records, overrides, revisions, running, missing } = reading;
        let mut state = self.told(Confirmation { revisions, running, missing });
        state.attempts.replace_namespace(namespace, jobs, records);
        state.overrides.replace_namespace(namespace, overrides);
        state
    }

    /// This state with all else that is known at the moment of the decision. What was let through is there by then, unless
    /// its client did not wait for it, and so asked for no order.
    #[must_use]
    pub fn told(&self, confirmation: Confirmation) -> Self {
        let mut state = self.clone();
        state.let_through = LetThrough::default();
        state.confirmation = Some(Ok(confirmation));
        state
    }

    /// This state, with the knowledge that nothing could be read, and why.
    #[must_use]
    pub fn unconfirmed(&self, reason: impl Into<String>) -> Self {
        let mut state = self.clone();
        state.confirmation = Some(Err(reason.into()));
        state
    }

    /// What was read at the moment of the decision.
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()?.as_ref().ok()
    }

    /// Why nothing could be read at the moment of the decision.
    pub fn unread(&self) -> Option<&str> {
        self.confirmation.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Whether the cluster was asked, with or without success: there is no asking twice.
    pub fn was_asked(&self) -> bool {
        self.confirmation.is_some()
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
