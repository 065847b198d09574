//! What the attempts at an app's migrations prove.
//!
//! Evidence is monotone: a success is not undone by a later attempt that failed or still runs. Only a successful
//! revert takes successes back.

use jiff::Timestamp;

use crate::cluster::{Attempt, Sighting};
use crate::domain::argocd::HookPhase;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;
use crate::policy::Policy;

/// A moment among the ends of attempts.
pub(super) type Moment<'s> = (Timestamp, Timestamp, &'s str);

/// The attempts that surely belong to one app, in the order in which their Jobs were created.
pub(super) struct Evidence<'s> {
    attempts: Vec<&'s Sighting>,
    /// UIDs of successes that a revert took back.
    withdrawn: Vec<&'s str>,
    /// UIDs of attempts of somebody whose Jobs prove nothing and take nothing back.
    uncounted: Vec<&'s str>,
}

/// What the attempts of one release prove.
#[derive(Debug)]
pub(super) enum Proof<'s> {
    /// Nothing was attempted that could prove it.
    Nothing,
    /// Every required migration succeeded. The newest attempts of those that were tried again and have not.
    Complete { again: Vec<&'s Attempt> },
    /// Some required migrations did not: the newest attempt of each.
    Lacking(Vec<&'s Sighting>),
}

impl<'s> Evidence<'s> {
    pub(super) fn new(attempts: Vec<&'s Sighting>, policy: &Policy) -> Self {
        let strange = attempts.iter().filter(|s| !policy.trusts(s.attempt()));
        let uncounted = strange.map(|s| s.attempt().uid.as_str()).collect();
        let mut evidence = Self { attempts, withdrawn: Vec::new(), uncounted };
        let mut reverts: Vec<_> = evidence.succeeded(MigrationPhase::Revert).collect();
        reverts.sort_by_key(|revert| revert.attempt().end_order());
        for revert in reverts {
            let taken = evidence.newest_release_before(revert.attempt().end_order());
            evidence.withdrawn.extend(taken);
        }
        evidence
    }

    pub(super) fn attempts(&self) -> &[&'s Sighting] {
        &self.attempts
    }

    /// Whether a success still counts.
    pub(super) fn counts(&self, sighting: &Sighting) -> bool {
        sighting.outcome() == Outcome::Succeeded
            && !self.withdrawn.contains(&sighting.attempt().uid.as_str())
            && self.is_counted(sighting)
    }

    /// Whether an attempt is of somebody whose Jobs count.
    pub(super) fn is_counted(&self, sighting: &Sighting) -> bool {
        !self.uncounted.contains(&sighting.attempt().uid.as_str())
    }

    fn succeeded(&self, phase: MigrationPhase) -> impl Iterator<Item = &'s Sighting> {
        let of_phase = move |s: &&&'s Sighting| {
            s.attempt().phase == phase && s.outcome() == Outcome::Succeeded && self.is_counted(s)
        };
        self.attempts.iter().filter(of_phase).copied()
    }

    /// The successes of the release that was first proven last before a moment: what a revert then takes back.
    fn newest_release_before(&self, moment: Moment<'_>) -> Vec<&'s str> {
        let before = |s: &&Sighting| {
            self.counts(s)
                && s.attempt().phase != MigrationPhase::Revert
                && s.attempt().end_order() < moment
        };
        let successes: Vec<&'s Sighting> = self.attempts.iter().copied().filter(before).collect();
        let first_of = |one: &Sighting| {
            let same = successes.iter().filter(|s| s.attempt().same_release(one.attempt()));
            same.map(|s| s.attempt().end_order()).min()
        };
        let Some(newest) = successes.iter().copied().max_by_key(|s| first_of(s)) else {
            return Vec::new();
        };
        let taken = successes.iter().filter(|s| s.attempt().same_release(newest.attempt()));
        taken.map(|s| s.attempt().uid.as_str()).collect()
    }

    /// When the first success that counts among these attempts ended.
    pub(super) fn first_success(&self, of: impl Fn(&Attempt) -> bool) -> Option<Moment<'s>> {
        let counting = self.attempts.iter().filter(|s| self.counts(s) && of(s.attempt()));
        let not_reverts = counting.filter(|s| s.attempt().phase != MigrationPhase::Revert);
        not_reverts.map(|s| s.attempt().end_order()).min()
    }

    /// The contracts in force: successes that count.
    pub(super) fn contracts(&self) -> impl Iterator<Item = &'s Sighting> {
        self.succeeded(MigrationPhase::Contract).filter(|contract| self.counts(contract))
    }

    /// What the attempts of one release prove.
    pub(super) fn proof(&self, of: impl Fn(&Attempt) -> bool) -> Proof<'s> {
        let tried = self.tried(of);
        let required = required(&tried);
        if required.is_empty() {
            let proven = tried.iter().any(|s| self.counts(s));
            return if proven { Proof::Complete { again: Vec::new() } } else { Proof::Nothing };
        }
        self.proof_of(&required, &tried)
    }

    /// The attempts made for one release.
    pub(super) fn tried(&self, of: impl Fn(&Attempt) -> bool) -> Vec<&'s Sighting> {
        let tried = |s: &&Sighting| s.attempt().phase != MigrationPhase::Revert && of(s.attempt());
        self.attempts.iter().copied().filter(tried).collect()
    }

    /// A success of any confidence counts for a migration that is required.
    fn proof_of(&self, required: &[&'s Sighting], tried: &[&'s Sighting]) -> Proof<'s> {
        let (mut lacking, mut again) = (Vec::new(), Vec::new());
        // From the newest on, so that the first of each migration is its newest attempt.
        let mut seen = Vec::new();
        for newest in required.iter().rev() {
            let migration = &newest.attempt().migration;
            if seen.contains(&migration) {
                continue;
            }
            seen.push(migration);
            let same = |s: &&&Sighting| s.attempt().migration == *migration;
            let succeeded = tried.iter().filter(same).any(|s| self.counts(s));
            match (succeeded, self.counts(newest)) {
                (true, true) => {}
                (true, false) => again.push(newest.attempt()),
                (false, _) => lacking.push(*newest),
            }
        }
        if lacking.is_empty() { Proof::Complete { again } } else { Proof::Lacking(lacking) }
    }
}

/// Those of the attempts for one release that must have succeeded.
///
/// Required is every expand migration that was attempted for the release, explicit or strong. What removes what
/// old code needs is not required by the code of its own release, which works before and after it; it counts
/// where it stands before the rollout and is all that the release has.
pub(super) fn required<'s>(tried: &[&'s Sighting]) -> Vec<&'s Sighting> {
    let of_phase = |phase: MigrationPhase| {
        let required = move |s: &&&'s Sighting| {
            let attempt = s.attempt();
            attempt.phase == phase
                && attempt.may_deny()
                && (phase == MigrationPhase::Expand
                    || !attempt.facts.ordering.has(HookPhase::PostSync))
        };
        tried.iter().filter(required).copied().collect::<Vec<_>>()
    };
    let expanding = of_phase(MigrationPhase::Expand);
    if expanding.is_empty() { of_phase(MigrationPhase::Contract) } else { expanding }
}
