//! Which release a workload is about to run, and whether an attempt was made for it.

use std::borrow::Borrow;
use std::fmt;

use crate::cluster::{MigrationFacts, Override};
use crate::domain::image::{Comparison, ImageRef};
use crate::domain::job::only_app_container;
use crate::domain::keys::{self, AuthorValue};
use crate::domain::manifest::{ContainerPlace, PodSpec};
use crate::domain::names::ImageNames;
use crate::domain::workload::Workload;
use crate::policy::Policy;

/// A release as a workload carries it: what migrations are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'w> {
    /// Value of `wavegate.dev/release`.
    pub token: Option<&'w str>,
    /// The app container's image; `None` where it does not parse.
    pub image: Option<&'w ImageRef>,
    source: Option<Source<'w>>,
}

/// Where a workload says which release it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source<'w> {
    token: Option<AuthorValue<'w>>,
    container: ContainerPlace,
}

/// Whether an attempt was made for a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It was.
    Same,
    /// It was made for another one.
    Different,
    /// One side has a digest, and which tag that is was not seen.
    Unknown,
}

impl<'w> Release<'w> {
    /// One that is not read from a manifest's container, so that it has no paths.
    pub fn unplaced(token: Option<&'w str>, image: &'w ImageRef) -> Self {
        Self { token, image: Some(image), source: None }
    }

    /// Field path of what tells the release: the token, else the image. Empty where it is unplaced.
    pub fn path(&self) -> String {
        match self.source {
            Some(Source { token: Some(token), .. }) => token.path(),
            _ => self.image_path(),
        }
    }

    /// Field path of the image.
    pub fn image_path(&self) -> String {
        let path = |source: Source<'_>| format!("spec.template.spec.{}.image", source.container);
        self.source.map(path).unwrap_or_default()
    }

    /// Whether this is the container whose image it is.
    pub fn is_of(&self, place: ContainerPlace) -> bool {
        self.source.is_some_and(|source| source.container == place)
    }

    /// Whether an author who writes this text, a token, a tag or an image by any of its names, means this release.
    pub fn is_called(&self, text: &str, names: &ImageNames) -> bool {
        self.token == Some(text) || self.image.is_some_and(|image| names.is_called(image, text))
    }

    /// Whether an override names this release: its image, or its token, and without one the image's tag or digest.
    pub fn is_named_by(&self, one: &Override, names: &ImageNames) -> bool {
        let image = self.image;
        image.is_some_and(|image| one.is_image(image, names))
            || one.spec.release.as_deref().is_some_and(|text| match self.token {
                Some(token) => token == text,
                None => image.is_some_and(|image| names.is_called(image, text)),
            })
    }

    /// Compares the release with the one that a migration was made for: by token where both have one, else by
    /// image. `image_id` is what the migration's container really ran.
    pub fn compare(
        &self,
        migration: &MigrationFacts,
        image_id: Option<&str>,
        policy: &Policy,
    ) -> Match {
        if let (Some(token), Some(migrated)) = (self.token, &migration.ties.release) {
            return Match::of(token == migrated);
        }
        let (Some(image), Some(migrated)) = (self.image, &migration.image) else {
            return Match::Different;
        };
        let names = &policy.names;
        let found = compare_images(&names.original(image), &names.original(migrated), image_id);
        // Most attempts are of other releases, whatever their tags mean, so that is seen to first.
        let moves = || policy.is_floating(image) || policy.is_floating(migrated);
        if found != Match::Different && moves() { Match::Different } else { found }
    }
}

/// How a person calls it.
impl fmt::Display for Release<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.token, self.image) {
            (Some(token), _) => f.write_str(token),
            (None, Some(image)) => image.fmt(f),
            (None, None) => f.write_str("?"),
        }
    }
}

impl Release<'_> {
    /// Whether both are the same release by what tells it.
    pub fn is(&self, other: &Release<'_>, names: &ImageNames) -> bool {
        let same = match (self.image, other.image) {
            (Some(one), Some(other)) => names.same(one, other),
            (one, other) => one == other,
        };
        self.token == other.token && same
    }
}

impl Match {
    fn of(same: bool) -> Self {
        if same { Self::Same } else { Self::Different }
    }
}

