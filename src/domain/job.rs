//! A Job as the rules see it.

use super::argocd::Ordering;
use super::command::{self, CommandReading};
use super::detection::Detection;
use super::image::{ImageError, ImageRef};
use super::keys::{self, AuthorValue};
use super::manifest::{Container, ContainerPlace, JobManifest, PodSpec};
use super::reference::{self, Reference};
use super::role::{self, Reading, Recognition};
use super::text::Text;
use super::waiter::Waiter;

/// Kubernetes' default for an absent `backoffLimit`.
pub const DEFAULT_BACKOFF_LIMIT: i64 = 6;

/// A Job with its place in a sync and its role.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The fields read.
    pub manifest: JobManifest<'a>,
    /// Hook phases, wave and delete policies.
    pub ordering: Ordering,
    /// Role, confidence and reason.
    pub recognition: Recognition,
    /// What each container's command does, in the order in which they run.
    pub readings: Vec<Reading>,
}

impl<'a> Job<'a> {
    /// Reads a Job and recognises its role.
    pub fn read(manifest: JobManifest<'a>) -> Self {
        Self::read_by(manifest, &Detection::default())
    }

    /// The same by what a policy adds.
    pub fn read_by(manifest: JobManifest<'a>, detection: &Detection) -> Self {
        let ordering = Ordering::read(&manifest.metadata.annotations);
        let readings = read_commands_by(&manifest.spec.template.spec, detection);
        let recognition = role::recognise(&manifest, &ordering, &readings, detection);
        Self { manifest, ordering, recognition, readings }
    }

    /// Recognises the role once more, by what a policy adds.
    pub fn recognise_by(&mut self, detection: &Detection) {
        self.readings = read_commands_by(&self.manifest.spec.template.spec, detection);
        self.recognition =
            role::recognise(&self.manifest, &self.ordering, &self.readings, detection);
    }

    /// The pods' specification.
    pub fn pod(&self) -> &PodSpec<'a> {
        &self.manifest.spec.template.spec
    }

    /// The container that runs the migration, with its place.
    pub fn migration_container(&self) -> Option<(ContainerPlace, &Container<'a>)> {
        let place = self.recognition.container?;
        Some((place, self.pod().container(place)?))
    }

    /// What the migration container's command does.
    pub fn migration_reading(&self) -> Option<&CommandReading> {
        let place = self.recognition.container?;
        self.readings.iter().find(|(at, _)| *at == place).map(|(_, reading)| reading)
    }

    /// The migration container's image.
    pub fn image(&self) -> Option<Result<&ImageRef, ImageError>> {
        self.migration_container().map(|(_, container)| container.image.parsed())
    }

    /// The objects that the pod names and cannot start without.
    pub fn references(&self) -> Vec<Reference> {
        reference::of_pod(self.pod())
    }

    /// The value of an author key.
    pub fn key(&self, key: &'static str) -> Option<AuthorValue<'_>> {
        let template = &self.manifest.spec.template.metadata;
        keys::author_value(&self.manifest.metadata, Some(template), key)
    }

    /// The first waiter that is done before the migration starts: an init container ahead of it, or a
    /// command in front of the runner in its own script. A native sidecar is no such container: what follows does
    /// not wait for its end.
    pub fn waiter(&self) -> Option<(ContainerPlace, &Waiter)> {
        let migration = self.recognition.container;
        self.readings.iter().find_map(|(place, reading)| {
            let waiter = reading.waiter.as_ref()?;
            let ahead = migration.is_none_or(|migration| {
                *place == migration
                    || (place.init && (!migration.init || place.index < migration.index))
            });
            let sidecar = place.init
                && self.pod().container(*place)?.restart_policy.as_deref() == Some("Always");
            (ahead && !sidecar).then_some((*place, waiter))
        })
    }
}

/// A mesh that was asked to put a classic sidecar into a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicSidecar {
    /// The mesh's name.
    pub name: &'static str,
    /// Field path of the label or annotation that asks for it.
    pub path: String,
    /// How to do without, or with a native sidecar.
    pub help: &'static str,
}

struct Mesh {
    name: &'static str,
    asks: &'static [&'static str],
    with: &'static [&'static str],
    native: &'static [&'static str],
    help: &'static str,
}

