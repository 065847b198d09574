//! Which records may go: as many as possible, of which none says anything that a decision could still ask for.
//!
//! Removing a record must never let anything through that was held, and never hold what runs or may soon run again.
//! So more stays than the newest of each migration:
//!
//! - what has not ended, or whose Job is still there;
//! - contracts and reverts that succeeded: they hold releases back for ever;
//! - the first attempt of each app: what ran before it is taken for good;
//! - of each release that stays its first success, since the order of releases is the order of first successes, and
//!   of each migration that was attempted for it a success or else the newest attempt, since all of them are required;
//! - of each release that runs or may be rolled back to, one success.

mod scope;

use std::collections::{HashMap, HashSet};

use super::attempt::Attempt;
use super::attempts::Sighting;
use super::overrides::Override;
use super::state::WorkloadFacts;
use crate::domain::gate_override::OverrideKind;
use crate::domain::image::ImageRef;
use crate::domain::migration::Migration;
use crate::domain::names::ImageNames;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;
use scope::{Scope, scopes};

/// How many records of one migration are kept, beside those that must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Attempts that succeeded.
    pub successes: usize,
    /// Attempts that did not. Apart, so that retries never evict a success.
    pub failures: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { successes: 20, failures: 10 }
    }
}

/// The releases that run in a namespace or that its workloads may be rolled back to, by every name they have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveReleases(HashSet<String>);

impl LiveReleases {
    /// Takes in an image of a workload, a pod or a revision.
    pub fn image(&mut self, image: &ImageRef) {
        self.0.insert(image.tag_or_latest().to_owned());
        self.0.extend(image.digest().map(str::to_owned));
    }

    /// Takes in a release as an author names it: a token, a tag or an image.
    pub fn named(&mut self, text: &str) {
        self.0.insert(text.to_owned());
        if let Ok(image) = ImageRef::parse(text) {
            self.0.extend([image.tag(), image.digest()].into_iter().flatten().map(str::to_owned));
        }
    }

    /// Takes in what a workload or a pod runs and what its author says that it needs.
    pub fn workload(&mut self, facts: &WorkloadFacts) {
        for image in &facts.images {
            self.image(image);
        }
        for name in facts.ties.release.iter().chain(&facts.floor) {
            self.named(name);
        }
    }

    /// Whether an attempt was made for one of them. Names are compared without regard to repositories: rather a
    /// record too many is kept.
    fn have(&self, attempt: &Attempt) -> bool {
        let facts = &attempt.facts;
        let has = |name: Option<&str>| name.is_some_and(|name| self.0.contains(name));
        let ran = attempt.image_id.as_deref().and_then(|id| id.rsplit_once('@'));
        has(facts.ties.release.as_deref())
            || has(ran.map(|(_, digest)| digest))
            || has(facts.image.as_ref().map(ImageRef::tag_or_latest))
            || has(facts.image.as_ref().and_then(ImageRef::digest))
    }
}

/// Whether a migration has more records than are kept, so that it is worth asking what runs.
pub fn may_prune<'s>(attempts: impl Iterator<Item = &'s Sighting>, retention: Retention) -> bool {
    let attempts: Vec<&Sighting> = attempts.collect();
    groups(&attempts).values().any(|group| {
        let (successes, failures) = split(&attempts, group);
        successes.len() > retention.successes || failures.len() > retention.failures
    })
}

/// The attempts of one namespace whose records may be removed, in the order in which that is to be done: a release
/// that goes first loses its successes, the newest first, so that at no moment less is lacking or an order turned.
///
/// None where a person takes evidence away or adds to it: what a revert takes back then, and which success is a
/// release's first, is another than the attempts alone say, and is another again once the override is deleted.
pub fn prunable<'s>(
    attempts: &[&'s Sighting],
    overrides: &[Override],
    live: &LiveReleases,
    retention: Retention,
) -> Vec<&'s Sighting> {
    prunable_by(attempts, overrides, live, retention, &ImageNames::default(), |_| true)
}

