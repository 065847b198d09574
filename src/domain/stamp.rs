//! The stamps that a migration Job carries from its creation on.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fix::{DO_NOT_EVICT, Fix};
use super::job::Job;
use super::keys;
use super::manifest::{Metadata, StringMap};

/// Stamps of one Job, computed from the Job itself and never from stamps that it carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    tracked: bool,
    annotations: Vec<(&'static str, String)>,
}

/// What wavegate adds to a Job, beside the stamps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions<'a> {
    /// Name of the init container that wavegate added, now or before.
    pub injected: Option<&'a str>,
    /// What is filled in now.
    pub fixed: Vec<Fix>,
}

/// A stamp that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampDifference {
    /// `labels` or `annotations`.
    pub field: &'static str,
    /// The stamp's key.
    pub key: String,
    /// The value that it must have; `None` if it must not be there.
    pub want: Option<String>,
}

/// Labels that the Job strategy puts on the template after mutating admission.
const CONTROLLER_LABELS: &[&str] = &[
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
];

impl Stamps {
    /// Computes the stamps of a Job: none unless it is a recognised migration.
    ///
    /// `template` is its pod template as the API server sent it; `additions` are wavegate's own; `creator` is the user
    /// who creates the Job.
    pub fn compute(
        job: &Job<'_>,
        template: &Value,
        additions: &Additions<'_>,
        creator: &str,
    ) -> Self {
        let recognition = &job.recognition;
        if !recognition.is_migration() {
            return Self::default();
        }
        let mut annotations = vec![
            (keys::STAMP_ROLE, recognition.role.name().to_owned()),
            (keys::STAMP_CONFIDENCE, recognition.confidence.name().to_owned()),
            (keys::STAMP_CREATOR, creator.to_owned()),
            (keys::STAMP_TEMPLATE, template_hash(template, additions.injected)),
        ];
        let app = job.key(keys::APP).map(|found| found.value.to_owned());
        let repository = || Some(job.image()?.ok()?.repository().to_owned());
        annotations.extend(app.or_else(repository).map(|app| (keys::STAMP_APP, app)));
        annotations.extend(additions.injected.map(|name| (keys::STAMP_INJECTED, name.to_owned())));
        let fixed = fixed(job, &additions.fixed);
        annotations.extend((!fixed.is_empty()).then_some((keys::STAMP_FIXED, fixed)));
        Self { tracked: true, annotations }
    }

    /// Every stamp that an object lacks, carries with another value, or must not carry.
    pub fn differences(&self, metadata: &Metadata<'_>) -> Vec<StampDifference> {
        let tracked = self.tracked.then(|| (keys::STAMP_TRACKED, "true".to_owned()));
        let labels = compare("labels", tracked.as_slice(), &metadata.labels);
        labels.chain(compare("annotations", &self.annotations, &metadata.annotations)).collect()
    }
}

/// Whether an object carries any stamp, be it right or wrong.
pub fn is_stamped(metadata: &Metadata<'_>) -> bool {
    let mut carried = metadata.labels.iter().chain(metadata.annotations.iter());
    carried.any(|(key, _)| key.starts_with(keys::STAMP_PREFIX))
}

fn compare<'a>(
    field: &'static str,
    want: &'a [(&'static str, String)],
    have: &'a StringMap<'_>,
) -> impl Iterator<Item = StampDifference> + 'a {
    let wrong = want.iter().filter(|(key, value)| have.get(key) != Some(value.as_str()));
    let wrong = wrong.map(move |(key, value)| StampDifference {
        field,
        key: (*key).to_owned(),
        want: Some(value.clone()),
    });
    let is_wanted = |key: &str| want.iter().any(|(wanted, _)| *wanted == key);
    let ours = have.iter().filter(|(key, _)| key.starts_with(keys::STAMP_PREFIX));
    let extra = ours.filter(move |(key, _)| !is_wanted(key));
    let extra =
        extra.map(move |(key, _)| StampDifference { field, key: key.to_owned(), want: None });
    wrong.chain(extra)
}

/// What is filled in now, and what the Job says was filled in before, as far as it is so. Nobody can tell a field that
/// wavegate filled in from one that the author wrote the same, and nothing depends on it.
fn fixed(job: &Job<'_>, now: &[Fix]) -> String {
    let said = job.manifest.metadata.annotations.get(keys::STAMP_FIXED).unwrap_or_default();
    let before = |fix: Fix| said.split(',').any(|name| name == fix.name()) && fix.is_done(job);
    let fixed = Fix::ALL.into_iter().filter(|fix| now.contains(fix) || before(*fix));
    fixed.map(Fix::name).collect::<Vec<_>>().join(",")
}

