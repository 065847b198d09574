//! Objects as the API server sends them: the text, and of it decoded only what a watch needs.

use std::borrow::Cow;

use kube::api::ObjectMeta;
use kube::core::{ApiResource, DynamicResourceScope, GroupVersionKind, Resource};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::{gate_override, record};
use crate::policy::document;

/// An object of any kind, as text. The layers below read of it what they know.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    metadata: ObjectMeta,
    json: Box<RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HeadMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Stored {
    /// An object to be sent.
    pub(super) fn new(object: &serde_json::Value) -> Result<Self, serde_json::Error> {
        Ok(Self::of(to_raw_value(object)?))
    }

    /// An object without a readable head has an empty one; whoever needs its name finds none.
    fn of(json: Box<RawValue>) -> Self {
        let HeadMetadata { name, namespace, uid, resource_version } =
            serde_json::from_str::<Head>(json.get()).unwrap_or_default().metadata;
        let metadata =
            ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() };
        Self { metadata, json }
    }

    /// The object's JSON.
    pub(super) fn json(&self) -> &str {
        self.json.get()
    }

    pub(super) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Empty where there is none.
    pub(super) fn version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Box::deserialize(deserializer)?))
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl Resource for Stored {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        dt.kind.as_str().into()
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        dt.group.as_str().into()
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        dt.version.as_str().into()
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        dt.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The kinds of object that wavegate reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Job,
    Record,
    Override,
    Policy,
    Pod,
    ReplicaSet,
    ControllerRevision,
    Deployment,
    StatefulSet,
    DaemonSet,
    Rollout,
    ServiceAccount,
    ConfigMap,
    PersistentVolumeClaim,
}

impl Kind {
    /// Plural name, as in URLs, RBAC and messages.
    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Job => "jobs",
            Self::Record => "migrationrecords",
            Self::Override => gate_override::PLURAL,
            Self::Policy => document::PLURAL,
            Self::Pod => "pods",
            Self::ReplicaSet => "replicasets",
            Self::ControllerRevision => "controllerrevisions",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Rollout => "rollouts",
            Self::ServiceAccount => "serviceaccounts",
            Self::ConfigMap => "configmaps",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
        }
    }

    /// Whether a `CustomResourceDefinition` of wavegate's makes the API server know it.
    pub(super) const fn is_defined_by_wavegate(self) -> bool {
        matches!(self, Self::Record | Self::Override | Self::Policy)
    }

    /// What the API server calls it.
    pub(super) fn resource(self) -> ApiResource {
        let (group, version, kind) = match self {
            Self::Job => ("batch", "v1", "Job"),
            Self::Record => (record::GROUP, record::VERSION, record::KIND),
            Self::Override => (record::GROUP, record::VERSION, gate_override::KIND),
            Self::Policy => (record::GROUP, record::VERSION, document::KIND),
            Self::Pod => ("", "v1", "Pod"),
            Self::ServiceAccount => ("", "v1", "ServiceAccount"),
            Self::ConfigMap => ("", "v1", "ConfigMap"),
            Self::PersistentVolumeClaim => ("", "v1", "PersistentVolumeClaim"),
            Self::ReplicaSet => ("apps", "v1", "ReplicaSet"),
            Self::ControllerRevision => ("apps", "v1", "ControllerRevision"),
            Self::Deployment => ("apps", "v1", "Deployment"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet"),
            Self::DaemonSet => ("apps", "v1", "DaemonSet"),
            Self::Rollout => ("argoproj.io", "v1alpha1", "Rollout"),
        };
        let gvk = GroupVersionKind::gvk(group, version, kind);
        ApiResource::from_gvk_with_plural(&gvk, self.plural())
    }
}

#[cfg(test)]
mod tests {
    use kube::api::WatchEvent;
    use kube::core::ObjectList;

    use super::*;

    const JOB: &str = r#"{"kind":"Job","metadata":{"name":"m","namespace":"shop","uid":"u","resourceVersion":"7","labels":null},"new":{"field":1}}"#;

    #[test]
    fn an_object_is_kept_as_it_was_sent() {
        let list = format!(
            r#"{{"kind":"JobList","apiVersion":"batch/v1","metadata":{{"resourceVersion":"9"}},"items":[{JOB},7]}}"#
        );
        let list: ObjectList<Stored> = serde_json::from_str(&list).unwrap();
        let job = &list.items[0];
        assert_eq!((job.namespace(), job.name(), job.uid()), ("shop", "m", "u"));
        assert_eq!((job.version(), job.json()), ("7", JOB));
        assert_eq!(list.items[1].name(), "", "what is no object has no name");
    }

    #[test]
    fn a_watch_brings_it_too() {
        let event = format!(r#"{{"type":"DELETED","object":{JOB}}}"#);
        let WatchEvent::Deleted(job) = serde_json::from_str::<WatchEvent<Stored>>(&event).unwrap()
        else {
            panic!("a deletion");
        };
        assert_eq!(job.json(), JOB);
    }
}
