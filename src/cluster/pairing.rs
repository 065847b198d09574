//! Which migration gates which workload.

use std::fmt;

use super::attempts::Sighting;
use super::shared::Shared;
use super::state::{ClusterState, MigrationFacts, Ties, WorkloadFacts};
use crate::domain::image::ImageRef;
use crate::domain::migration::Migration;
use crate::domain::names::ImageNames;

/// Why a migration and a workload belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairReason<S = String> {
    /// Both carry `wavegate.dev/app` with this value.
    App(S),
    /// Both use an image of this repository.
    Repository(S),
    /// Both are of one Application or instance and their different images have this tag: likely, no more.
    SameTag(S),
}

impl PairReason<&str> {
    /// The same for whoever keeps it for longer than the migration.
    fn into_owned(self) -> PairReason {
        match self {
            Self::App(app) => PairReason::App(app.to_owned()),
            Self::Repository(repository) => PairReason::Repository(repository.to_owned()),
            Self::SameTag(tag) => PairReason::SameTag(tag.to_owned()),
        }
    }
}

impl<S> PairReason<S> {
    /// Whether the pair is sure enough for a rule to deny.
    pub fn is_sure(&self) -> bool {
        !matches!(self, Self::SameTag(_))
    }
}

impl fmt::Display for PairReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "both are labelled wavegate.dev/app: {app}"),
            Self::Repository(repository) => write!(f, "both use the image repository {repository}"),
            Self::SameTag(tag) => write!(
                f,
                "both are part of one application and their images share the tag {tag}; label both wavegate.dev/app to make it sure"
            ),
        }
    }
}

/// A migration and a workload that it gates.
#[derive(Clone, Debug)]
pub struct Pair<'s> {
    /// The migration.
    pub migration: &'s MigrationFacts,
    /// Why it gates the workload.
    pub reason: PairReason<&'s str>,
    /// Whether it is known from what happened in the cluster, not from a manifest beside the workload's.
    pub attempted: bool,
}

/// An attempt that gates a workload.
#[derive(Clone, Copy, Debug)]
pub struct PairedAttempt<'s> {
    /// The attempt.
    pub sighting: &'s Sighting,
    /// Why it gates the workload.
    pub reason: PairReason<&'s str>,
}

/// A workload and the attempts that gate it.
#[derive(Clone, Debug)]
pub struct PairedWorkload<'s> {
    /// The workload.
    pub facts: WorkloadFacts,
    /// The attempts, in the order in which their Jobs were created.
    pub attempts: Vec<PairedAttempt<'s>>,
}

impl<'s> PairedWorkload<'s> {
    /// Finds the attempts of a workload.
    pub fn of(facts: WorkloadFacts, state: &'s ClusterState, names: &ImageNames) -> Self {
        let attempts = attempts_of(&facts, state, names);
        Self { facts, attempts }
    }

    /// Every migration in view that gates the workload, of what was attempted the newest of each.
    pub fn pairs(&self, state: &'s ClusterState, names: &ImageNames) -> Vec<Pair<'s>> {
        let planned = state.migrations().iter().filter_map(|migration| {
            let reason = tie(migration, &self.facts, names)?;
            Some(Pair { migration, reason, attempted: false })
        });
        let mut pairs: Vec<Pair<'s>> = planned.collect();
        let planned = pairs.len();
        let mut migrations: Vec<&Shared<Migration>> = Vec::new();
        for PairedAttempt { sighting, reason } in self.attempts.iter().rev() {
            let attempt = sighting.attempt();
            if !migrations.contains(&&attempt.migration) {
                migrations.push(&attempt.migration);
                pairs.push(Pair { migration: &attempt.facts, reason: *reason, attempted: true });
            }
        }
        if let Some(attempted) = pairs.get_mut(planned..) {
            attempted.reverse();
        }
        pairs
    }
}

/// The attempts that gate a workload, in the order in which their Jobs were created.
pub fn attempts_of<'s>(
    workload: &WorkloadFacts,
    state: &'s ClusterState,
    names: &ImageNames,
) -> Vec<PairedAttempt<'s>> {
    let tied = state.attempts().tied_to(workload, names);
    let mut attempts: Vec<PairedAttempt<'s>> = Vec::with_capacity(tied.len());
    for sighting in tied {
        let like_last = attempts.last().filter(|last| last.ties_alike(sighting));
        let reason = like_last
            .map(|last| last.reason)
            .or_else(|| tie(&sighting.attempt().facts, workload, names));
        attempts.extend(reason.map(|reason| PairedAttempt { sighting, reason }));
    }
    attempts
}

