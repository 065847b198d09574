//! The index of migrations, workloads and Services in view.

use super::attempts::Attempts;
use super::let_through::LetThrough;
use super::overrides::Overrides;
use super::pairing;
use super::reading::Confirmation;
use super::shared::Shared;
use crate::domain::argocd::{HookPhase, INSTANCE_LABEL, Ordering, tracked_application};
use crate::domain::image::ImageRef;
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::{
    Container, ContainerPlace, IntOrPercent, Metadata, PodSpec, PodTemplate, ServiceManifest,
};
use crate::domain::migration::Migration;
use crate::domain::names::ImageNames;
use crate::domain::role::Confidence;
use crate::domain::workload::Workload;

/// Identity of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Kind, such as `Deployment`.
    pub kind: &'static str,
    /// Namespace; where a manifest has none, the one it is checked for.
    pub namespace: String,
    /// Name, or the `generateName` prefix followed by `*`.
    pub name: String,
}

/// What can tie a migration and a workload together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    /// Value of `wavegate.dev/app`.
    pub app: Option<String>,
    /// Argo CD Application, from a tracking id that is the object's own.
    pub application: Option<String>,
    /// Label `app.kubernetes.io/instance`.
    pub instance: Option<String>,
    /// Value of `wavegate.dev/release`.
    pub release: Option<String>,
}

impl Ties {
    fn read(
        metadata: &Metadata<'_>,
        template: Option<&PodTemplate<'_>>,
        kind: &str,
        namespace: &str,
    ) -> Self {
        let template = template.map(|template| &template.metadata);
        let key = |key: &'static str| {
            keys::author_value(metadata, template, key).map(|found| found.value.to_owned())
        };
        Self {
            app: key(keys::APP),
            release: key(keys::RELEASE),
            application: tracked_application(metadata, kind, namespace).map(str::to_owned),
            instance: metadata.labels.get(INSTANCE_LABEL).map(str::to_owned),
        }
    }
}

/// A recognised migration Job.
#[derive(Clone, Debug)]
pub struct MigrationFacts {
    /// The Job.
    pub key: ObjectKey,
    /// What ties it to workloads.
    pub ties: Shared<Ties>,
    /// Image of its migration container, where there is one and it parses.
    pub image: Option<ImageRef>,
    /// Its place in a sync.
    pub ordering: Shared<Ordering>,
    /// How sure the recognition is.
    pub confidence: Confidence,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct WorkloadFacts {
    /// The workload.
    pub key: ObjectKey,
    /// What ties it to migrations.
    pub ties: Ties,
    /// Images of all its containers that parse.
    pub images: Vec<ImageRef>,
    /// Value of `wavegate.dev/requires-release`.
    pub floor: Option<String>,
}

impl WorkloadFacts {
    /// The facts of a workload in a namespace.
    pub fn of(workload: &Workload<'_>, namespace: &str) -> Self {
        let kind = workload.kind.name();
        let metadata = &workload.manifest.metadata;
        let template = workload.manifest.spec.template.as_ref();
        Self {
            key: key_of(kind, metadata, namespace),
            ties: Ties::read(metadata, template, kind, namespace),
            images: workload.pod().map(images).unwrap_or_default(),
            floor: workload.key(keys::REQUIRES_RELEASE).map(|key| key.value.to_owned()),
        }
    }

    /// Whether it is plain that the same migrations surely gate both: nothing that a sure pair goes by tells them apart.
    /// Where it is not, they may all the same.
    pub fn surely_pairs_like(&self, other: &Self) -> bool {
        let (own, others) = (&self.ties, &other.ties);
        self.key.namespace == other.key.namespace
            && own.app == others.app
            && own.application == others.application
            && own.instance == others.instance
            && self.images.len() == other.images.len()
            && self.images.iter().zip(&other.images).all(|(own, other)| own.same_repository(other))
    }
}

impl WorkloadFacts {
    /// The facts of a live pod: its own, and what ties the workload that it was made for to migrations.
    pub fn of_pod(pod: &PodTemplate<'_>, namespace: &str, owner: Option<&Self>) -> Self {
        let own = Ties::read(&pod.metadata, None, "Pod", namespace);
        let tie = |own: Option<String>, of: fn(&Ties) -> &Option<String>| {
            owner.and_then(|owner| of(&owner.ties).clone()).or(own)
        };
        Self {
            key: key_of("Pod", &pod.metadata, namespace),
            ties: Ties {
                app: tie(own.app, |ties| &ties.app),
                application: tie(own.application, |ties| &ties.application),
                instance: tie(own.instance, |ties| &ties.instance),
                // A token tells the release of these containers, which may be an older one's than the owner's.
                release: own.release,
            },
            images: images(&pod.spec),
            floor: keys::author_value(&pod.metadata, None, keys::REQUIRES_RELEASE)
                .map(|key| key.value.to_owned()),
        }
    }
}

/// The images of all containers that parse.
fn images(pod: &PodSpec<'_>) -> Vec<ImageRef> {
    pod.all_containers().filter_map(|(_, c)| c.image.parsed().ok().cloned()).collect()
}

impl MigrationFacts {
    /// The facts of a Job in a namespace.
    pub fn of(job: &Job<'_>, namespace: &str) -> Self {
        let container = job.migration_container().map(|(_, container)| container);
        Self::with_image_of(container, job, namespace)
    }