/// Images of one repository by digest, else by tag. Digests of different repositories can never agree, so those
/// are compared by tag.
fn compare_images(image: &ImageRef, migrated: &ImageRef, image_id: Option<&str>) -> Match {
    // Of most images nothing else is written, and their repositories are no matter then.
    if let (Some(left), Some(right)) = (image.tag(), migrated.tag())
        && image.digest().is_none()
        && migrated.digest().is_none()
    {
        return Match::of(left == right);
    }
    if !image.same_repository(migrated) {
        return match (image.tag(), migrated.tag()) {
            (Some(left), Some(right)) => Match::of(left == right),
            _ => Match::Unknown,
        };
    }
    match image.compare(migrated) {
        Comparison::Same => Match::Same,
        Comparison::Different => Match::Different,
        // Which digest a tag means is only known where the image ran.
        Comparison::Unknown => match (image.digest(), image_id.and_then(digest_of)) {
            (Some(wanted), Some(ran)) => Match::of(wanted == ran),
            _ => Match::Unknown,
        },
    }
}

/// The digest in a container status' `imageID`: `repository@sha256:...`, with `docker-pullable://` before it on
/// old runtimes. A bare `sha256:...` is the digest of the image's configuration, which no reference names.
pub(super) fn digest_of(image_id: &str) -> Option<&str> {
    image_id.rsplit_once('@').map(|(_, digest)| digest)
}

/// The releases that a workload runs side by side, one for each image of its app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Releases<'w> {
    /// Distinct releases; most workloads have one.
    pub all: Vec<Release<'w>>,
    /// Whether several containers could carry the app's image and nothing tells which.
    pub ambiguous: bool,
    /// Names of the app's containers.
    containers: Vec<&'w str>,
}

impl<'w> Releases<'w> {
    /// Reads the releases of a workload whose migrations have these images: those of the container that the author
    /// names, else of the containers of a migration's repository, else of the only one that is no sidecar; and of
    /// every further container of the same repository, init containers too.
    pub fn of<I: Borrow<ImageRef>>(
        workload: &'w Workload<'_>,
        migrations: &[I],
        names: &ImageNames,
    ) -> Self {
        Self::after(&Releases::default(), workload, migrations, names)
    }

    /// The same of a workload that runs other releases now: a container keeps its part where only its image moves to
    /// another repository.
    pub fn after<I: Borrow<ImageRef>>(
        before: &Releases<'_>,
        workload: &'w Workload<'_>,
        migrations: &[I],
        names: &ImageNames,
    ) -> Self {
        let Some(pod) = workload.pod() else { return Self::default() };
        let token = workload.key(keys::RELEASE);
        let images: Vec<(ContainerPlace, Option<&ImageRef>)> = pod
            .all_containers()
            .map(|(place, container)| (place, container.image.parsed().ok()))
            .collect();
        let (apps, ambiguous) = app_containers(before, workload, pod, &images, &|image| {
            migrations.iter().any(|m| names.same_repository(m.borrow(), image))
        });
        let carriers = apps.iter().filter_map(|place| pod.container(*place));
        let containers = carriers.map(|container| container.name.as_str()).collect();
        let all = Vec::with_capacity(apps.len());
        let mut releases = Self { all, ambiguous, containers };
        for &(place, image) in &images {
            let of_app = apps.contains(&place)
                || image.is_some_and(|image| {
                    let app = |app: Option<&ImageRef>| {
                        app.is_some_and(|app| names.same_repository(app, image))
                    };
                    images.iter().any(|(place, other)| apps.contains(place) && app(*other))
                });
            if !of_app || releases.all.iter().any(|known| known.image == image) {
                continue;
            }
            let source = Some(Source { token, container: place });
            releases.all.push(Release { token: token.map(|token| token.value), image, source });
        }
        releases
    }

    /// Names of the containers that carry the app's image.
    pub fn containers(&self) -> &[&'w str] {
        &self.containers
    }
}