impl PairedAttempt<'_> {
    /// Whether another attempt of the namespace is tied to the same workload for the same reason, as most are: by
    /// whatever this one goes by, they are alike.
    fn ties_alike(&self, other: &Sighting) -> bool {
        let (own, other) = (&self.sighting.attempt().facts, &other.attempt().facts);
        let images = own.image.as_ref().zip(other.image.as_ref());
        own.ties.is(&other.ties)
            && match self.reason {
                PairReason::App(_) => true,
                PairReason::Repository(_) => images.is_some_and(|(a, b)| a.same_repository(b)),
                PairReason::SameTag(_) => false,
            }
    }
}

/// Whether a migration gates a workload, and surely enough for a rule to deny.
pub fn is_sure(migration: &MigrationFacts, workload: &WorkloadFacts, names: &ImageNames) -> bool {
    tie(migration, workload, names).is_some_and(|reason| reason.is_sure())
}

/// The same as [`tie`], to be kept.
pub fn pair(
    migration: &MigrationFacts,
    workload: &WorkloadFacts,
    names: &ImageNames,
) -> Option<PairReason> {
    tie(migration, workload, names).map(PairReason::into_owned)
}

/// Decides whether a migration gates a workload, by the first of three ties that holds: the explicit app,
/// the image repository, the same tag within one application. Different explicit apps never pair.
pub fn tie<'m>(
    migration: &'m MigrationFacts,
    workload: &WorkloadFacts,
    names: &ImageNames,
) -> Option<PairReason<&'m str>> {
    if migration.key.namespace != workload.key.namespace {
        return None;
    }
    if let (Some(left), Some(right)) = (&migration.ties.app, &workload.ties.app) {
        return (left == right).then_some(PairReason::App(left));
    }
    let scope = shared_scope(&migration.ties, &workload.ties);
    let image = migration.image.as_ref()?;
    if scope == Scope::Different {
        return None;
    }
    if workload.images.iter().any(|other| names.same_repository(other, image)) {
        return Some(PairReason::Repository(image.repository()));
    }
    let same_tag = |other: &ImageRef| {
        other.digest().is_none() && image.digest().is_none() && other.tag() == image.tag()
    };
    let likely =
        scope == Scope::Same && workload.images.iter().any(same_tag) && !names.is_floating(image);
    likely.then(|| PairReason::SameTag(image.tag_or_latest()))
}

/// Whether two migrations are of one app: what a second Job needs to be another attempt or another migration of it.
pub fn same_app(left: &MigrationFacts, right: &MigrationFacts, names: &ImageNames) -> bool {
    if left.key.namespace != right.key.namespace {
        return false;
    }
    if let (Some(left), Some(right)) = (&left.ties.app, &right.ties.app) {
        return left == right;
    }
    let images = left.image.as_ref().zip(right.image.as_ref());
    shared_scope(&left.ties, &right.ties) != Scope::Different
        && images.is_some_and(|(left, right)| names.same_repository(left, right))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Same,
    Different,
    Unknown,
}

