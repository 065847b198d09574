//! What is read of workloads, their revisions and their pods.

use jiff::Timestamp;
use serde::Deserialize;

use crate::cluster::retention::LiveReleases;
use crate::cluster::{ObjectKey, Revision, WorkloadFacts};
use crate::domain::keys;
use crate::domain::manifest::{PodTemplate, WorkloadManifest};
use crate::domain::workload::{Workload, WorkloadKind};
use crate::watch::stored::Stored;

/// Those of the objects that can be read.
pub(super) fn read<'o, T: Deserialize<'o>>(objects: &'o [Stored]) -> Vec<T> {
    objects.iter().filter_map(|object| serde_json::from_str(object.json()).ok()).collect()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    owner_references: Vec<OwnerReference>,
    creation_timestamp: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnerReference {
    kind: String,
    name: String,
    controller: bool,
}

impl Metadata {
    fn is_owned_by(&self, owner: &ObjectKey) -> bool {
        self.owner_references.iter().any(|of| of.kind == owner.kind && of.name == owner.name)
    }

    fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    fn revision(&self, owner: &ObjectKey, template: &PodTemplate<'_>) -> Option<Revision> {
        let created = self.creation_timestamp.filter(|_| self.is_owned_by(owner))?;
        let images = template.spec.all_containers();
        Some(Revision {
            owner: owner.clone(),
            images: images.filter_map(|(_, c)| c.image.parsed().ok().cloned()).collect(),
            created,
        })
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Templated<'a> {
    template: PodTemplate<'a>,
}

/// A revision of a Deployment or Rollout.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct ReplicaSet<'a> {
    metadata: Metadata,
    spec: Templated<'a>,
}

impl ReplicaSet<'_> {
    pub(super) fn revision_of(&self, owner: &ObjectKey) -> Option<Revision> {
        self.metadata.revision(owner, &self.spec.template)
    }
}

/// A revision of a StatefulSet or DaemonSet. Its data is a patch of the workload that sets the template.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct ControllerRevision<'a> {
    metadata: Metadata,
    data: RevisionData<'a>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct RevisionData<'a> {
    spec: Templated<'a>,
}

impl ControllerRevision<'_> {
    pub(super) fn revision_of(&self, owner: &ObjectKey) -> Option<Revision> {
        self.metadata.revision(owner, &self.data.spec.template)
    }
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: String,
}

/// Takes the releases of revisions into those that workloads may be rolled back to.
pub(super) fn revisions_into(live: &mut LiveReleases, sets: &[Stored], revisions: &[Stored]) {
    let sets: Vec<ReplicaSet<'_>> = read(sets);
    let revisions: Vec<ControllerRevision<'_>> = read(revisions);
    let of_sets = sets.iter().map(|set| &set.spec.template);
    for template in of_sets.chain(revisions.iter().map(|revision| &revision.data.spec.template)) {
        for (_, container) in template.spec.all_containers() {
            if let Ok(image) = container.image.parsed() {
                live.image(image);
            }
        }
        for key in [keys::RELEASE, keys::REQUIRES_RELEASE] {
            if let Some(named) = keys::author_value(&template.metadata, None, key) {
                live.named(named.value);
            }
        }
    }
}

/// What runs in a namespace.
#[derive(Default)]
pub(super) struct Running {
    pub(super) deployments: Vec<Stored>,
    pub(super) stateful: Vec<Stored>,
    pub(super) daemons: Vec<Stored>,
    pub(super) rollouts: Vec<Stored>,
    pub(super) pods: Vec<Stored>,
}

