//! The verdict table.

use jiff::Timestamp;

use super::contract;
use super::evidence::{Evidence, Moment, Proof, Which};
use super::release::{Match, Release, Releases, digest_of};
use super::{Change, Gated, Judgement, Remark, Verdict, overriding, sure};
use crate::cluster::{Attempt, ClusterState, Override, Shared, Sighting, WorkloadFacts, pairing};
use crate::domain::image::ImageRef;
use crate::domain::keys;
use crate::domain::migration::Migration;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;
use crate::domain::workload::Workload;
use crate::policy::Policy;

/// What one change is judged by.
pub(super) struct Gate<'s, 'w> {
    pub(super) change: Change<'w>,
    pub(super) state: &'s ClusterState,
    pub(super) policy: &'w Policy,
    pub(super) now: Timestamp,
    pub(super) evidence: Evidence<'s>,
    /// What persons say of the change, as far as it is in force.
    pub(super) overrides: Vec<&'s Override>,
    pub(super) sure: bool,
}

impl<'s, 'w> Gate<'s, 'w> {
    pub(super) fn judge(&self) -> Vec<Judgement<'s>>
    where
        'w: 's,
    {
        let (before, new) = self.releases();
        let mut judgements =
            if new.ambiguous { self.ambiguous() } else { Vec::with_capacity(new.all.len()) };
        let running = before.all;
        let changed = new
            .all
            .into_iter()
            .filter(|release| !running.iter().any(|old| old.is(release, &self.policy.names)));
        judgements.extend(changed.map(|release| {
            let proof = self.proof(&release);
            let verdict = self.verdict_on(&proof, &release, &running);
            let remarks = self.remarks(&proof, &release, &running, verdict);
            let judgement = Judgement {
                gated: Gated::Release(release),
                verdict,
                remarks,
                used: Vec::new(),
                unheard: None,
                sure: self.sure,
            };
            self.overridden(&release, &running, judgement)
        }));
        judgements
    }

    /// What runs now, and what is about to run.
    pub(super) fn releases(&self) -> (Releases<'w>, Releases<'w>) {
        let names = &self.policy.names;
        let mut images: Vec<&ImageRef> = Vec::new();
        for sighting in self.evidence.attempts() {
            if let Some(image) = &sighting.attempt().facts.image
                && !images.iter().any(|known| names.same_repository(known, image))
            {
                images.push(image);
            }
        }
        let before =
            self.change.old.map(|old| Releases::of(old, &images, names)).unwrap_or_default();
        let new = Releases::after(&before, self.change.new, &images, names);
        (before, new)
    }

