//! What persons say against the gate, by namespace.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use thiserror::Error;

use super::attempt::Attempt;
use super::state::{Ties, WorkloadFacts};
use crate::domain::gate_override::{OverrideKind, OverrideSpec};
use crate::domain::image::{Comparison, ImageRef};
use crate::domain::migration::Migration;
use crate::domain::names::ImageNames;

/// An override as it stands in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was created; for ever in the future where nothing says so, as in a file.
    pub created: Timestamp,
    /// What it says.
    pub spec: OverrideSpec,
    image: Option<ImageRef>,
}

/// Why an object is no override.
#[derive(Debug, Error)]
pub enum OverrideError {
    /// It does not have the fields of its kind.
    #[error("it cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Its fields contradict each other.
    #[error("{0}")]
    Fault(&'static str),
    /// Its image is none.
    #[error("image: {0}")]
    Image(String),
}

#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    metadata: StoredMetadata,
    spec: OverrideSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StoredMetadata {
    name: String,
    creation_timestamp: Option<Timestamp>,
}

impl Override {
    /// Reads an override of a namespace from its JSON.
    pub fn read(namespace: &str, json: &str) -> Result<Self, OverrideError> {
        let Stored { metadata, spec } = serde_json::from_str(json)?;
        Self::new(namespace, &metadata.name, metadata.creation_timestamp, spec)
    }

    /// An override that was created then.
    pub fn new(
        namespace: &str,
        name: &str,
        created: Option<Timestamp>,
        spec: OverrideSpec,
    ) -> Result<Self, OverrideError> {
        if let Some(fault) = spec.fault() {
            return Err(OverrideError::Fault(fault));
        }
        let image = spec.image.as_deref().map(ImageRef::parse).transpose();
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            created: created.unwrap_or(Timestamp::MAX),
            image: image.map_err(|error| OverrideError::Image(error.to_string()))?,
            spec,
        })
    }

    /// What it does.
    pub fn kind(&self) -> OverrideKind {
        self.spec.kind
    }

    /// The image that it names.
    pub fn image(&self) -> Option<&ImageRef> {
        self.image.as_ref()
    }

    /// The release that it names, as its author wrote it.
    pub fn release(&self) -> Option<&str> {
        self.spec.image.as_deref().or(self.spec.release.as_deref())
    }

    /// When it counts no more; `None` where it counts until it is deleted. A Bypass counts at most for `longest`.
    pub fn until(&self, longest: SignedDuration) -> Option<Timestamp> {
        let expires = self.spec.expires_at?;
        if self.kind() != OverrideKind::Bypass {
            return Some(expires);
        }
        let bound = self.created.checked_add(longest).unwrap_or(Timestamp::MAX);
        Some(expires.min(bound))
    }

    /// Whether it counts at a moment.
    pub fn is_in_force(&self, now: Timestamp, longest: SignedDuration) -> bool {
        self.until(longest).is_none_or(|until| now < until)
    }

    /// The moment of an Invalidate: evidence before it counts no more. One that is still to come would take away what
    /// has not happened yet, so it is never later than the override itself.
    pub fn cutoff(&self) -> Timestamp {
        self.spec.before.unwrap_or(self.created).min(self.created)
    }

    /// Whether it speaks of something that is tied so and has these images: of the app by its label, else by the
    /// repository, as records name it.
    pub fn is_of_app(&self, ties: &Ties, images: &[ImageRef], names: &ImageNames) -> bool {
        let Some(app) = &self.spec.app else { return false };
        match &ties.app {
            Some(own) => own == app,
            None => ImageRef::parse(app)
                .is_ok_and(|app| images.iter().any(|image| names.same_repository(image, &app))),
        }
    }

    /// Whether it speaks of a workload by what that says of itself. What its migrations say of their app is asked
    /// elsewhere: a pair may carry the label on one side alone.
    pub fn concerns(&self, workload: &WorkloadFacts, names: &ImageNames) -> bool {
        let named = self.spec.workload.as_ref().is_some_and(|named| {
            named.kind.name() == workload.key.kind && named.name == workload.key.name
        });
        self.namespace == workload.key.namespace
            && (named || self.is_of_app(&workload.ties, &workload.images, names))
    }

    /// Whether an author who writes this text means the release that it names.
    pub fn is_called(&self, text: &str, names: &ImageNames) -> bool {
        self.spec.release.as_deref() == Some(text)
            || self.image.as_ref().is_some_and(|image| names.is_called(image, text))
    }

    /// Whether it names this image. A person who writes a tag alone means what is pinned under that tag too.
    pub fn is_image(&self, image: &ImageRef, names: &ImageNames) -> bool {
        self.image.as_ref().is_some_and(|own| covers(own, image, names))
    }

    /// Whether an attempt was made for the release that it names; images of different repositories by tag.
    pub fn is_release_of(&self, attempt: &Attempt, names: &ImageNames) -> bool {
        let image = attempt.facts.image.as_ref();
        if let Some(release) = &self.spec.release {
            return attempt.is_of_release(release, names);
        }
        image.is_some_and(|image| {
            self.is_image(image, names)
                || self.image.as_ref().is_some_and(|own| same_tag_elsewhere(own, image, names))
        })
    }

    /// Whether what it says of a release is said of this migration too.
    pub fn names(&self, migration: &Migration) -> bool {
        self.spec.migration.as_ref().is_none_or(|done| *done == migration.name)
    }

    /// Whether both name one release, each in its way: by an image, or by a token, a tag or a digest. That a token and
    /// a tag are one release only attempts tell.
    pub fn same_release(&self, other: &Self, names: &ImageNames) -> bool {
        let called = |one: &Self, other: &Self| {
            other.spec.release.as_deref().is_some_and(|text| one.is_called(text, names))
        };
        let covers = |one: &Self, other: &Self| {
            other.image.as_ref().is_some_and(|image| one.is_image(image, names))
        };
        let images = self.image.as_ref().zip(other.image.as_ref());
        called(self, other)
            || called(other, self)
            || covers(self, other)
            || covers(other, self)
            || images.is_some_and(|(one, other)| same_tag_elsewhere(one, other, names))
    }
}