    /// The same with another container's image than the migration's.
    pub fn of_container(job: &Job<'_>, place: ContainerPlace, namespace: &str) -> Self {
        Self::with_image_of(job.pod().container(place), job, namespace)
    }

    fn with_image_of(image: Option<&Container<'_>>, job: &Job<'_>, namespace: &str) -> Self {
        let metadata = &job.manifest.metadata;
        Self {
            key: key_of("Job", metadata, namespace),
            ties: Ties::read(metadata, Some(&job.manifest.spec.template), "Job", namespace).into(),
            image: image.and_then(|container| container.image.parsed().ok().cloned()),
            ordering: job.ordering.clone().into(),
            confidence: job.recognition.confidence,
        }
    }
}

/// A Service that takes traffic, which a headless one does not.
#[derive(Clone, Debug)]
pub struct ServiceFacts {
    namespace: String,
    selector: Vec<(String, String)>,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
enum Target {
    Number(i64),
    Name(String),
}

impl ServiceFacts {
    /// The facts of a Service that is not headless and selects pods, in a namespace.
    pub fn of(service: &ServiceManifest<'_>, namespace: &str) -> Option<Self> {
        let spec = &service.spec;
        if spec.cluster_ip.as_deref() == Some("None") || spec.selector.is_empty() {
            return None;
        }
        let own = service.metadata.namespace.as_deref().unwrap_or(namespace);
        let target = |port: &crate::domain::manifest::ServicePort<'_>| match &port.target_port {
            Some(IntOrPercent::Int(number)) => Target::Number(*number),
            Some(IntOrPercent::Text(name)) => Target::Name(name.as_str().to_owned()),
            None => Target::Number(port.port),
        };
        Some(Self {
            namespace: own.to_owned(),
            selector: spec.selector.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            targets: spec.ports.iter().map(target).collect(),
        })
    }

    /// Whether the Service sends traffic to pods of this template in this namespace, and to a port that this
    /// container may listen on: one that it declares, or any if the pod has only one container, since
    /// declaring ports is optional.
    fn reaches(&self, namespace: &str, template: &PodTemplate<'_>, container: usize) -> bool {
        let labels = &template.metadata.labels;
        let selects = self.namespace == namespace
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let Some(subject) = template.spec.containers.get(container) else { return false };
        let declared = subject.ports.iter().any(|port| {
            self.targets.iter().any(|target| match target {
                Target::Number(number) => *number == port.container_port,
                Target::Name(name) => port.name.as_deref() == Some(name),
            })
        });
        selects && (declared || template.spec.containers.len() == 1)
    }
}

/// The objects in view.
#[derive(Clone, Debug, Default)]
pub struct ClusterState {
    migrations: Vec<MigrationFacts>,
    /// Which migration each of them is, in the same order.
    identities: Vec<Migration>,
    workloads: Vec<WorkloadFacts>,
    services: Vec<ServiceFacts>,
    waiting_hooks: Vec<(String, Ordering)>,
    pub(super) attempts: Attempts,
    pub(super) let_through: LetThrough,
    pub(super) overrides: Overrides,
    pub(super) confirmation: Option<Result<Confirmation, String>>,
}

impl ClusterState {
    /// Takes a Job into view if it is a recognised migration or a hook that waits for a database.
    pub fn observe_job(&mut self, job: &Job<'_>, namespace: &str) {
        if job.recognition.is_migration() {
            self.migrations.push(MigrationFacts::of(job, namespace));
            self.identities.push(Migration::of(job));
        } else if job.readings.iter().any(|(_, reading)| reading.waiter.is_some()) {
            self.waiting_hooks.push((namespace.to_owned(), job.ordering.clone()));
        }
    }