fn app_containers(
    before: &Releases<'_>,
    workload: &Workload<'_>,
    pod: &PodSpec<'_>,
    images: &[(ContainerPlace, Option<&ImageRef>)],
    of_migration: &dyn Fn(&ImageRef) -> bool,
) -> (Vec<ContainerPlace>, bool) {
    if let Some(key) = workload.key(keys::CONTAINER) {
        let named = pod.all_containers().find(|(_, c)| c.name.as_str() == key.value);
        if let Some((place, _)) = named {
            return (vec![place], false);
        }
    }
    let found = images.iter().filter(|(_, image)| image.is_some_and(of_migration));
    let found: Vec<ContainerPlace> = found.map(|(place, _)| *place).collect();
    if !found.is_empty() {
        // An init container of a runner's image, such as one that waits for the migration, does not make it the app's.
        let only_init = found.iter().all(|place| place.init);
        return (found, only_init && workload.is_opted_in());
    }
    let kept = pod.all_containers().filter(|(_, c)| before.containers.contains(&c.name.as_str()));
    let kept: Vec<ContainerPlace> = kept.map(|(place, _)| place).collect();
    if !kept.is_empty() {
        return (kept, false);
    }
    let only = only_app_container(pod);
    (only.into_iter().collect(), only.is_none() && !pod.containers.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::sample::Sample;
    use crate::domain::workload::WorkloadKind;
    use crate::policy::sample::workload;

    const D1: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    const D2: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

    fn matched(token: Option<&str>, image: &str, sample: Sample) -> Match {
        let image = ImageRef::parse(image).unwrap();
        let release = Release::unplaced(token, &image);
        let attempt = sample.attempt();
        release.compare(&attempt.facts, attempt.image_id.as_deref(), &Policy::default())
    }

    #[test]
    fn a_release_is_compared_by_token_then_digest_then_tag() {
        let v1 = || Sample::new("a", "v1");
        let ran = |digest: &str| {
            let id = format!("docker.io/shop/api@{digest}");
            v1().with(|attempt| attempt.image_id = Some(id))
        };
        let pinned = format!("shop/api:v1@{D1}");
        let by_digest = |digest: &str| {
            let image = ImageRef::parse(&format!("shop/api:v1@{digest}")).ok();
            v1().with(|attempt| attempt.facts.image = image)
        };
        let cases = [
            ("same tag", matched(None, "shop/api:v1", v1()), Match::Same),
            ("other tag", matched(None, "shop/api:v2", v1()), Match::Different),
            ("no normalisation", matched(None, "shop/api:1", v1()), Match::Different),
            ("same token", matched(Some("7"), "shop/api:v9", v1().token("7")), Match::Same),
            ("other token", matched(Some("8"), "shop/api:v1", v1().token("7")), Match::Different),
            ("one token", matched(Some("8"), "shop/api:v1", v1()), Match::Same),
            ("other repository", matched(None, "shop/web:v1", v1()), Match::Same),
            ("floating", matched(None, "shop/api", Sample::new("a", "latest")), Match::Different),
            ("digest, not seen", matched(None, &pinned, v1()), Match::Unknown),
            ("digest, seen", matched(None, &pinned, ran(D1)), Match::Same),
            ("digest, another seen", matched(None, &pinned, ran(D2)), Match::Different),
            ("both digests", matched(None, &pinned, by_digest(D1)), Match::Same),
            ("other digest, same tag", matched(None, &pinned, by_digest(D2)), Match::Different),
            ("tag of a digest", matched(None, "shop/api:v1", by_digest(D1)), Match::Unknown),
        ];
        for (name, found, want) in cases {
            assert_eq!(found, want, "{name}");
        }
        assert_eq!(digest_of(D1), None, "an image configuration's digest is none of a reference");
    }

    #[test]
    fn the_app_s_containers_tell_the_release() {
        let images = |patch: &str, migration: &str| {
            let workload = workload(WorkloadKind::Deployment, patch);
            let migration = ImageRef::parse(migration).unwrap();
            let releases = Releases::of(&workload, &[&migration], &ImageNames::default());
            let names: Vec<String> = releases.all.iter().map(ToString::to_string).collect();
            (names, releases.ambiguous)
        };
        let pod = |containers: &str, init: &str| {
            format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{containers}],"initContainers":[{init}]}}}}}}}}"#
            )
        };
        let api = r#"{"name":"api","image":"shop/api:v2"}"#;
        let exporter = r#"{"name":"exporter","image":"prom/exporter:1"}"#;
        let assets = r#"{"name":"assets","image":"shop/api:v1"}"#;
        let both = format!("{api},{exporter}");
        let one = |name: &str| vec![name.to_owned()];
        assert_eq!(images(&pod(&both, ""), "shop/api:v1"), (one("shop/api:v2"), false));
        assert_eq!(
            images(&pod(&both, assets), "shop/api:v1"),
            (vec!["shop/api:v1".to_owned(), "shop/api:v2".to_owned()], false)
        );
        assert_eq!(images(&pod(api, ""), "flyway:11"), (one("shop/api:v2"), false));
        assert_eq!(images(&pod(&both, ""), "flyway:11"), (vec![], true));
        // An init container that waits for the runner's migration is not the app, and nothing else says which is.
        let waits = pod(api, r#"{"name":"wait","image":"flyway:11"}"#);
        let opted_in = (one("flyway:11"), true);
        assert_eq!(images(&waits, "flyway:11"), opted_in);
        let absent = pod(&both, "").replacen(
            '{',
            r#"{"metadata":{"annotations":{"wavegate.dev/container":"renamed"}},"#,
            1,
        );
        assert_eq!(images(&absent, "shop/api:v1"), (one("shop/api:v2"), false));
        let named = pod(&both, "").replacen(
            '{',
            r#"{"metadata":{"annotations":{"wavegate.dev/container":"exporter"}},"#,
            1,
        );
        assert_eq!(images(&named, "flyway:11"), (one("prom/exporter:1"), false));
    }
}