    /// Nothing tells which container carries the app's image, so nothing is judged where any image changes.
    fn ambiguous(&self) -> Vec<Judgement<'s>> {
        let images = |workload: &Workload<'_>| WorkloadFacts::of(workload, "").images;
        if self.change.old.is_some_and(|old| images(old) == images(self.change.new)) {
            return Vec::new();
        }
        vec![Judgement {
            gated: Gated::Containers,
            verdict: Verdict::Ambiguous,
            remarks: Vec::new(),
            used: Vec::new(),
            unheard: None,
            sure: false,
        }]
    }

    /// A floating tag proves nothing either way, and is WG303's to report; a token decides without it.
    pub(super) fn is_floating(&self, release: &Release<'_>) -> bool {
        release.token.is_none() && release.image.is_none_or(|image| self.policy.is_floating(image))
    }

    pub(super) fn compare(&self, release: &Release<'_>, attempt: &Attempt) -> Match {
        release.compare(&attempt.facts, attempt.image_id.as_deref(), self.policy)
    }

    fn proof(&self, release: &Release<'_>) -> Proof<'s> {
        self.evidence.proof(Which::Of(release, self.policy))
    }

    pub(super) fn verdict(&self, release: &Release<'_>, running: &[Release<'_>]) -> Verdict<'s> {
        self.verdict_on(&self.proof(release), release, running)
    }

    fn verdict_on(
        &self,
        proof: &Proof<'s>,
        release: &Release<'_>,
        running: &[Release<'_>],
    ) -> Verdict<'s> {
        if self.is_floating(release) {
            return Verdict::Floating;
        }
        if let Some(contract) = self.excluded_by(release, true) {
            return Verdict::Excluded(contract);
        }
        if matches!(proof, Proof::Complete { .. }) {
            return Verdict::Proven;
        }
        if self.floor_is_proven() {
            return Verdict::Floor;
        }
        if self.ran_here(release) {
            let mut contracts = self.evidence.contracts();
            let contract = contracts.find(|c| {
                c.attempt().phase_declared
                    && !contract::is_safe_from(c.attempt(), release, self.policy)
            });
            return contract.map_or(Verdict::RanHere, |c| Verdict::Excluded(c.attempt()));
        }
        if let Proof::Lacking(lacking) = proof {
            return self.held_by(lacking);
        }
        self.nothing_ran(release, running)
    }

    /// Nothing that must succeed was attempted for the release.
    fn nothing_ran(&self, release: &Release<'_>, running: &[Release<'_>]) -> Verdict<'s> {
        let since = self.now - self.policy.known_for;
        let mut known = self.evidence.attempts().iter().rev().map(|s| s.attempt());
        let known = known.by_ref().filter(|a| self.evidence.binds(a) && a.created >= since);
        let known: Vec<&'s Attempt> = known.collect();
        let Some(newest) = known.first().copied() else { return Verdict::NotMigrated };
        let unknown = known.iter().find(|a| self.compare(release, a) == Match::Unknown);
        if let Some(unknown) = unknown {
            return Verdict::Incomparable(unknown);
        }
        let runs_now = running.iter().any(|old| self.compare(old, newest) == Match::Same);
        if runs_now { Verdict::NeverRan(newest) } else { Verdict::OtherRelease(newest) }
    }

    fn floor_is_proven(&self) -> bool {
        let floor = self.change.new.key(keys::REQUIRES_RELEASE);
        floor.is_some_and(|floor| {
            let proof = self.evidence.proof(Which::Called(floor.value));
            matches!(proof, Proof::Complete { .. })
        })
    }

    /// Whether a revision of this workload ran the release before the app's first attempt: what was there before
    /// wavegate looked is taken for good.
    fn ran_here(&self, release: &Release<'_>) -> bool {
        let Some(confirmation) = self.state.confirmation() else { return false };
        let Some(image) = release.image else { return false };
        let first = self.evidence.attempts().first().map(|s| s.attempt().created);
        confirmation.revisions.iter().any(|revision| {
            let has = revision.images.iter().any(|ran| self.policy.names.same(ran, image));
            has && first.is_none_or(|first| revision.created < first)
                && self.evidence.holds_since(release, revision.created)
        })
    }

    /// When the release was first proven, by a success of its own or by its floor's.
    fn position(&self, release: &Release<'_>) -> Option<Moment<'s>> {
        let own = self.evidence.first_success(Which::Of(release, self.policy));
        own.or_else(|| {
            let floor = self.change.new.key(keys::REQUIRES_RELEASE)?;
            self.evidence.first_success(Which::Called(floor.value))
        })
    }

    /// The contract in force that removed what the release needs. Declared contracts and guessed ones are asked for
    /// apart.
    fn excluded_by(&self, release: &Release<'_>, declared: bool) -> Option<&'s Attempt> {
        let contracts = self.evidence.contracts().map(Sighting::attempt);
        let mut contracts = contracts.filter(|contract| contract.phase_declared == declared);
        contracts.find(|contract| {
            let before = contract::safe_moment(&self.evidence, contract);
            !contract::is_safe_from(contract, release, self.policy)
                && self.position(release).is_some_and(|position| position < before)
        })
    }

    fn remarks(
        &self,
        proof: &Proof<'s>,
        release: &Release<'_>,
        running: &[Release<'_>],
        verdict: Verdict<'s>,
    ) -> Vec<Remark<'s>> {
        let mut remarks = Vec::new();
        if matches!(verdict, Verdict::Floating) {
            return remarks;
        }
        if let (Verdict::Proven, Proof::Complete { again }) = (verdict, proof) {
            remarks.extend(again.iter().map(|attempt| Remark::TriedAgain(attempt)));
            remarks.extend(self.missing(release, running).into_iter().map(Remark::Missing));
        }
        if !matches!(verdict, Verdict::Excluded(_)) {
            remarks.extend(self.excluded_by(release, false).map(Remark::GuessedContract));
        }
        remarks.extend(self.pushed_again(release));
        if matches!(verdict, Verdict::NotMigrated) {
            remarks.extend(self.unproven(release));
        }
        if self.policy.upstream.is_some() && !self.is_proven_upstream(release) {
            remarks.push(Remark::NotUpstream);
        }
        remarks
    }

    /// The expand migrations of the release that runs now that were not attempted for a newer one.
    fn missing(&self, release: &Release<'_>, running: &[Release<'_>]) -> Vec<&'s Attempt> {
        let mut missing: Vec<&'s Attempt> = Vec::new();
        for old in running {
            let dropped: Vec<&'s Attempt> = self.dropped(old, release).collect();
            // Few releases drop any, and order among releases is looked up in all that succeeded.
            if dropped.is_empty() || self.position(release) <= self.position(old) {
                continue;
            }
            for attempt in dropped {
                if !missing.iter().any(|known| known.migration == attempt.migration) {
                    missing.push(attempt);
                }
            }
        }
        missing
    }

    /// The expand attempts of an old release whose migrations were neither attempted nor attested for the new one,
    /// from the newest on.
    fn dropped<'a>(
        &'a self,
        old: &'a Release<'_>,
        release: &'a Release<'_>,
    ) -> impl Iterator<Item = &'s Attempt> + 'a {
        let attempts = || self.evidence.attempts().iter().rev().map(|s| s.attempt());
        let was_tried = move |migration: &Shared<Migration>| {
            let mut others = attempts().filter(|other| other.migration == *migration);
            others.any(|other| self.compare(release, other) == Match::Same)
        };
        let is_attested = |migration: &Migration| {
            let attests = self.evidence.attests(Which::Of(release, self.policy));
            attests.iter().any(|one| one.names(migration))
        };
        attempts().filter(move |attempt| {
            self.compare(old, attempt) == Match::Same
                && attempt.phase == MigrationPhase::Expand
                && self.evidence.binds(attempt)
                && !was_tried(&attempt.migration)
                && !is_attested(&attempt.migration)
        })
    }

    /// The newest attempt of this tag if an earlier one ran another image under it.
    fn pushed_again(&self, release: &Release<'_>) -> Option<Remark<'s>> {
        let image = release.image.filter(|image| image.digest().is_none())?;
        let ran = |s: &&'s Sighting| {
            let attempt = s.attempt();
            attempt.facts.image.as_ref().filter(|ran| **ran == *image)?;
            Some((attempt, digest_of(attempt.image_id.as_deref()?)?))
        };
        let mut runs = self.evidence.attempts().iter().rev().filter_map(ran);
        let (newest, digest) = runs.next()?;
        runs.any(|(_, other)| other != digest).then_some(Remark::PushedAgain(newest))
    }

    /// An attempt for the release that has not succeeded and is no more than a guess.
    fn unproven(&self, release: &Release<'_>) -> Option<Remark<'s>> {
        let mut attempts = self.evidence.attempts().iter().rev();
        let found = attempts.find(|s| self.compare(release, s.attempt()) == Match::Same)?;
        (found.outcome() != Outcome::Succeeded && !found.attempt().may_deny())
            .then(|| Remark::Unproven(found.attempt(), found.outcome()))
    }

    /// Whether the release is proven in the namespace of the environment that comes before, by what counts there.
    fn is_proven_upstream(&self, release: &Release<'_>) -> bool {
        let Some(upstream) = &self.policy.upstream else { return true };
        let mut facts = WorkloadFacts::of(self.change.new, upstream);
        // Applications and instances are named differently in every environment.
        (facts.ties.application, facts.ties.instance) = (None, None);
        let attempts = sure(&pairing::attempts_of(&facts, self.state, &self.policy.names));
        let overrides = overriding::of_change(&facts, None, self.state, self.policy, self.now);
        let evidence = Evidence::new(attempts, overrides, self.policy);
        matches!(evidence.proof(Which::Of(release, self.policy)), Proof::Complete { .. })
    }

    /// What keeps required migrations from being proven: one that runs before one that ended.
    fn held_by(&self, lacking: &[&'s Sighting]) -> Verdict<'s> {
        let running = lacking.iter().find(|s| s.outcome() == Outcome::Running);
        let Some(sighting) = running.or(lacking.first()) else { return Verdict::NotMigrated };
        let attempt = sighting.attempt();
        match (sighting.outcome(), self.evidence.invalidated_by(sighting)) {
            (Outcome::Running, _) => Verdict::Running(attempt),
            (_, Some(by)) => Verdict::Invalidated(attempt, by),
            (outcome, None) => Verdict::Ended(attempt, outcome),
        }
    }
}