/// The same where images have further names, and where not everybody's successes and reverts count: those that do not
/// never take the place of those that do. What would stay if all did stays too, since a policy may change.
pub fn prunable_by<'s>(
    attempts: &[&'s Sighting],
    overrides: &[Override],
    live: &LiveReleases,
    retention: Retention,
    names: &ImageNames,
    counts: impl Fn(&Attempt) -> bool,
) -> Vec<&'s Sighting> {
    let turns =
        |one: &Override| matches!(one.kind(), OverrideKind::Attest | OverrideKind::Invalidate);
    if overrides.iter().any(turns) {
        return Vec::new();
    }
    let mut history = History::new(attempts, names, &counts);
    history.keep_newest(live, retention, &counts);
    history.keep_cornerstones();
    while history.keep_companions() {}
    let mut gone: Vec<&'s Sighting> =
        attempts.iter().zip(&history.kept).filter(|(_, kept)| !**kept).map(|(s, _)| *s).collect();
    gone.sort_by_key(|s| {
        let attempt = s.attempt();
        (
            is_success(s) && counts(attempt),
            attempt.end_order().0,
            attempt.created,
            attempt.uid.as_str(),
        )
    });
    gone.reverse();
    gone
}

/// Attempts by their positions, and which of them stay.
struct History<'a, 's> {
    attempts: &'a [&'s Sighting],
    names: &'a ImageNames,
    kept: Vec<bool>,
    /// What workloads can be judged by.
    scopes: Vec<Scope>,
}

type GroupKey<'s> = (String, Option<&'s str>, Option<&'s str>, &'s Migration);

/// The attempts of each migration, by their positions.
fn groups<'s>(attempts: &[&'s Sighting]) -> HashMap<GroupKey<'s>, Vec<usize>> {
    let mut groups: HashMap<GroupKey<'s>, Vec<usize>> = HashMap::new();
    for (at, sighting) in attempts.iter().enumerate() {
        let attempt = sighting.attempt();
        let ties = &attempt.facts.ties;
        let repository = || attempt.facts.image.as_ref().map(|i| i.repository().to_owned());
        let app = ties.app.clone().or_else(repository).unwrap_or_default();
        let key = (app, ties.application.as_deref(), ties.instance.as_deref(), &*attempt.migration);
        groups.entry(key).or_default().push(at);
    }
    groups
}

/// Successes by their ends and the others by their beginnings, the newest first.
fn split(attempts: &[&Sighting], group: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let sighting = |at: &usize| attempts.get(*at).copied();
    let (mut successes, mut failures): (Vec<usize>, Vec<usize>) =
        group.iter().partition(|at| sighting(at).is_some_and(is_success));
    let ended = |at: &usize| sighting(at).map(|s| s.attempt().end_order());
    successes.sort_by(|one, other| ended(other).cmp(&ended(one)));
    let begun = |at: &usize| sighting(at).map(|s| s.attempt().order());
    failures.sort_by(|one, other| begun(other).cmp(&begun(one)));
    (successes, failures)
}

fn is_success(sighting: &Sighting) -> bool {
    sighting.outcome() == Outcome::Succeeded
}

