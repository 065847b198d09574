//! The fields of Kubernetes objects that wavegate reads, borrowed from their JSON.
//!
//! These are not the full API types: unknown fields are skipped unread, so that a newer API server's
//! objects decode, and a request is decided in microseconds. `null` is the zero value everywhere, as for
//! the API server.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::keys::AUTHOR_PREFIX;
use super::text::{Text, null_as_default};

mod image;
mod pod;
mod workload;

pub use image::WrittenImage;
pub use pod::{
    Container, ContainerPlace, EnvVar, ExitCodes, FailureRule, PodFailurePolicy, PodOs,
    PodSecurityContext, PodSpec, PodTemplate, RestartRule,
};
pub use workload::{
    CanaryStrategy, CronJobManifest, IntOrPercent, RollingUpdate, ServiceManifest, ServicePort,
    ServiceSpec, Strategy, WorkloadManifest, WorkloadSpec,
};

/// `kubectl apply` keeps a copy of the whole manifest here. wavegate never reads it, and unescaping it
/// would cost more than decoding the rest of the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Labels or annotations, each key once and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringMap<'a> {
    entries: Vec<(Text<'a>, Text<'a>)>,
    has_author_keys: bool,
}

impl<'a> StringMap<'a> {
    /// Of entries with the same key the last one counts.
    fn new(mut entries: Vec<(Text<'a>, Text<'a>)>) -> Self {
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let has_author_keys = entries.iter().any(|(key, _)| key.starts_with(AUTHOR_PREFIX));
        Self { entries, has_author_keys }
    }

    /// Whether any key is an author's for wavegate. Most maps have none, and of those none need be looked up.
    pub fn has_author_keys(&self) -> bool {
        self.has_author_keys
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.entries.binary_search_by(|(known, _)| known.as_str().cmp(key)).ok()?;
        self.entries.get(at).map(|(_, value)| value.as_str())
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StringMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;

        impl<'de> Visitor<'de> for MapVisitor {
            type Value = StringMap<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = access.next_key::<Text<'de>>()? {
                    if key.as_str() == LAST_APPLIED {
                        access.next_value::<IgnoredAny>()?;
                    } else if let Some(value) = access.next_value::<Option<Text<'de>>>()? {
                        entries.push((key, value));
                    }
                }
                Ok(StringMap::new(entries))
            }
        }

        deserializer.deserialize_map(MapVisitor)
    }
}

/// `metadata` of an object or of a pod template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Metadata<'a> {
    /// Absent in mutating requests for objects with a `generateName`.
    #[serde(default)]
    pub name: Option<Text<'a>>,
    /// Prefix of a name that the API server completes.
    #[serde(default)]
    pub generate_name: Option<Text<'a>>,
    /// Absent offline where the manifest leaves it to the client.
    #[serde(default)]
    pub namespace: Option<Text<'a>>,
    /// Labels.
    #[serde(default, deserialize_with = "null_as_default")]
    pub labels: StringMap<'a>,
    /// Annotations, without `kubectl apply`'s copy of the manifest.
    #[serde(default, deserialize_with = "null_as_default")]
    pub annotations: StringMap<'a>,
    /// Owners; a Job of a CronJob names it here.
    #[serde(default, deserialize_with = "null_as_default")]
    pub owner_references: Vec<OwnerReference<'a>>,
    /// Set once the object is being deleted.
    #[serde(default)]
    pub deletion_timestamp: Option<Text<'a>>,
}

impl Metadata<'_> {
    /// What people call the object.
    pub fn display_name(&self) -> Cow<'_, str> {
        display_name(self.name.as_deref(), self.generate_name.as_deref())
    }

    /// Whether the object only waits for its finalizers.
    pub fn is_being_deleted(&self) -> bool {
        self.deletion_timestamp.is_some()
    }
}

