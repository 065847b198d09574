//! Pod templates, containers and what a Job says about their failures.

use serde::Deserialize;

use super::{Metadata, WrittenImage};
use crate::domain::text::{Raw, Text, null_as_default};

/// `spec.template` of a Job or workload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct PodTemplate<'a> {
    /// Labels and annotations of the pods.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// The pods' specification.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: PodSpec<'a>,
}

/// `spec` of a pod template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct PodSpec<'a> {
    /// `Always` (the default), `OnFailure` or `Never`.
    #[serde(default)]
    pub restart_policy: Option<Text<'a>>,
    /// A pod's own deadline, which is not the Job's.
    #[serde(default)]
    pub active_deadline_seconds: Option<i64>,
    /// Run one after the other before the containers; those with `restartPolicy: Always` are native sidecars.
    #[serde(default, deserialize_with = "null_as_default")]
    pub init_containers: Vec<Container<'a>>,
    /// Run side by side.
    #[serde(default, deserialize_with = "null_as_default")]
    pub containers: Vec<Container<'a>>,
    /// Account that the pods act as.
    #[serde(default)]
    pub service_account_name: Option<Text<'a>>,
    /// Volumes, kept unread.
    #[serde(default, borrow)]
    pub volumes: Option<Raw<'a>>,
    /// Pod-level security settings.
    #[serde(default, deserialize_with = "null_as_default")]
    pub security_context: PodSecurityContext,
    /// Operating system of the pods.
    #[serde(default)]
    pub os: Option<PodOs<'a>>,
    /// Node labels that the pods ask for.
    #[serde(default, deserialize_with = "null_as_default")]
    pub node_selector: super::StringMap<'a>,
}

impl<'a> PodSpec<'a> {
    /// Every container with its field path below `spec`, init containers first, as they run.
    pub fn all_containers(&self) -> impl Iterator<Item = (ContainerPlace, &Container<'a>)> {
        let init = self.init_containers.iter().enumerate();
        let init = init.map(|(index, container)| (ContainerPlace { init: true, index }, container));
        let regular = self.containers.iter().enumerate();
        let regular =
            regular.map(|(index, container)| (ContainerPlace { init: false, index }, container));
        init.chain(regular)
    }

    /// The container at a place.
    pub fn container(&self, place: ContainerPlace) -> Option<&Container<'a>> {
        let list = if place.init { &self.init_containers } else { &self.containers };
        list.get(place.index)
    }

    /// Whether the pods run on Windows nodes.
    pub fn is_windows(&self) -> bool {
        self.os.as_ref().is_some_and(|os| os.name.as_str() == "windows")
            || self.node_selector.get("kubernetes.io/os") == Some("windows")
    }
}

/// Position of a container in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerPlace {
    /// Whether it is an init container.
    pub init: bool,
    /// Index in its list.
    pub index: usize,
}

impl std::fmt::Display for ContainerPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = if self.init { "initContainers" } else { "containers" };
        write!(f, "{list}[{}]", self.index)
    }
}

/// Pod-level security context.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSecurityContext {
    /// User that containers run as unless they say otherwise.
    #[serde(default)]
    pub run_as_user: Option<i64>,
}

/// `os` of a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct PodOs<'a> {
    /// `linux` or `windows`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: Text<'a>,
}

