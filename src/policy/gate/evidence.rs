//! What the attempts at an app's migrations prove, and what persons say of them.
//!
//! Evidence is monotone: a success is not undone by a later attempt that failed or still runs. Only a successful
//! revert takes successes back, and an `Invalidate` override does.

use jiff::Timestamp;

use super::release::{Match, Release};
use crate::cluster::{Attempt, Override, Sighting};
use crate::domain::argocd::HookPhase;
use crate::domain::gate_override::OverrideKind;
use crate::domain::names::ImageNames;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;
use crate::policy::Policy;

/// A moment among the ends of attempts.
pub(super) type Moment<'s> = (Timestamp, Timestamp, &'s str);

/// Whose evidence is asked for.
#[derive(Clone, Copy)]
pub(super) enum Which<'a> {
    /// A release that a workload brings.
    Of(&'a Release<'a>, &'a Policy),
    /// The release that an author calls so.
    Called(&'a str),
    /// The release that an attempt was made for.
    With(&'a Attempt),
}

impl Which<'_> {
    fn has(self, attempt: &Attempt, names: &ImageNames) -> bool {
        match self {
            Self::Of(release, policy) => {
                let image_id = attempt.image_id.as_deref();
                release.compare(&attempt.facts, image_id, policy) == Match::Same
            }
            Self::Called(text) => attempt.is_of_release(text, names),
            Self::With(other) => attempt.same_release(other),
        }
    }

    pub(super) fn is_named_by(self, one: &Override, names: &ImageNames) -> bool {
        match self {
            Self::Of(release, _) => release.is_named_by(one, names),
            Self::Called(text) => one.is_called(text, names),
            Self::With(attempt) => one.is_release_of(attempt, names),
        }
    }
}

/// What takes successes back.
#[derive(Clone, Copy)]
enum Taker<'s> {
    Revert,
    Person(&'s Override),
}

/// What speaks for a release: an attempt that succeeded, or a person's word for it.
#[derive(Clone, Copy)]
enum Success<'s> {
    Attempt(&'s Sighting),
    Attest(&'s Override),
}

impl<'s> Success<'s> {
    fn moment(self) -> Moment<'s> {
        match self {
            Self::Attempt(sighting) => sighting.attempt().end_order(),
            Self::Attest(one) => (one.created, one.created, &one.name),
        }
    }

    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Attempt(one), Self::Attempt(other)) => one.attempt().uid == other.attempt().uid,
            (Self::Attest(one), Self::Attest(other)) => one.name == other.name,
            _ => false,
        }
    }
}