impl Running {
    /// The workloads, and the pods that run code of the app: not those of Jobs, and not those that have ended.
    pub(super) fn facts(&self, namespace: &str, sets: &[ReplicaSet<'_>]) -> Vec<WorkloadFacts> {
        let kinds = [
            (WorkloadKind::Deployment, &self.deployments),
            (WorkloadKind::StatefulSet, &self.stateful),
            (WorkloadKind::DaemonSet, &self.daemons),
            (WorkloadKind::Rollout, &self.rollouts),
        ];
        let workloads = kinds.into_iter().flat_map(|(kind, objects)| {
            let manifests: Vec<WorkloadManifest<'_>> = read(objects);
            manifests
                .into_iter()
                .map(move |manifest| WorkloadFacts::of(&Workload::read(kind, manifest), namespace))
        });
        let mut facts: Vec<_> = workloads.collect();
        let pods: Vec<_> =
            self.pods.iter().filter_map(|pod| pod_facts(pod, namespace, sets, &facts)).collect();
        facts.extend(pods);
        facts
    }
}

fn pod_facts(
    stored: &Stored,
    namespace: &str,
    sets: &[ReplicaSet<'_>],
    workloads: &[WorkloadFacts],
) -> Option<WorkloadFacts> {
    let pod: Pod = serde_json::from_str(stored.json()).ok()?;
    if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
        return None;
    }
    let mut owner = pod.metadata.controller();
    if owner.is_some_and(|owner| owner.kind == "Job") {
        return None;
    }
    if let Some(set) = owner.filter(|owner| owner.kind == "ReplicaSet") {
        let set = sets.iter().find(|candidate| candidate.metadata.name == set.name);
        owner = set.and_then(|set| set.metadata.controller());
    }
    let made_for = owner.and_then(|owner| {
        workloads.iter().find(|w| w.key.kind == owner.kind && w.key.name == owner.name)
    });
    let template: PodTemplate<'_> = serde_json::from_str(stored.json()).ok()?;
    Some(WorkloadFacts::of_pod(&template, namespace, made_for))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::image::ImageRef;

    fn stored(object: &Value) -> Stored {
        Stored::new(object).unwrap()
    }

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"wavegate.dev/app": "shop"}},
            "spec": {"containers": [{"name": "a", "image": image}]}})
    }

    fn owned(name: &str, kind: &str, owner: &str) -> Value {
        json!({"name": name, "creationTimestamp": "2026-11-24T10:00:00Z",
            "ownerReferences": [{"kind": kind, "name": owner, "controller": true}]})
    }

    fn key(kind: &'static str, name: &str) -> ObjectKey {
        ObjectKey { kind, namespace: "shop".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_revision_is_its_owners() {
        let set = stored(&json!({"metadata": owned("api-1", "Deployment", "api"),
            "spec": {"template": template("shop/api:v1")}}));
        let revision = stored(&json!({"metadata": owned("db-1", "StatefulSet", "db"),
            "data": {"spec": {"template": {"$patch": "replace", "spec": {"containers": [
                {"name": "a", "image": "shop/db:v1"}]}}}}}));
        let sets: Vec<ReplicaSet<'_>> = read(std::slice::from_ref(&set));
        let revisions: Vec<ControllerRevision<'_>> = read(std::slice::from_ref(&revision));
        let found = sets[0].revision_of(&key("Deployment", "api")).unwrap();
        assert_eq!(found.images, [ImageRef::parse("shop/api:v1").unwrap()]);
        assert_eq!(found.created.to_string(), "2026-11-24T10:00:00Z");
        assert!(sets[0].revision_of(&key("Rollout", "api")).is_none());
        let found = revisions[0].revision_of(&key("StatefulSet", "db")).unwrap();
        assert_eq!(found.images, [ImageRef::parse("shop/db:v1").unwrap()]);
        assert!(revisions[0].revision_of(&key("StatefulSet", "api")).is_none());
    }

    #[test]
    fn a_pod_has_the_ties_of_what_it_was_made_for() {
        let pod = |name: &str, kind: &str, owner: &str, phase: &str| {
            stored(&json!({"metadata": owned(name, kind, owner),
                "spec": {"containers": [{"name": "a", "image": "shop/api:v1"}]},
                "status": {"phase": phase}}))
        };
        let set = stored(&json!({"metadata": owned("api-1", "Deployment", "api"),
            "spec": {"template": template("shop/api:v1")}}));
        let running = Running {
            deployments: vec![stored(&json!({"metadata": {"name": "api"},
                "spec": {"template": template("shop/api:v2")}}))],
            stateful: vec![stored(
                &json!({"metadata": {"name": "db"}, "spec": {"template": template("d:1")}}),
            )],
            pods: vec![
                pod("api-1-a", "ReplicaSet", "api-1", "Running"),
                pod("db-0", "StatefulSet", "db", "Pending"),
                pod("done", "ReplicaSet", "api-1", "Succeeded"),
                pod("migrate-x", "Job", "migrate", "Running"),
                stored(&json!({"metadata": {"name": "bare"}, "spec": {"containers": []}})),
            ],
            ..Running::default()
        };
        let facts = running.facts("shop", &read(std::slice::from_ref(&set)));
        let found: Vec<_> = facts
            .iter()
            .map(|f| (f.key.kind, f.key.name.as_str(), f.ties.app.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("Deployment", "api", Some("shop")),
                ("StatefulSet", "db", Some("shop")),
                ("Pod", "api-1-a", Some("shop")),
                ("Pod", "db-0", Some("shop")),
                ("Pod", "bare", None),
            ]
        );
    }
}