/// A container or init container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Container<'a> {
    /// Name, unique in the pod.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: Text<'a>,
    /// Image reference.
    #[serde(default, deserialize_with = "null_as_default")]
    pub image: WrittenImage<'a>,
    /// Replaces the image's entry point.
    #[serde(default, deserialize_with = "null_as_default")]
    pub command: Vec<Text<'a>>,
    /// Replaces the image's arguments.
    #[serde(default, deserialize_with = "null_as_default")]
    pub args: Vec<Text<'a>>,
    /// Environment variables, kept as text: most containers have many, and only a migration's are read.
    #[serde(default, borrow)]
    pub env: Option<Raw<'a>>,
    /// Whole Secrets and ConfigMaps as variables; kept unread.
    #[serde(default, borrow)]
    pub env_from: Option<Raw<'a>>,
    /// Kept unread; only its presence matters.
    #[serde(default, borrow)]
    pub readiness_probe: Option<Raw<'a>>,
    /// `Always` makes an init container a native sidecar; since Kubernetes 1.34 also settable on others.
    #[serde(default)]
    pub restart_policy: Option<Text<'a>>,
    /// Restart rules by exit code (KEP-5307).
    #[serde(default, deserialize_with = "null_as_default")]
    pub restart_policy_rules: Vec<RestartRule<'a>>,
    /// Resource requests and limits.
    #[serde(default, deserialize_with = "null_as_default")]
    pub resources: Resources<'a>,
    /// Declared ports.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ports: Vec<ContainerPort<'a>>,
    /// Hooks of the container's life.
    #[serde(default, deserialize_with = "null_as_default")]
    pub lifecycle: Lifecycle<'a>,
}

impl Container<'_> {
    /// Whether this init container is a native sidecar: it starts before the others and does not keep the
    /// pod from completing.
    pub fn is_native_sidecar(&self, place: ContainerPlace) -> bool {
        place.init && self.restart_policy.as_deref() == Some("Always")
    }

    /// The environment variables; none where they cannot be read.
    pub fn variables(&self) -> Vec<EnvVar<'_>> {
        self.env.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// Whether `envFrom` names at least one source.
    pub fn has_env_from(&self) -> bool {
        self.env_from.is_some_and(|raw| !matches!(raw.get(), "[]" | "null"))
    }
}

/// One environment variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct EnvVar<'a> {
    /// Name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: Text<'a>,
    /// Literal value.
    #[serde(default)]
    pub value: Option<Text<'a>>,
    /// Reference to a Secret, ConfigMap or field; kept unread.
    #[serde(default, borrow)]
    pub value_from: Option<Raw<'a>>,
}

/// One entry of `restartPolicyRules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct RestartRule<'a> {
    /// `Restart` is the one known action.
    #[serde(default, deserialize_with = "null_as_default")]
    pub action: Text<'a>,
}

/// `resources` of a container; kept unread, since only presence matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Resources<'a> {
    /// Requests.
    #[serde(default, borrow)]
    pub requests: Option<Raw<'a>>,
    /// Limits.
    #[serde(default, borrow)]
    pub limits: Option<Raw<'a>>,
}

/// One declared port.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct ContainerPort<'a> {
    /// Name by which a Service may target it.
    #[serde(default)]
    pub name: Option<Text<'a>>,
    /// Number.
    #[serde(default, deserialize_with = "null_as_default")]
    pub container_port: i64,
}

/// `lifecycle` of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Lifecycle<'a> {
    /// Runs beside the container's entry point.
    #[serde(default, deserialize_with = "null_as_default")]
    pub post_start: LifecycleHandler<'a>,
}

/// A lifecycle handler.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct LifecycleHandler<'a> {
    /// A command run in the container.
    #[serde(default, deserialize_with = "null_as_default")]
    pub exec: ExecAction<'a>,
}

/// `exec` of a handler.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct ExecAction<'a> {
    /// Program and arguments, not run in a shell.
    #[serde(default, deserialize_with = "null_as_default")]
    pub command: Vec<Text<'a>>,
}

/// `podFailurePolicy` of a Job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct PodFailurePolicy<'a> {
    /// The first rule that matches decides.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rules: Vec<FailureRule<'a>>,
}

/// One rule of a `podFailurePolicy`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct FailureRule<'a> {
    /// `FailJob`, `FailIndex`, `Ignore` or `Count`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub action: Text<'a>,
    /// Matches exit codes, of one container or of any.
    #[serde(default)]
    pub on_exit_codes: Option<ExitCodes<'a>>,
}

/// `onExitCodes` of a failure rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct ExitCodes<'a> {
    /// The container meant; absent means any.
    #[serde(default)]
    pub container_name: Option<Text<'a>>,
}