impl<'a, 's> History<'a, 's> {
    fn new(
        attempts: &'a [&'s Sighting],
        names: &'a ImageNames,
        counts: &impl Fn(&Attempt) -> bool,
    ) -> Self {
        let scopes = scopes(attempts, names, counts);
        Self { attempts, names, kept: vec![false; attempts.len()], scopes }
    }

    fn sighting(&self, at: usize) -> Option<&'s Sighting> {
        self.attempts.get(at).copied()
    }

    fn attempt(&self, at: usize) -> Option<&'s Attempt> {
        self.sighting(at).map(Sighting::attempt)
    }

    fn is_success(&self, at: usize) -> bool {
        self.sighting(at).is_some_and(is_success)
    }

    fn is_kept(&self, at: usize) -> bool {
        self.kept.get(at).copied().unwrap_or_default()
    }

    /// Returns whether that is news.
    fn keep(&mut self, at: usize) -> bool {
        self.kept.get_mut(at).is_some_and(|kept| !std::mem::replace(kept, true))
    }

    /// The newest of each migration, and one success of each release that is live.
    fn keep_newest(
        &mut self,
        live: &LiveReleases,
        retention: Retention,
        counts: impl Fn(&Attempt) -> bool,
    ) {
        for group in groups(self.attempts).into_values() {
            let (mut successes, failures) = split(self.attempts, &group);
            let strange = |at: usize| self.attempt(at).is_some_and(|attempt| !counts(attempt));
            successes.sort_by_key(|at| strange(*at));
            let mut seen: Vec<&Attempt> = Vec::new();
            for (rank, at) in successes.into_iter().enumerate() {
                let Some(attempt) = self.attempt(at) else { continue };
                let first_sight = live.have(attempt)
                    && counts(attempt)
                    && !seen.iter().any(|known| known.same_release(attempt));
                if first_sight {
                    seen.push(attempt);
                }
                if first_sight || rank < retention.successes {
                    self.keep(at);
                }
            }
            for at in failures.into_iter().take(retention.failures) {
                self.keep(at);
            }
        }
    }

    /// What stays whatever its age.
    fn keep_cornerstones(&mut self) {
        for at in 0..self.attempts.len() {
            let Some(sighting) = self.sighting(at) else { continue };
            let unfinished = sighting.outcome() == Outcome::Running
                || sighting.has_job()
                || !sighting.is_recorded();
            let phase = sighting.attempt().phase;
            if unfinished || (phase != MigrationPhase::Expand && is_success(sighting)) {
                self.keep(at);
            }
        }
        for scope in std::mem::take(&mut self.scopes) {
            let created = |at: &usize| self.attempt(*at).map(Attempt::order);
            let first = scope.attempts.iter().copied().min_by_key(created);
            for at in first.into_iter().chain(scope.needed.iter().copied()) {
                self.keep(at);
            }
            self.scopes.push(scope);
        }
    }

    /// Whether it is an attempt that can prove a release, which undoing one cannot.
    fn proves(&self, at: usize) -> bool {
        self.attempt(at).is_some_and(|attempt| attempt.phase != MigrationPhase::Revert)
    }

    /// Whether it is a success of somebody whose successes count there.
    fn counts_in(&self, scope: &Scope, at: usize) -> bool {
        self.is_success(at) && !scope.uncounted.contains(&at)
    }

    fn same(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.attempt(one), self.attempt(other));
        one.zip(other).is_some_and(|(one, other)| one.same_release(other))
    }

    /// For each success that stays, what else of its release must. Returns whether anything was added.
    fn keep_companions(&mut self) -> bool {
        let proves = |at: &usize| self.is_kept(*at) && self.is_success(*at) && self.proves(*at);
        let of_scope = |scope: &Scope| {
            let kept = scope.attempts.iter().copied().filter(proves);
            kept.flat_map(|at| self.companions(scope, at)).collect::<Vec<_>>()
        };
        let companions: Vec<usize> = self.scopes.iter().flat_map(of_scope).collect();
        let mut added = false;
        for at in companions {
            added |= self.keep(at);
        }
        added
    }

    fn companions(&self, scope: &Scope, at: usize) -> Vec<usize> {
        let end = |at: &usize| self.attempt(*at).map(Attempt::end_order);
        let created = |at: &usize| self.attempt(*at).map(|attempt| attempt.created);
        let same = |other: &usize| self.proves(*other) && self.same(at, *other);
        let of_release: Vec<usize> = scope.attempts.iter().copied().filter(same).collect();
        let successes = || of_release.iter().copied().filter(|at| self.counts_in(scope, *at));
        let counts = |at: &usize| !scope.taken.contains(at);
        let mut companions: Vec<usize> = Vec::new();
        companions.extend(successes().min_by_key(end));
        companions.extend(successes().filter(counts).min_by_key(end));
        let mut seen: Vec<&Migration> = Vec::new();
        for other in &of_release {
            let Some(attempt) = self.attempt(*other) else { continue };
            if seen.contains(&&*attempt.migration) {
                continue;
            }
            seen.push(&attempt.migration);
            let of_migration = |at: &usize| {
                self.attempt(*at).is_some_and(|other| other.migration == attempt.migration)
            };
            let proof = successes().filter(counts).filter(of_migration).max_by_key(end);
            let newest = || of_release.iter().copied().filter(of_migration).max_by_key(created);
            companions.extend(proof.or_else(newest));
        }
        companions.extend(self.borders(scope, at));
        companions
    }

    /// The first successes of the release that a contract is safe from: nothing older may run.
    fn borders(&self, scope: &Scope, at: usize) -> Vec<usize> {
        let contract = self.attempt(at).filter(|a| a.phase == MigrationPhase::Contract);
        let Some(text) = contract.and_then(|contract| contract.safe_from.as_deref()) else {
            return Vec::new();
        };
        let named = |at: &usize| {
            self.counts_in(scope, *at)
                && self.proves(*at)
                && self.attempt(*at).is_some_and(|attempt| attempt.is_of_release(text, self.names))
        };
        let end = |at: &usize| self.attempt(*at).map(Attempt::end_order);
        let successes = || scope.attempts.iter().copied().filter(named);
        let counting = successes().filter(|at| !scope.taken.contains(at));
        successes().min_by_key(end).into_iter().chain(counting.min_by_key(end)).collect()
    }
}

#[cfg(test)]
mod tests;