/// The attempts that surely belong to one app, in the order in which their Jobs were created, and the overrides in
/// force that speak of it.
pub(super) struct Evidence<'s> {
    attempts: Vec<&'s Sighting>,
    overrides: Vec<&'s Override>,
    /// Successes that count no more.
    withdrawn: Vec<(Success<'s>, Taker<'s>)>,
    /// UIDs of attempts of somebody whose Jobs prove nothing and take nothing back.
    uncounted: Vec<&'s str>,
    /// The further names of images, by which people may call them. Floating tags are no matter here.
    names: ImageNames,
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
    /// What was attempted, and of what persons say what concerns it and is in force.
    pub(super) fn new(
        attempts: Vec<&'s Sighting>,
        overrides: Vec<&'s Override>,
        policy: &Policy,
    ) -> Self {
        let strange = attempts.iter().filter(|s| !policy.trusts(s.attempt()));
        let uncounted = strange.map(|s| s.attempt().uid.as_str()).collect();
        let names = ImageNames { floating: Vec::new(), aliases: policy.names.aliases.clone() };
        let mut evidence = Self { attempts, overrides, withdrawn: Vec::new(), uncounted, names };
        for (moment, taker) in evidence.takers() {
            let taken = evidence.taken_by(taker, moment);
            evidence.withdrawn.extend(taken.into_iter().map(|success| (success, taker)));
        }
        evidence
    }

    /// What takes successes back, in the order in which it does: a revert after a restore speaks of what succeeded
    /// since.
    fn takers(&self) -> Vec<(Moment<'s>, Taker<'s>)> {
        let reverts = self.succeeded(MigrationPhase::Revert);
        let reverts = reverts.map(|s| (s.attempt().end_order(), Taker::Revert));
        let persons = self.of_kind(OverrideKind::Invalidate);
        let persons = persons.map(|one| ((one.cutoff(), Timestamp::MIN, ""), Taker::Person(one)));
        let mut takers: Vec<_> = reverts.chain(persons).collect();
        takers.sort_by_key(|(moment, _)| *moment);
        takers
    }

    fn taken_by(&self, taker: Taker<'s>, moment: Moment<'s>) -> Vec<Success<'s>> {
        let standing: Vec<Success<'s>> =
            self.standing().into_iter().filter(|success| success.moment() < moment).collect();
        let Taker::Person(one) = taker else { return self.newest_release(&standing) };
        let meant = |success: &Success<'s>| {
            one.release().is_none()
                || match success {
                    Success::Attempt(sighting) => {
                        one.is_release_of(sighting.attempt(), &self.names)
                    }
                    Success::Attest(other) => self.name_one_release(one, other),
                }
        };
        standing.into_iter().filter(meant).collect()
    }

    /// Every success that counts, but of reverts.
    fn standing(&self) -> Vec<Success<'s>> {
        let counts = |s: &&&Sighting| self.counts(s) && s.attempt().phase != MigrationPhase::Revert;
        let attempts = self.attempts.iter().filter(counts).map(|s| Success::Attempt(s));
        let attests = self.of_kind(OverrideKind::Attest).map(Success::Attest);
        attempts.chain(attests.filter(|attest| self.taker(*attest).is_none())).collect()
    }

    fn taker(&self, success: Success<'_>) -> Option<Taker<'s>> {
        let mut withdrawn = self.withdrawn.iter();
        withdrawn.find(|(taken, _)| taken.is(success)).map(|(_, taker)| *taker)
    }

    pub(super) fn of_kind(&self, kind: OverrideKind) -> impl Iterator<Item = &'s Override> {
        self.overrides.iter().copied().filter(move |one| one.kind() == kind)
    }

    pub(super) fn overrides(&self) -> &[&'s Override] {
        &self.overrides
    }

    pub(super) fn attempts(&self) -> &[&'s Sighting] {
        &self.attempts
    }

    /// Whether a success still counts.
    pub(super) fn counts(&self, sighting: &Sighting) -> bool {
        let taken = |(success, _): &(Success<'s>, Taker<'s>)| matches!(success, Success::Attempt(taken) if taken.attempt().uid == sighting.attempt().uid);
        sighting.outcome() == Outcome::Succeeded
            && self.is_counted(sighting)
            && !self.withdrawn.iter().any(taken)
    }

    /// Whether an attempt is of somebody whose Jobs count.
    pub(super) fn is_counted(&self, sighting: &Sighting) -> bool {
        !self.uncounted.contains(&sighting.attempt().uid.as_str())
    }

    /// The override that took a success back.
    pub(super) fn invalidated_by(&self, sighting: &'s Sighting) -> Option<&'s Override> {
        match self.taker(Success::Attempt(sighting))? {
            Taker::Person(one) => Some(one),
            Taker::Revert => None,
        }
    }

    fn succeeded(&self, phase: MigrationPhase) -> impl Iterator<Item = &'s Sighting> {
        let of_phase = move |s: &&&'s Sighting| {
            s.attempt().phase == phase && s.outcome() == Outcome::Succeeded && self.is_counted(s)
        };
        self.attempts.iter().filter(of_phase).copied()
    }

    /// Whether an attempt still requires something: none does that is older than the app's retirement.
    pub(super) fn binds(&self, attempt: &Attempt) -> bool {
        attempt.may_deny()
            && !self.of_kind(OverrideKind::Retire).any(|one| attempt.created <= one.created)
    }

    /// Whether what a release ran at that time still speaks for it.
    pub(super) fn holds_since(&self, release: &Release<'_>, created: Timestamp) -> bool {
        !self.of_kind(OverrideKind::Invalidate).any(|one| {
            created < one.cutoff()
                && (one.release().is_none() || release.is_named_by(one, &self.names))
        })
    }

    /// The persons' words for a release that count.
    pub(super) fn attests(&self, which: Which<'_>) -> Vec<&'s Override> {
        let attests = self.of_kind(OverrideKind::Attest);
        let attests = attests.filter(|one| which.is_named_by(one, &self.names));
        attests.filter(|one| self.taker(Success::Attest(one)).is_none()).collect()
    }

    /// When the first success that counts among these attempts ended.
    pub(super) fn first_success(&self, which: Which<'_>) -> Option<Moment<'s>> {
        let of_release = |success: &Success<'s>| match success {
            Success::Attempt(sighting) => which.has(sighting.attempt(), &self.names),
            Success::Attest(one) => which.is_named_by(one, &self.names),
        };
        self.standing().into_iter().filter(of_release).map(Success::moment).min()
    }

    /// The contracts in force: successes that count.
    pub(super) fn contracts(&self) -> impl Iterator<Item = &'s Sighting> {
        self.succeeded(MigrationPhase::Contract).filter(|contract| self.counts(contract))
    }

    /// What the attempts of one release prove.
    pub(super) fn proof(&self, which: Which<'_>) -> Proof<'s> {
        let tried = self.tried(which);
        let attests = self.attests(which);
        let required = self.required(&tried);
        if required.is_empty() {
            let proven = !attests.is_empty() || tried.iter().any(|s| self.counts(s));
            return if proven { Proof::Complete { again: Vec::new() } } else { Proof::Nothing };
        }
        self.proof_of(&required, &tried, &attests)
    }

    /// The attempts made for one release.
    pub(super) fn tried(&self, which: Which<'_>) -> Vec<&'s Sighting> {
        let tried = |s: &&Sighting| {
            let attempt = s.attempt();
            attempt.phase != MigrationPhase::Revert && which.has(attempt, &self.names)
        };
        self.attempts.iter().copied().filter(tried).collect()
    }

    /// A success of any confidence counts for a migration that is required, and so does a person's word.
    fn proof_of(
        &self,
        required: &[&'s Sighting],
        tried: &[&'s Sighting],
        attests: &[&'s Override],
    ) -> Proof<'s> {
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
            let attested = attests.iter().filter(|one| one.names(migration));
            let attested = attested.map(|one| one.created).max();
            match (succeeded || attested.is_some(), self.counts(newest)) {
                (true, true) => {}
                // What failed before a person saw to it is what he saw to.
                (true, false) if attested.is_some_and(|at| newest.attempt().created <= at) => {}
                (true, false) => again.push(newest.attempt()),
                (false, _) => lacking.push(*newest),
            }
        }
        if lacking.is_empty() { Proof::Complete { again } } else { Proof::Lacking(lacking) }
    }

    /// Those of the attempts for one release that must have succeeded.
    ///
    /// Required is every expand migration that was attempted for the release, explicit or strong. What removes what
    /// old code needs is not required by the code of its own release, which works before and after it; it counts
    /// where it stands before the rollout and is all that the release has.
    pub(super) fn required(&self, tried: &[&'s Sighting]) -> Vec<&'s Sighting> {
        let of_phase = |phase: MigrationPhase| {
            let required = move |s: &&&'s Sighting| {
                let attempt = s.attempt();
                attempt.phase == phase
                    && self.binds(attempt)
                    && (phase == MigrationPhase::Expand
                        || !attempt.facts.ordering.has(HookPhase::PostSync))
            };
            tried.iter().filter(required).copied().collect::<Vec<_>>()
        };
        let expanding = of_phase(MigrationPhase::Expand);
        if expanding.is_empty() { of_phase(MigrationPhase::Contract) } else { expanding }
    }

    /// The successes of the release that was first proven last among these: what a revert then takes back.
    fn newest_release(&self, successes: &[Success<'s>]) -> Vec<Success<'s>> {
        let same = |one: Success<'s>| {
            successes.iter().copied().filter(move |other| self.same_release(*other, one))
        };
        let first_of = |one: Success<'s>| same(one).map(Success::moment).min();
        let newest = successes.iter().copied().max_by_key(|one| first_of(*one));
        newest.map(|newest| same(newest).collect()).unwrap_or_default()
    }

    fn same_release(&self, one: Success<'s>, other: Success<'s>) -> bool {
        match (one, other) {
            (Success::Attempt(one), Success::Attempt(other)) => {
                one.attempt().same_release(other.attempt())
            }
            (Success::Attest(one), Success::Attest(other)) => self.name_one_release(one, other),
            (Success::Attempt(attempt), Success::Attest(one))
            | (Success::Attest(one), Success::Attempt(attempt)) => {
                one.is_release_of(attempt.attempt(), &self.names)
            }
        }
    }

    /// Whether two persons mean one release: by what they write, or since one attempt was made for both.
    fn name_one_release(&self, one: &Override, other: &Override) -> bool {
        let both = |s: &&Sighting| {
            one.is_release_of(s.attempt(), &self.names)
                && other.is_release_of(s.attempt(), &self.names)
        };
        one.same_release(other, &self.names) || self.attempts.iter().any(both)
    }
}