/// The name of an object, else its `generateName` prefix followed by `*`, else `?`. An empty text counts as absent.
pub fn display_name<'t>(name: Option<&'t str>, generate_name: Option<&'t str>) -> Cow<'t, str> {
    let written = [name, generate_name].map(|text| text.filter(|text| !text.is_empty()));
    match written.into() {
        (Some(name), _) => Cow::Borrowed(name),
        (None, Some(prefix)) => Cow::Owned(format!("{prefix}*")),
        (None, None) => Cow::Borrowed("?"),
    }
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct OwnerReference<'a> {
    /// Kind of the owner, such as `CronJob`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: Text<'a>,
}

/// A `batch/v1` Job.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct JobManifest<'a> {
    /// Object metadata.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// Job specification.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: JobSpec<'a>,
}

/// `spec` of a Job. A field that is absent here was absent or `null`; the API server fills its defaults in
/// before admission, so offline and admitted objects differ in just that.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct JobSpec<'a> {
    /// Default 1.
    #[serde(default)]
    pub parallelism: Option<i64>,
    /// Default 1, where `parallelism` is absent too.
    #[serde(default)]
    pub completions: Option<i64>,
    /// `NonIndexed` (default) or `Indexed`.
    #[serde(default)]
    pub completion_mode: Option<Text<'a>>,
    /// Default 6.
    #[serde(default)]
    pub backoff_limit: Option<i64>,
    /// Seconds over all pods, counted from the Job's start, image pull and init containers included.
    #[serde(default)]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds after which the TTL controller deletes the finished Job.
    #[serde(default)]
    pub ttl_seconds_after_finished: Option<i64>,
    /// Default false.
    #[serde(default)]
    pub suspend: Option<bool>,
    /// When a pod is replaced: `TerminatingOrFailed` (default), or `Failed`.
    #[serde(default)]
    pub pod_replacement_policy: Option<Text<'a>>,
    /// What to do about particular pod failures.
    #[serde(default)]
    pub pod_failure_policy: Option<PodFailurePolicy<'a>>,
    /// The pods.
    #[serde(default, deserialize_with = "null_as_default")]
    pub template: PodTemplate<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_the_zero_value_everywhere() {
        let job: JobManifest<'_> = serde_json::from_str(
            r#"{"metadata":{"labels":null,"annotations":{"a":null,"b":"c"},"ownerReferences":null},
                "spec":{"backoffLimit":null,"template":{"metadata":null,"spec":{"containers":null,"initContainers":null}}}}"#,
        )
        .unwrap();
        assert_eq!(job.spec.backoff_limit, None);
        assert_eq!(job.metadata.annotations.iter().collect::<Vec<_>>(), [("b", "c")]);
        assert!(job.spec.template.spec.containers.is_empty());
    }

    #[test]
    fn maps_are_in_order_and_the_last_of_equal_keys_counts() {
        let map: StringMap<'_> =
            serde_json::from_str(r#"{"b":"1","a":"2","b":"3","c":"4","a":"5","b":"6","b":null}"#)
                .unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [("a", "5"), ("b", "6"), ("c", "4")]);
        assert_eq!(
            ["a", "b", "c", "", "bb"].map(|key| map.get(key)),
            [Some("5"), Some("6"), Some("4"), None, None,]
        );
    }

    #[test]
    fn the_last_applied_copy_is_not_kept() {
        let metadata: Metadata<'_> = serde_json::from_str(
            r#"{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"x\":1}\n","z":"1"}}"#,
        )
        .unwrap();
        assert_eq!(metadata.annotations.iter().collect::<Vec<_>>(), [("z", "1")]);
    }

    #[test]
    fn display_name_tells_generated_names() {
        let cases = [(r#"{"name":"a"}"#, "a"), (r#"{"generateName":"a-"}"#, "a-*"), ("{}", "?")];
        for (json, want) in cases {
            let metadata: Metadata<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(metadata.display_name(), want);
        }
    }
}