/// SHA-256 of the author's template: without the injected container, the annotations that wavegate may add, the labels
/// that Kubernetes adds on its way to storage, and fields that are empty, which come and go between versions of the same
/// object.
fn template_hash(template: &Value, injected: Option<&str>) -> String {
    let mut author = template.clone();
    if let Some(labels) = author.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !CONTROLLER_LABELS.contains(&key.as_str()));
    }
    if let Some(annotations) =
        author.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        let may_be_ours = |key: &str, value: &Value| {
            DO_NOT_EVICT.iter().any(|(ours, set)| *ours == key && *set == value)
        };
        annotations.retain(|key, value| !may_be_ours(key, value));
    }
    if let Some(containers) =
        author.pointer_mut("/spec/initContainers").and_then(Value::as_array_mut)
    {
        let is_injected =
            |c: &Value| injected.is_some() && c.get("name").and_then(Value::as_str) == injected;
        containers.retain(|container| !is_injected(container));
    }
    drop_empty(&mut author);
    // serde_json's maps are sorted by key, so equal templates print alike.
    let digest = Sha256::digest(author.to_string().as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Removes nulls, empty maps and empty lists from a template. Depth is bounded by the JSON parser's limit.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(drop_empty);
            map.retain(|_, value| !is_empty(value));
        }
        Value::Array(list) => list.iter_mut().for_each(drop_empty),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(json: &'static str) -> Job<'static> {
        Job::read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn forged_stamps_differ_and_right_ones_do_not() {
        let plain = job(r#"{"metadata":{"labels":{"stamp.wavegate.dev/tracked":"true"}}}"#);
        let none = Stamps::compute(&plain, &json!({}), &Additions::default(), "alice");
        let forged = none.differences(&plain.manifest.metadata);
        assert_eq!(forged.len(), 1);
        assert_eq!((forged[0].key.as_str(), &forged[0].want), (keys::STAMP_TRACKED, &None));

        let migration = job(r#"{"metadata":{"labels":{"wavegate.dev/role":"migration"}}}"#);
        let additions = Additions { injected: Some("wait"), ..Additions::default() };
        let stamps = Stamps::compute(&migration, &json!({}), &additions, "alice");
        let missing = stamps.differences(&migration.manifest.metadata);
        let annotations: serde_json::Map<String, Value> = missing[1..]
            .iter()
            .map(|difference| (difference.key.clone(), json!(difference.want)))
            .collect();
        assert_eq!(annotations.len(), 5);
        let stamped =
            json!({"labels": {"stamp.wavegate.dev/tracked": "true"}, "annotations": annotations});
        let stamped = stamped.to_string();
        let metadata: Metadata<'_> = serde_json::from_str(&stamped).unwrap();
        assert_eq!(stamps.differences(&metadata), []);
        let other = Stamps::compute(&migration, &json!({}), &additions, "bob");
        assert_eq!(other.differences(&metadata)[0].key, keys::STAMP_CREATOR);
    }

    #[test]
    fn what_is_said_to_be_filled_in_counts_as_far_as_it_is_so() {
        let stamped = |spec: &str| {
            let said = "deadlineSeconds,noRetries,everything";
            let json = format!(
                r#"{{"metadata":{{"annotations":{{"stamp.wavegate.dev/fixed":"{said}"}}}},"spec":{spec}}}"#
            );
            let job: Job<'_> = Job::read(serde_json::from_str(&json).unwrap());
            fixed(&job, &[Fix::DoNotEvict])
        };
        assert_eq!(stamped("{}"), "doNotEvict");
        assert_eq!(stamped(r#"{"backoffLimit":0}"#), "noRetries,doNotEvict");
        let both = r#"{"backoffLimit":0,"activeDeadlineSeconds":300}"#;
        assert_eq!(stamped(both), "noRetries,deadlineSeconds,doNotEvict");
    }

    #[test]
    fn the_hash_is_of_what_the_author_wrote() {
        let author = json!({"spec": {"containers": [{"name": "a"}]}});
        let admitted = json!({
            "metadata": {
                "labels": {"job-name": "x", "controller-uid": "1"}, "creationTimestamp": null,
                "annotations": {"karpenter.sh/do-not-disrupt": "true"},
            },
            "spec": {"containers": [{"name": "a", "resources": {}}], "initContainers": [{"name": "wait"}]},
        });
        assert_eq!(template_hash(&author, None), template_hash(&admitted, Some("wait")));
        assert_ne!(template_hash(&author, None), template_hash(&admitted, None));
        let evictable = json!({
            "metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "false"}},
            "spec": {"containers": [{"name": "a"}]},
        });
        assert_ne!(template_hash(&author, None), template_hash(&evictable, None));
        let relabelled =
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a"}]}});
        assert_ne!(template_hash(&author, None), template_hash(&relabelled, None));
    }
}