/// How each mesh is asked for a sidecar on the pod, and how for a native one. Where a namespace asks, nothing
/// on the pod tells; the pod's own label or annotation is all that a manifest shows.
const MESHES: &[Mesh] = &[
    Mesh {
        name: "Istio",
        asks: &["sidecar.istio.io/inject"],
        with: &["true"],
        native: &["sidecar.istio.io/nativeSidecar"],
        help: "annotate sidecar.istio.io/nativeSidecar: \"true\", or do without the sidecar",
    },
    Mesh {
        name: "Linkerd",
        asks: &["linkerd.io/inject"],
        with: &["enabled", "ingress"],
        native: &[
            "config.linkerd.io/proxy-enable-native-sidecar",
            "config.beta.linkerd.io/proxy-enable-native-sidecar",
            "config.alpha.linkerd.io/proxy-enable-native-sidecar",
        ],
        help: "annotate config.beta.linkerd.io/proxy-enable-native-sidecar: \"true\", or do without the sidecar",
    },
    Mesh {
        name: "Consul",
        asks: &["consul.hashicorp.com/connect-inject"],
        with: &["true"],
        native: &[],
        help: "annotate consul.hashicorp.com/connect-inject: \"false\"",
    },
    Mesh {
        name: "Kuma",
        asks: &["kuma.io/sidecar-injection"],
        with: &["enabled", "true"],
        native: &[],
        help: "label kuma.io/sidecar-injection: disabled",
    },
];

impl Job<'_> {
    /// The mesh whose classic sidecar the pod template asks for. It starts after the init containers, so that
    /// they have no network where the mesh captures it, and never ends by itself.
    pub fn classic_mesh_sidecar(&self) -> Option<ClassicSidecar> {
        let metadata = &self.manifest.spec.template.metadata;
        let fields = [("labels", &metadata.labels), ("annotations", &metadata.annotations)];
        let is_set = |keys: &[&str], values: &[&str]| {
            fields.iter().find_map(|(field, map)| {
                let key =
                    keys.iter().find(|key| map.get(key).is_some_and(|v| values.contains(&v)))?;
                Some(format!("spec.template.metadata.{field}[{key}]"))
            })
        };
        MESHES.iter().find_map(|mesh| {
            let path = is_set(mesh.asks, mesh.with)?;
            let classic = is_set(mesh.native, &["true"]).is_none();
            classic.then_some(ClassicSidecar { name: mesh.name, path, help: mesh.help })
        })
    }
}

/// What a command line without an image behind it does, such as that of a lifecycle hook.
pub fn read_command_line(command: &[Text<'_>], detection: &Detection) -> CommandReading {
    command::read_command_knowing(detection.runners(), command, &[], None)
}

/// What each container's command does, init containers first.
pub fn read_commands_by(pod: &PodSpec<'_>, detection: &Detection) -> Vec<Reading> {
    let read = |(place, container)| (place, read_container(container, detection));
    pod.all_containers().map(read).collect()
}

fn read_container(container: &Container<'_>, detection: &Detection) -> CommandReading {
    // The image matters only where its own entry point runs.
    let own_entrypoint = container.command.is_empty() && !container.args.is_empty();
    if container.command.is_empty() && !own_entrypoint {
        return CommandReading::default();
    }
    let image = own_entrypoint.then(|| container.image.parsed().ok()).flatten();
    let path = image.map(|image| image.path().trim_start_matches("library/"));
    let (command, args) = (&container.command, &container.args);
    command::read_command_knowing(detection.runners(), command, args, path)
}

/// Beginnings of the names of containers that accompany the app's.
const SIDECAR_NAMES: &[&str] = &[
    "istio-proxy",
    "linkerd-proxy",
    "cloud-sql-proxy",
    "cloudsql-proxy",
    "vault-agent",
    "fluent",
    "otel",
    "opentelemetry",
    "envoy",
    "consul-connect",
    "kuma-sidecar",
    "datadog-agent",
    "jaeger-agent",
];

/// Whether a container's name is that of a well-known sidecar.
pub fn is_sidecar_name(name: &str) -> bool {
    SIDECAR_NAMES.iter().any(|known| name.starts_with(known))
}

/// The only regular container that is no sidecar, if there is exactly one.
pub fn only_app_container(pod: &PodSpec<'_>) -> Option<ContainerPlace> {
    let mut apps = pod.containers.iter().enumerate().filter(|(_, c)| !is_sidecar_name(&c.name));
    let (index, _) = apps.next()?;
    apps.next().is_none().then_some(ContainerPlace { init: false, index })
}