    /// Whether a hook in view waits for a database and is done before a `PreSync` Job of this order starts.
    pub fn has_waiting_hook_before(&self, namespace: &str, ordering: &Ordering) -> bool {
        self.waiting_hooks.iter().any(|(own, hook)| {
            own == namespace
                && hook.has(HookPhase::PreSync)
                && (hook.wave < ordering.wave || !ordering.has(HookPhase::PreSync))
        })
    }

    /// Takes a workload into view.
    pub fn observe_workload(&mut self, workload: &Workload<'_>, namespace: &str) {
        self.workloads.push(WorkloadFacts::of(workload, namespace));
    }

    /// Takes a Service into view.
    pub fn observe_service(&mut self, service: &ServiceManifest<'_>, namespace: &str) {
        self.services.extend(ServiceFacts::of(service, namespace));
    }

    /// Migrations in view.
    pub fn migrations(&self) -> &[MigrationFacts] {
        &self.migrations
    }

    /// Further Jobs in view that count as attempts at a migration for the same release.
    pub fn same_migrations<'s>(
        &'s self,
        facts: &MigrationFacts,
        migration: &Migration,
        names: &ImageNames,
    ) -> Vec<&'s MigrationFacts> {
        let in_view = self.migrations.iter().zip(&self.identities);
        let same = in_view.filter(|(other, identity)| {
            let same_release =
                other.image == facts.image && other.ties.release == facts.ties.release;
            *identity == migration
                && other.key != facts.key
                && same_release
                && pairing::same_app(other, facts, names)
        });
        same.map(|(other, _)| other).collect()
    }

    /// Workloads in view.
    pub fn workloads(&self) -> &[WorkloadFacts] {
        &self.workloads
    }

    /// The attempts at migrations in view: what has happened.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// The attempts, to take further ones into view.
    pub fn attempts_mut(&mut self) -> &mut Attempts {
        &mut self.attempts
    }

    /// What persons say against the gate.
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The overrides, to take further ones into view.
    pub fn overrides_mut(&mut self) -> &mut Overrides {
        &mut self.overrides
    }

    /// Whether a Service in view sends traffic to this regular container of pods of this template.
    pub fn serves(&self, namespace: &str, template: &PodTemplate<'_>, container: usize) -> bool {
        self.services.iter().any(|service| service.reaches(namespace, template, container))
    }
}

fn key_of(kind: &'static str, metadata: &Metadata<'_>, namespace: &str) -> ObjectKey {
    ObjectKey { kind, namespace: namespace.to_owned(), name: metadata.display_name().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(labels: &str, containers: &str) -> PodTemplate<'static> {
        let json =
            format!(r#"{{"metadata":{{"labels":{labels}}},"spec":{{"containers":{containers}}}}}"#);
        serde_json::from_str(Box::leak(json.into_boxed_str())).unwrap()
    }

    #[test]
    fn a_service_reaches_the_container_behind_its_port() {
        let web = template(
            r#"{"app":"web","x":"y"}"#,
            r#"[{"name":"api","ports":[{"name":"http","containerPort":8080}]},{"name":"log"}]"#,
        );
        let alone = template(r#"{"app":"web"}"#, r#"[{"name":"api"}]"#);
        let cases = [
            (
                r#"{"selector":{"app":"web"},"ports":[{"port":80,"targetPort":"http"}]}"#,
                &web,
                0,
                true,
            ),
            (
                r#"{"selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]}"#,
                &web,
                0,
                true,
            ),
            (r#"{"selector":{"app":"web"},"ports":[{"port":8080}]}"#, &web, 0, true),
            (r#"{"selector":{"app":"web"},"ports":[{"port":8080}]}"#, &web, 1, false),
            (r#"{"selector":{"app":"web"},"ports":[{"port":80}]}"#, &web, 0, false),
            (r#"{"selector":{"app":"web"},"ports":[{"port":80}]}"#, &alone, 0, true),
            (r#"{"selector":{"app":"other"},"ports":[{"port":8080}]}"#, &web, 0, false),
            (
                r#"{"selector":{"app":"web"},"clusterIP":"None","ports":[{"port":8080}]}"#,
                &web,
                0,
                false,
            ),
            (r#"{"ports":[{"port":8080}]}"#, &web, 0, false),
        ];
        for (spec, template, container, want) in cases {
            let json = format!(r#"{{"metadata":{{"namespace":"shop"}},"spec":{spec}}}"#);
            let service: ServiceManifest<'_> = serde_json::from_str(&json).unwrap();
            let mut state = ClusterState::default();
            state.observe_service(&service, "elsewhere");
            assert_eq!(state.serves("shop", template, container), want, "{spec}");
            assert!(!state.serves("elsewhere", template, container));
        }
    }
}
