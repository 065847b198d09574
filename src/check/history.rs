//! What a bundle says of a cluster: the records of its migrations, the overrides, the pods that run in it, and what a
//! sync of the bundle itself only brings after its hooks.

use std::borrow::Cow;

use serde::Deserialize;

use super::bundle::Object;
use super::report::Report;
use crate::admission::Subject;
use crate::cluster::{Attempt, ClusterState, Confirmation, Override, WorkloadFacts};
use crate::domain::argocd::{HookPhase, Ordering};
use crate::domain::gate_override;
use crate::domain::manifest::{Metadata, PodTemplate};
use crate::domain::outcome::Outcome;
use crate::domain::record::{GROUP, KIND};
use crate::domain::reference::{Reference, ReferenceKind};

#[derive(Deserialize)]
struct AnyObject<'a> {
    #[serde(borrow, default)]
    metadata: Metadata<'a>,
}

/// What the objects of a bundle tell that are no manifests of an application.
pub(super) struct History {
    running: Vec<WorkloadFacts>,
    /// Objects that Argo CD applies in the Sync phase: kind, namespace, name.
    synced: Vec<(ReferenceKind, String, String)>,
}

impl History {
    /// Reads records and overrides into the state, and pods.
    pub(super) fn read(
        objects: &[Object<'_>],
        state: &mut ClusterState,
        report: &mut Report,
    ) -> Self {
        let mut history = Self { running: Vec::new(), synced: Vec::new() };
        for object in objects {
            match (object.group.as_str(), object.about.kind.as_str()) {
                (GROUP, KIND) => {
                    match Attempt::read_record(&object.about.namespace, &object.json) {
                        Ok(attempt) => observe(attempt, state),
                        Err(error) => {
                            let message = format!("{KIND} cannot be read: {error}");
                            report.errors.push(object.error("", message));
                        }
                    }
                }
                (GROUP, gate_override::KIND) => {
                    match Override::read(&object.about.namespace, &object.json) {
                        Ok(one) => state.overrides_mut().observe(one),
                        Err(error) => {
                            let message =
                                format!("{} cannot be used: {error}", gate_override::KIND);
                            report.errors.push(object.error("", message));
                        }
                    }
                }
                ("", "Pod") => history.running.extend(
                    serde_json::from_str::<PodTemplate<'_>>(&object.json)
                        .map(|pod| WorkloadFacts::of_pod(&pod, &object.about.namespace, None)),
                ),
                ("", kind) => history.synced.extend(synced(kind, object)),
                _ => {}
            }
        }
        history
    }

    /// The state as one object of the bundle finds it.
    pub(super) fn beside<'s>(
        &self,
        object: &Object<'_>,
        state: &'s ClusterState,
    ) -> Cow<'s, ClusterState> {
        let Subject::Job(job) = object.admission(&object.json).subject else {
            return Cow::Borrowed(state);
        };
        let hook = job.ordering.has(HookPhase::PreSync);
        let mut missing = if hook { job.references() } else { Vec::new() };
        missing.retain(|reference| self.comes_late(reference, &object.about.namespace));
        if missing.is_empty() && self.running.is_empty() {
            return Cow::Borrowed(state);
        }
        let running = self.running.clone();
        Cow::Owned(state.told(Confirmation { revisions: Vec::new(), running, missing }))
    }

    fn comes_late(&self, reference: &Reference, namespace: &str) -> bool {
        self.synced.iter().any(|(kind, own, name)| {
            *kind == reference.kind && own == namespace && *name == reference.name
        })
    }
}

/// A record of a running attempt is taken at its word: its Job was there when the record was read.
fn observe(attempt: Attempt, state: &mut ClusterState) {
    if attempt.outcome == Outcome::Running {
        state.attempts_mut().observe_job(attempt.clone());
    }
    state.attempts_mut().observe_record(attempt);
}

fn synced(kind: &str, object: &Object<'_>) -> Option<(ReferenceKind, String, String)> {
    use ReferenceKind::{ConfigMap, PersistentVolumeClaim, ServiceAccount};
    let kinds = [ServiceAccount, ConfigMap, PersistentVolumeClaim];
    let kind = kinds.into_iter().find(|known| known.name() == kind)?;
    let read: AnyObject<'_> = serde_json::from_str(&object.json).ok()?;
    let before = Ordering::read(&read.metadata.annotations).has(HookPhase::PreSync);
    let name = read.metadata.name.as_deref()?.to_owned();
    (!before).then(|| (kind, object.about.namespace.clone(), name))
}