fn covers(own: &ImageRef, image: &ImageRef, names: &ImageNames) -> bool {
    let (own, image) = (names.original(own), names.original(image));
    let pinned = || own.digest().is_none() && own.tag().is_some() && own.tag() == image.tag();
    own.same_repository(&image) && (own.compare(&image) == Comparison::Same || pinned())
}

fn same_tag_elsewhere(one: &ImageRef, other: &ImageRef, names: &ImageNames) -> bool {
    !names.same_repository(one, other) && one.tag().is_some() && one.tag() == other.tag()
}

type OfNamespace = Arc<BTreeMap<String, Override>>;

/// Every override in view. A namespace is shared with whoever holds a copy and only copied where it changes.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    namespaces: HashMap<Arc<str>, OfNamespace>,
}

impl Overrides {
    /// Takes an override into view.
    pub fn observe(&mut self, one: Override) {
        let of_namespace = self.namespaces.entry(one.namespace.as_str().into()).or_default();
        Arc::make_mut(of_namespace).insert(one.name.clone(), one);
    }

    /// An override is gone.
    pub fn forget(&mut self, namespace: &str, name: &str) {
        let Some(of_namespace) = self.namespaces.get_mut(namespace) else { return };
        Arc::make_mut(of_namespace).remove(name);
        if of_namespace.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// Every override was listed, and these, as `namespace/name`, were all: the others are gone.
    pub fn listed(&mut self, listed: &HashSet<String>) {
        let gone: Vec<(String, String)> = self
            .iter()
            .filter(|one| !listed.contains(&format!("{}/{}", one.namespace, one.name)))
            .map(|one| (one.namespace.clone(), one.name.clone()))
            .collect();
        for (namespace, name) in gone {
            self.forget(&namespace, &name);
        }
    }

    /// Replaces what is known of a namespace by what was just read of it.
    pub fn replace_namespace(&mut self, namespace: &str, overrides: Vec<Override>) {
        self.namespaces.remove(namespace);
        for one in overrides {
            self.observe(one);
        }
    }

    /// The overrides of a namespace, by name.
    pub fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Override> {
        self.namespaces.get(namespace).into_iter().flat_map(|of_namespace| of_namespace.values())
    }

    /// Every override.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.namespaces.values().flat_map(|of_namespace| of_namespace.values())
    }
}
