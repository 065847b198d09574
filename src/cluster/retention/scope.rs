//! What workloads can be judged by: the attempts that would be theirs.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::is_success;
use crate::cluster::attempt::Attempt;
use crate::cluster::attempts::Sighting;
use crate::cluster::pairing;
use crate::cluster::state::{ObjectKey, Ties, WorkloadFacts};
use crate::domain::image::ImageRef;
use crate::domain::names::ImageNames;
use crate::domain::role::MigrationPhase;

/// What a workload can be judged by. Attempts are named by their positions.
pub(super) struct Scope {
    pub(super) attempts: Vec<usize>,
    /// Attempts of somebody whose successes and reverts do not count.
    pub(super) uncounted: HashSet<usize>,
    /// Successes that count no more, since a revert took them back.
    pub(super) taken: HashSet<usize>,
    /// Successes without which a revert would take back another release.
    pub(super) needed: Vec<usize>,
}

impl Scope {
    /// A revert takes back the release that was first proven last before it.
    fn new(attempts: &[&Sighting], of: Vec<usize>, uncounted: HashSet<usize>) -> Self {
        let attempt = |at: usize| attempts.get(at).map(|sighting| sighting.attempt());
        let end = |at: &usize| attempt(*at).map(Attempt::end_order);
        let same = |one: usize, other: usize| {
            attempt(one).zip(attempt(other)).is_some_and(|(one, other)| one.same_release(other))
        };
        let succeeded = |at: &usize| {
            attempts.get(*at).is_some_and(|sighting| is_success(sighting))
                && !uncounted.contains(at)
        };
        let mut successes: Vec<usize> = of.iter().copied().filter(succeeded).collect();
        successes.sort_by(|one, other| end(one).cmp(&end(other)));
        let mut scope = Self { attempts: of, uncounted, taken: HashSet::new(), needed: Vec::new() };
        // In the order of their ends, so the first of a release in it is its first success.
        let mut counting: Vec<usize> = Vec::new();
        for at in successes {
            if attempt(at).is_some_and(|attempt| attempt.phase != MigrationPhase::Revert) {
                counting.push(at);
                continue;
            }
            let first = |of: usize| counting.iter().copied().find(|other| same(*other, of));
            let Some(newest) = counting.iter().copied().filter_map(first).max_by_key(end) else {
                continue;
            };
            let (taken, left): (Vec<usize>, Vec<usize>) =
                counting.iter().partition(|at| same(**at, newest));
            scope.needed.extend(taken.first().into_iter().chain(taken.last()));
            scope.taken.extend(taken);
            counting = left;
        }
        scope
    }
}

/// A name that no app, application or instance has: a workload may be tied to none of those in view.
const OTHER: Option<&str> = Some("/");

/// How the attempts of one repository are tied to what they belong to.
#[derive(Default)]
struct Identities<'s> {
    image: Option<&'s ImageRef>,
    apps: BTreeSet<Option<&'s str>>,
    places: BTreeSet<(Option<&'s str>, Option<&'s str>)>,
}

/// The sets of attempts that a workload of this namespace can be judged by: one for each way in which the attempts
/// are tied, and for a workload that says less than they do. Each counts everybody's successes, and where not
/// everybody's do, once more those that do alone.
pub(super) fn scopes(
    attempts: &[&Sighting],
    names: &ImageNames,
    counts: impl Fn(&Attempt) -> bool,
) -> Vec<Scope> {
    let mut repositories: BTreeMap<&str, Identities<'_>> = BTreeMap::new();
    for sighting in attempts {
        let facts = &sighting.attempt().facts;
        let repository = facts.image.as_ref().map(ImageRef::repository).unwrap_or_default();
        let identities = repositories.entry(repository).or_default();
        identities.image = facts.image.as_ref();
        identities.apps.extend([None, OTHER, facts.ties.app.as_deref()]);
        let place = (facts.ties.application.as_deref(), facts.ties.instance.as_deref());
        identities.places.extend([(None, None), (OTHER, OTHER), place]);
    }
    let mut scopes: BTreeSet<Vec<usize>> = BTreeSet::new();
    for Identities { image, apps, places } in repositories.values() {
        for app in apps {
            for (application, instance) in places {
                let ties = Ties {
                    app: app.map(str::to_owned),
                    application: application.map(str::to_owned),
                    instance: instance.map(str::to_owned),
                    release: None,
                };
                scopes.insert(judged_by(attempts, ties, *image, names));
            }
        }
    }
    let strange = attempts.iter().enumerate().filter(|(_, s)| !counts(s.attempt()));
    let strange: HashSet<usize> = strange.map(|(at, _)| at).collect();
    let mut views = Vec::new();
    for of in scopes {
        let uncounted: HashSet<usize> =
            of.iter().copied().filter(|at| strange.contains(at)).collect();
        if !uncounted.is_empty() {
            views.push(Scope::new(attempts, of.clone(), uncounted));
        }
        views.push(Scope::new(attempts, of, HashSet::new()));
    }
    views
}

/// The attempts that surely belong to a workload with these ties and an image of that repository.
fn judged_by(
    attempts: &[&Sighting],
    ties: Ties,
    image: Option<&ImageRef>,
    names: &ImageNames,
) -> Vec<usize> {
    let namespace = attempts.first().map(|s| s.attempt().facts.key.namespace.clone());
    let key = ObjectKey {
        kind: "Deployment",
        namespace: namespace.unwrap_or_default(),
        name: String::new(),
    };
    let workload =
        WorkloadFacts { key, ties, images: image.cloned().into_iter().collect(), floor: None };
    let belongs =
        |sighting: &Sighting| pairing::is_sure(&sighting.attempt().facts, &workload, names);
    attempts.iter().enumerate().filter(|(_, s)| belongs(s)).map(|(at, _)| at).collect()
}
