//! What is right, written again from the product's table and in another way: from the whole list of what a view holds,
//! played in the order of time, and without the gate's own types.

use jiff::Timestamp;

use super::tag;
use crate::cluster::sample::at;
use crate::cluster::{ClusterState, Override};
use crate::domain::gate_override::OverrideKind;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;

/// One attempt in a view.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) uid: String,
    migration: String,
    release: String,
    phase: MigrationPhase,
    declared: bool,
    safe_from: Option<String>,
    pub(super) outcome: Outcome,
    created: i64,
    ended: i64,
}

/// What a person says in a view and what is in force.
#[derive(Clone, Debug)]
pub(super) struct Word {
    name: String,
    kind: OverrideKind,
    release: String,
    migration: Option<String>,
    said: i64,
    /// What succeeded before counts no more.
    cutoff: i64,
}

/// Whether a release may run, by all that a view holds.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    pub(super) facts: Vec<Fact>,
    words: Vec<Word>,
    /// Whether it was read live, and with it that release 0 ran before.
    ran_before: bool,
}

/// Something that speaks for a release; a person's word without a migration speaks for all of them.
#[derive(Clone, Debug)]
struct Proof {
    release: String,
    migration: Option<String>,
    contract: Option<Fact>,
    time: i64,
}

impl Oracle {
    pub(super) fn of(state: &ClusterState, clock: i64) -> Self {
        let fact = |sighting: &crate::cluster::Sighting| {
            let attempt = sighting.attempt();
            Fact {
                uid: attempt.uid.clone(),
                migration: attempt.migration.name.clone(),
                release: attempt.release(),
                phase: attempt.phase,
                declared: attempt.phase_declared,
                safe_from: attempt.safe_from.clone(),
                outcome: sighting.outcome(),
                created: attempt.created.as_second(),
                ended: attempt.completed.map_or(i64::MAX, Timestamp::as_second),
            }
        };
        let word = |one: &Override| {
            let said = one.created.as_second();
            Word {
                name: one.name.clone(),
                kind: one.spec.kind,
                release: one.spec.release.clone().unwrap_or_default(),
                migration: one.spec.migration.clone(),
                said,
                cutoff: one.spec.before.map_or(said, Timestamp::as_second),
            }
        };
        let in_force =
            |one: &&Override| one.spec.expires_at.is_none_or(|expires| at(clock) < expires);
        Self {
            facts: state.attempts().of_namespace("shop").map(fact).collect(),
            words: state.overrides().of_namespace("shop").filter(in_force).map(word).collect(),
            ran_before: state.confirmation().is_some(),
        }
    }

    /// The same view without some words, and without any Bypass, which would cover for each of them.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        let mut view = self.clone();
        view.words.retain(|word| {
            word.kind != OverrideKind::Bypass && !names.contains(&word.name.as_str())
        });
        view
    }

    fn said(&self, kind: OverrideKind) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(move |word| word.kind == kind)
    }

    /// Plays what happened in the order of time: a revert takes the release away that was proven last, a restore all
    /// that was proven before.
    fn standing(&self) -> Vec<Proof> {
        enum Turn<'a> {
            Restore,
            Revert,
            Success(&'a Fact),
            Said(&'a Word),
        }
        let succeeded = self.facts.iter().filter(|fact| fact.outcome == Outcome::Succeeded);
        let mut turns: Vec<(i64, Turn<'_>)> = succeeded
            .map(|fact| match fact.phase {
                MigrationPhase::Revert => (fact.ended, Turn::Revert),
                _ => (fact.ended, Turn::Success(fact)),
            })
            .collect();
        turns.extend(self.said(OverrideKind::Attest).map(|word| (word.said, Turn::Said(word))));
        turns.extend(self.said(OverrideKind::Invalidate).map(|word| (word.cutoff, Turn::Restore)));
        turns.sort_by_key(|(time, turn)| (*time, !matches!(turn, Turn::Restore)));
        let mut standing: Vec<Proof> = Vec::new();
        for (time, turn) in turns {
            match turn {
                Turn::Restore => standing.clear(),
                Turn::Revert => {
                    let first = |release: &str| standing.iter().position(|p| p.release == release);
                    let newest = standing.iter().max_by_key(|p| first(&p.release));
                    if let Some(newest) = newest.map(|newest| newest.release.clone()) {
                        standing.retain(|proof| proof.release != newest);
                    }
                }
                Turn::Success(fact) => standing.push(Proof {
                    release: fact.release.clone(),
                    migration: Some(fact.migration.clone()),
                    contract: (fact.phase == MigrationPhase::Contract).then(|| fact.clone()),
                    time,
                }),
                Turn::Said(word) => standing.push(Proof {
                    release: word.release.clone(),
                    migration: word.migration.clone(),
                    contract: None,
                    time,
                }),
            }
        }
        standing
    }

    pub(super) fn allows(&self, release: usize) -> bool {
        let name = tag(release);
        if self.said(OverrideKind::Bypass).any(|word| word.release == name) {
            return true;
        }
        let standing = self.standing();
        let first =
            |release: &str| standing.iter().find(|proof| proof.release == release).map(|p| p.time);
        let contracts = standing.iter().filter_map(|proof| proof.contract.as_ref());
        let contracts = contracts.filter(|contract| contract.declared);
        let excluded = contracts.clone().any(|contract| {
            let safe = contract.safe_from.as_ref().unwrap_or(&contract.release);
            let border = first(safe).unwrap_or(contract.created);
            name != *safe && first(&name).is_some_and(|first| first < border)
        });
        if excluded {
            return false;
        }
        let retired = self.said(OverrideKind::Retire).map(|word| word.said).max();
        let binding =
            || self.facts.iter().filter(|fact| retired.is_none_or(|said| fact.created > said));
        let tried = |phase: MigrationPhase| {
            let of = binding().filter(|f| f.release == name && f.phase == phase);
            of.map(|f| f.migration.clone()).collect::<std::collections::BTreeSet<_>>()
        };
        let mut required = tried(MigrationPhase::Expand);
        if required.is_empty() {
            required = tried(MigrationPhase::Contract);
        }
        let proofs = || standing.iter().filter(|proof| proof.release == name);
        let succeeded = |migration: &String| {
            proofs().any(|proof| proof.migration.as_ref().is_none_or(|done| done == migration))
        };
        if proofs().next().is_some() && required.iter().all(succeeded) {
            return true;
        }
        let restored =
            self.said(OverrideKind::Invalidate).any(|word| word.cutoff > at(0).as_second());
        if self.ran_before && release == 0 && !restored {
            let needed = |contract: &&Fact| {
                *contract.safe_from.as_ref().unwrap_or(&contract.release) != name
            };
            return contracts.filter(needed).count() == 0;
        }
        binding().next().is_none()
    }
}
