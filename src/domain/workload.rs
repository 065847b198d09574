//! A workload as the rules see it: what runs the app's code.

use super::argocd::Ordering;
use super::image::ImageRef;
use super::job::only_app_container;
use super::keys::{self, AuthorValue};
use super::manifest::{Container, ContainerPlace, PodSpec, WorkloadManifest};
use super::names::ImageNames;

/// Kinds of workload that wavegate covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `argoproj.io/v1alpha1` Rollout.
    Rollout,
}

impl WorkloadKind {
    /// Kind as in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Rollout => "Rollout",
        }
    }

    /// The kind of a group and kind.
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        let found = match kind {
            "Deployment" => Self::Deployment,
            "StatefulSet" => Self::StatefulSet,
            "DaemonSet" => Self::DaemonSet,
            "Rollout" => Self::Rollout,
            _ => return None,
        };
        let want = if found == Self::Rollout { "argoproj.io" } else { "apps" };
        (group == want).then_some(found)
    }
}

/// A Deployment, StatefulSet, DaemonSet or Rollout with its place in a sync.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// Its kind.
    pub kind: WorkloadKind,
    /// The fields read.
    pub manifest: WorkloadManifest<'a>,
    /// Wave and hook phases.
    pub ordering: Ordering,
}

/// Which container carries the app's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppContainer {
    /// This one.
    At(ContainerPlace),
    /// Several could be meant: ask for the key, never guess.
    Ambiguous,
    /// There are no containers to choose from, as in a Rollout with `workloadRef`.
    None,
}

impl<'a> Workload<'a> {
    /// Reads a workload.
    pub fn read(kind: WorkloadKind, manifest: WorkloadManifest<'a>) -> Self {
        let ordering = Ordering::read(&manifest.metadata.annotations);
        Self { kind, manifest, ordering }
    }

    /// The pods' specification; `None` for a Rollout that names its pods by `workloadRef`.
    pub fn pod(&self) -> Option<&PodSpec<'a>> {
        self.manifest.spec.template.as_ref().map(|template| &template.spec)
    }

    /// The value of an author key.
    pub fn key(&self, key: &'static str) -> Option<AuthorValue<'_>> {
        let template = self.manifest.spec.template.as_ref();
        let template = template.map(|template| &template.metadata);
        keys::author_value(&self.manifest.metadata, template, key)
    }

    /// Whether the author opted in to the workload rules.
    pub fn is_opted_in(&self) -> bool {
        self.key(keys::APP).is_some()
    }

    /// The container that carries the app's image: the one named by the author, else the one whose
    /// repository is the migration's, else the only one that is no sidecar.
    pub fn app_container(&self, migration: Option<&ImageRef>, names: &ImageNames) -> AppContainer {
        let Some(pod) = self.pod() else { return AppContainer::None };
        if let Some(key) = self.key(keys::CONTAINER) {
            let named = pod.all_containers().find(|(_, c)| c.name.as_str() == key.value);
            return named.map_or(AppContainer::Ambiguous, |(place, _)| AppContainer::At(place));
        }
        if let Some(migration) = migration {
            let of_repository = |container: &Container<'_>| {
                let image = container.image.parsed();
                image.is_ok_and(|image| names.same_repository(image, migration))
            };
            let found = pod.all_containers().filter(|(_, container)| of_repository(container));
            // A regular container before an init container of the same image.
            if let Some((place, _)) = found.min_by_key(|(place, _)| (place.init, place.index)) {
                return AppContainer::At(place);
            }
        }
        match only_app_container(pod) {
            Some(place) => AppContainer::At(place),
            None if pod.containers.is_empty() => AppContainer::None,
            None => AppContainer::Ambiguous,
        }
    }
}