/// Two releases of one image in a namespace do not gate each other: the Application tells them apart where
/// both carry one, else the instance label where both carry that.
fn shared_scope(left: &Ties, right: &Ties) -> Scope {
    let by_application = left.application.as_ref().zip(right.application.as_ref());
    let by_instance = left.instance.as_ref().zip(right.instance.as_ref());
    match by_application.or(by_instance) {
        Some((left, right)) if left == right => Scope::Same,
        Some(_) => Scope::Different,
        None => Scope::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ObjectKey, Shared};
    use crate::domain::names::Alias;
    use crate::domain::role::Confidence;

    struct Side {
        app: Option<&'static str>,
        application: Option<&'static str>,
        instance: Option<&'static str>,
        image: &'static str,
    }

    const PLAIN: Side =
        Side { app: None, application: None, instance: None, image: "myapp/api:v1" };

    fn ties(side: &Side) -> Ties {
        Ties {
            app: side.app.map(str::to_owned),
            application: side.application.map(str::to_owned),
            instance: side.instance.map(str::to_owned),
            release: None,
        }
    }

    fn key(kind: &'static str, namespace: &str) -> ObjectKey {
        ObjectKey { kind, namespace: namespace.to_owned(), name: "x".to_owned() }
    }

    fn migration(side: &Side) -> MigrationFacts {
        MigrationFacts {
            key: key("Job", "shop"),
            ties: ties(side).into(),
            image: ImageRef::parse(side.image).ok(),
            ordering: Shared::default(),
            confidence: Confidence::Strong,
        }
    }

    fn workload(side: &Side) -> WorkloadFacts {
        WorkloadFacts {
            key: key("Deployment", "shop"),
            ties: ties(side),
            images: vec![
                ImageRef::parse("sidecar/proxy:3").unwrap(),
                ImageRef::parse(side.image).unwrap(),
            ],
            floor: None,
        }
    }

    fn paired(left: &Side, right: &Side) -> Option<PairReason> {
        let latest = crate::domain::glob::Glob::parse("latest").unwrap();
        let names = ImageNames { floating: vec![latest], aliases: Vec::new() };
        pair(&migration(left), &workload(right), &names)
    }

    #[test]
    fn the_first_tie_that_holds_decides() {
        let repository = || Some(PairReason::Repository("docker.io/myapp/api".to_owned()));
        let app = |name: &str| Some(PairReason::App(name.to_owned()));
        let tag = |tag: &str| Some(PairReason::SameTag(tag.to_owned()));
        let other = "myapp/other:v1";
        let cases = [
            (
                "the recipe: only the repository",
                PLAIN,
                Side { image: "myapp/api:v2", ..PLAIN },
                repository(),
            ),
            ("nothing shared", PLAIN, Side { image: other, ..PLAIN }, None),
            (
                "explicit app, other image",
                Side { app: Some("shop"), ..PLAIN },
                Side { app: Some("shop"), image: other, ..PLAIN },
                app("shop"),
            ),
            (
                "different explicit apps",
                Side { app: Some("a"), ..PLAIN },
                Side { app: Some("b"), ..PLAIN },
                None,
            ),
            ("app on one side only", Side { app: Some("a"), ..PLAIN }, PLAIN, repository()),
            (
                "two releases of one chart",
                Side { instance: Some("a"), ..PLAIN },
                Side { instance: Some("b"), ..PLAIN },
                None,
            ),
            ("instance on one side", Side { instance: Some("a"), ..PLAIN }, PLAIN, repository()),
            (
                "application before instance",
                Side { application: Some("x"), instance: Some("a"), ..PLAIN },
                Side { application: Some("x"), instance: Some("b"), ..PLAIN },
                repository(),
            ),
            (
                "same tag in one instance",
                Side { instance: Some("a"), ..PLAIN },
                Side { instance: Some("a"), image: other, ..PLAIN },
                tag("v1"),
            ),
            ("same tag, no scope", PLAIN, Side { image: other, ..PLAIN }, None),
            (
                "a chart's database",
                Side { instance: Some("a"), ..PLAIN },
                Side { instance: Some("a"), image: "redis:7", ..PLAIN },
                None,
            ),
            (
                "floating tags say nothing",
                Side { instance: Some("a"), image: "a/m:latest", ..PLAIN },
                Side { instance: Some("a"), image: "a/b:latest", ..PLAIN },
                None,
            ),
        ];
        for (name, migration, workload, want) in cases {
            assert_eq!(paired(&migration, &workload), want, "{name}");
        }
    }

    #[test]
    fn the_newest_attempt_of_each_migration_pairs_whoever_else_has_one_of_that_name() {
        use crate::cluster::sample::Sample;

        let of = |uid: &str, instance: &str, second: i64| {
            let sample = Sample::new(uid, "v1").created(second).succeeded(second + 1);
            sample.with(|attempt| attempt.facts.ties.instance = Some(instance.to_owned())).attempt()
        };
        let mut state = ClusterState::default();
        for attempt in [of("old", "a", 1), of("new", "a", 5), of("other", "b", 9)] {
            state.attempts_mut().observe_record(attempt);
        }
        let workload = WorkloadFacts {
            key: key("Deployment", "shop"),
            ties: Ties { instance: Some("a".to_owned()), ..Ties::default() },
            images: vec![ImageRef::parse("shop/api:v1").unwrap()],
            floor: None,
        };
        let names = ImageNames::default();
        let pairs = PairedWorkload::of(workload, &state, &names).pairs(&state, &names);
        let names: Vec<&str> = pairs.iter().map(|pair| pair.migration.key.name.as_str()).collect();
        assert_eq!(names, ["job-new"]);
    }

    /// Every combination of ties, with an image in several tags and by a further name, and another one.
    fn every_side() -> Vec<Side> {
        let optional = [None, Some("a"), Some("b")];
        let mut sides = Vec::new();
        for app in optional {
            for application in [None, Some("x"), Some("y")] {
                for instance in optional {
                    let images = ["shop/api:v1", "shop/api:v2", "mirror.io/shop/api:v1", "web:v1"];
                    sides.extend(images.map(|image| Side { app, application, instance, image }));
                }
            }
        }
        sides
    }

    fn mirrored() -> ImageNames {
        let alias = Alias::new("mirror.io", "docker.io").unwrap();
        ImageNames { floating: Vec::new(), aliases: vec![alias] }
    }

    #[test]
    fn each_attempt_is_tied_as_if_it_were_alone() {
        use crate::cluster::sample::Sample;

        let (sides, names) = (every_side(), mirrored());
        let mut state = ClusterState::default();
        for (second, side) in (0..).zip(&sides) {
            let sample = Sample::new(&format!("{second}"), "v1").created(second).with(|attempt| {
                attempt.facts.ties = ties(side).into();
                attempt.facts.image = ImageRef::parse(side.image).ok();
            });
            state.attempts_mut().observe_record(sample.attempt());
        }
        let mut all: Vec<&Sighting> = state.attempts().iter().collect();
        all.sort_by_key(|s| s.attempt().order());
        for workload in sides.iter().map(workload) {
            let alone = all.iter().filter_map(|s| {
                Some((s.attempt().uid.as_str(), tie(&s.attempt().facts, &workload, &names)?))
            });
            let found = attempts_of(&workload, &state, &names);
            let found = found.iter().map(|a| (a.sighting.attempt().uid.as_str(), a.reason));
            let (found, alone): (Vec<_>, Vec<_>) = (found.collect(), alone.collect());
            assert_eq!(found, alone, "{workload:?}");
        }
    }

    /// The gate does not look up the old side of a change where the new one surely pairs with the same.
    #[test]
    fn what_surely_pairs_alike_is_surely_gated_by_the_same() {
        let (sides, names) = (every_side(), mirrored());
        let migrations: Vec<MigrationFacts> = sides.iter().map(migration).collect();
        let workloads: Vec<WorkloadFacts> = sides.iter().map(workload).collect();
        let sure = |workload| -> Vec<bool> {
            migrations.iter().map(|migration| is_sure(migration, workload, &names)).collect()
        };
        let gated: Vec<Vec<bool>> = workloads.iter().map(sure).collect();
        let mut alike = 0;
        for (old, of_old) in workloads.iter().zip(&gated) {
            for (new, of_new) in workloads.iter().zip(&gated) {
                if old.surely_pairs_like(new) {
                    alike += 1;
                    assert_eq!(of_old, of_new, "{old:?} {new:?}");
                }
            }
        }
        assert_eq!(
            alike,
            27 * 6,
            "each is like itself, and the two tags of one repository are alike"
        );
    }

    #[test]
    fn namespaces_never_pair() {
        let migration = MigrationFacts {
            key: key("Job", "a"),
            ties: Ties::default().into(),
            image: ImageRef::parse("myapp/api:v1").ok(),
            ordering: Shared::default(),
            confidence: Confidence::Strong,
        };
        let workload = WorkloadFacts {
            key: key("Deployment", "b"),
            ties: Ties::default(),
            images: vec![ImageRef::parse("myapp/api:v1").unwrap()],
            floor: None,
        };
        assert_eq!(pair(&migration, &workload, &ImageNames::default()), None);
    }
}
