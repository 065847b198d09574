//! The keys that authors write and the stamps that wavegate writes.

use super::manifest::Metadata;

/// Role of a Job: `migration`, `verification` or `none`.
pub const ROLE: &str = "wavegate.dev/role";
/// Explicit pairing of migration Jobs and workloads; on a workload it opts in to the workload rules.
pub const APP: &str = "wavegate.dev/app";
/// The container that carries the app's image.
pub const CONTAINER: &str = "wavegate.dev/container";
/// Identity of a migration where an app has several.
pub const MIGRATION: &str = "wavegate.dev/migration";
/// `expand`, `contract` or `revert`.
pub const PHASE: &str = "wavegate.dev/phase";
/// Release token, compared instead of images.
pub const RELEASE: &str = "wavegate.dev/release";
/// Oldest release that works after a contract; by default the contract's own.
pub const CONTRACT_SAFE_FROM: &str = "wavegate.dev/contract-safe-from";
/// Schema floor of a workload: it may run once the migration of that release succeeded.
pub const REQUIRES_RELEASE: &str = "wavegate.dev/requires-release";
/// Target of the waiter: `host:port` or a URL without credentials.
pub const DATABASE: &str = "wavegate.dev/database";
/// Label of a namespace: `enforce`, `warn` or `off`.
pub const MODE: &str = "wavegate.dev/mode";

/// Prefix of every author key.
pub const AUTHOR_PREFIX: &str = "wavegate.dev/";
/// Prefix of every stamp. Authors' values for stamps are overwritten.
pub const STAMP_PREFIX: &str = "stamp.wavegate.dev/";

/// Label by which the watchers select migration Jobs.
pub const STAMP_TRACKED: &str = "stamp.wavegate.dev/tracked";
/// Role as recognised at CREATE.
pub const STAMP_ROLE: &str = "stamp.wavegate.dev/role";
/// What pairs the Job with its workloads: the explicit app, else the migration image's repository.
pub const STAMP_APP: &str = "stamp.wavegate.dev/app";
/// Confidence of the recognition.
pub const STAMP_CONFIDENCE: &str = "stamp.wavegate.dev/confidence";
/// User who created the Job.
pub const STAMP_CREATOR: &str = "stamp.wavegate.dev/creator";
/// SHA-256 of the author's pod template, without wavegate's additions.
pub const STAMP_TEMPLATE: &str = "stamp.wavegate.dev/template";
/// Name of the init container that wavegate added.
pub const STAMP_INJECTED: &str = "stamp.wavegate.dev/injected";
/// What wavegate filled in because the policy says so, by the names of [`Fix`](super::fix::Fix).
pub const STAMP_FIXED: &str = "stamp.wavegate.dev/fixed";

/// Whether a label or annotation belongs to wavegate, as a key or as a stamp.
pub fn is_ours(key: &str) -> bool {
    key.starts_with(AUTHOR_PREFIX) || key.starts_with(STAMP_PREFIX)
}

/// The value of an author key, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorValue<'a> {
    /// The value as written.
    pub value: &'a str,
    metadata: &'static str,
    field: &'static str,
    key: &'static str,
}

impl AuthorValue<'_> {
    /// Field path of the entry, such as `metadata.labels[wavegate.dev/app]`.
    pub fn path(&self) -> String {
        format!("{}.{}[{}]", self.metadata, self.field, self.key)
    }
}

/// The value of an author key, which begins with [`AUTHOR_PREFIX`]: label or annotation alike (the annotation wins), on
/// the object itself or on its pod template (the object wins). Empty values count as absent.
pub fn author_value<'a>(
    object: &'a Metadata<'_>,
    template: Option<&'a Metadata<'_>>,
    key: &'static str,
) -> Option<AuthorValue<'a>> {
    let own = on(object, "metadata", key);
    own.or_else(|| on(template?, "spec.template.metadata", key))
}

fn on<'a>(
    metadata: &'a Metadata<'_>,
    place: &'static str,
    key: &'static str,
) -> Option<AuthorValue<'a>> {
    let maps = [("annotations", &metadata.annotations), ("labels", &metadata.labels)];
    maps.into_iter().filter(|(_, map)| map.has_author_keys()).find_map(|(field, map)| {
        let value = map.get(key).filter(|value| !value.is_empty())?;
        Some(AuthorValue { value, metadata: place, field, key })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(json: &'static str) -> Metadata<'static> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn annotation_wins_over_label_and_object_over_template() {
        let object = metadata(r#"{"labels":{"wavegate.dev/app":"label"}}"#);
        let both = metadata(
            r#"{"labels":{"wavegate.dev/app":"label"},"annotations":{"wavegate.dev/app":"note"}}"#,
        );
        let none = metadata("{}");
        let cases = [
            (&object, None, Some(("label", "metadata.labels[wavegate.dev/app]"))),
            (&both, None, Some(("note", "metadata.annotations[wavegate.dev/app]"))),
            (&object, Some(&both), Some(("label", "metadata.labels[wavegate.dev/app]"))),
            (
                &none,
                Some(&both),
                Some(("note", "spec.template.metadata.annotations[wavegate.dev/app]")),
            ),
            (&none, None, None),
        ];
        for (object, template, want) in cases {
            let found = author_value(object, template, APP);
            assert_eq!(
                found.map(|found| (found.value, found.path())),
                want.map(|(value, path)| (value, path.to_owned())),
                "{object:?}"
            );
        }
    }

    #[test]
    fn an_empty_value_is_absent() {
        let object = metadata(
            r#"{"annotations":{"wavegate.dev/app":""},"labels":{"wavegate.dev/app":"shop"}}"#,
        );
        assert_eq!(author_value(&object, None, APP).unwrap().value, "shop");
    }
}
