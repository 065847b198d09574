//! The gate's account of itself: what a change is judged by, attempt by attempt, for whoever asks why.
//!
//! It is told by the code that judges, so it cannot say anything else than the verdict does.

use jiff::Timestamp;

use super::evidence::{Proof, Which};
use super::release::{Match, Release, Releases};
use super::verdict::Gate;
use super::{Change, Judgement, Verdict, Voice, first_install, gate, overriding};
use crate::cluster::{ClusterState, PairReason, Sighting, WorkloadFacts, pairing};
use crate::domain::image::ImageRef;
use crate::domain::keys;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;
use crate::policy::Policy;

/// What the gate goes by where it judges a change.
#[derive(Debug)]
pub struct Account<'s> {
    /// What [`judge`](super::judge) says.
    pub judgements: Vec<Judgement<'s>>,
    /// The releases that the workload is about to run, as a person calls them.
    pub releases: Vec<String>,
    /// Every attempt that pairs with the workload, in the order in which their Jobs were created.
    pub entries: Vec<Entry<'s>>,
    /// Names of the containers that carry the app's image.
    pub containers: Vec<String>,
    /// Whether several containers could carry it and nothing tells which.
    pub ambiguous: bool,
    /// What may run for being proven, the newest first.
    pub proven: Vec<Proven>,
    /// The overrides that speak of the workload.
    pub voices: Vec<Voice<'s>>,
}

/// An attempt, and what it means for the releases that a workload is about to run.
#[derive(Debug)]
pub struct Entry<'s> {
    /// The attempt.
    pub sighting: &'s Sighting,
    /// Why it pairs with the workload.
    pub reason: PairReason,
    /// How it bears on each of [`Account::releases`], in their order.
    pub bearings: Vec<Bearing>,
}

/// How an attempt bears on a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// It is a contract that removed what the release needs.
    Excludes,
    /// Its success counts for the release.
    Proves,
    /// Its success counts for the release that the workload names as its schema floor.
    ProvesFloor,
    /// It must succeed, has not, and holds the release.
    Holds,
    /// It has not succeeded; another attempt of the same migration decides.
    Overtaken,
    /// It has not succeeded, and the release is proven all the same.
    Outweighed,
    /// It has not succeeded, and need not.
    NotRequired,
    /// A revert took its success back.
    Withdrawn,
    /// A person said that nothing of its time counts any more.
    Invalidated,
    /// It is of somebody whose Jobs do not count.
    Uncounted,
    /// It is a revert, which takes successes back once it has succeeded and proves nothing.
    Reverts,
    /// It was made for another release.
    OtherRelease,
    /// Whether it was made for the release cannot be told.
    Incomparable,
}

/// A release that is proven for a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Value of `wavegate.dev/release`, where the workload goes by it.
    pub token: Option<String>,
    /// Image of the app's container.
    pub image: String,
}

/// Accounts for what [`judge`](super::judge) says of a change.
pub fn account<'s>(
    change: Change<'s>,
    state: &'s ClusterState,
    policy: &'s Policy,
    now: Timestamp,
) -> Account<'s> {
    let paired = change.paired(state, policy);
    let gate = gate(&paired, change, state, policy, now);
    let judgements = match &gate {
        Some(gate) => gate.judge(),
        None => first_install(change, state, policy, now),
    };
    let (before, new) = match &gate {
        Some(gate) => gate.releases(),
        None => (Releases::default(), Releases::of::<ImageRef>(change.new, &[], &policy.names)),
    };
    let entries = gate.as_ref().map(|gate| gate.entries(&before, &new));
    let proven = gate.as_ref().map(|gate| gate.proven(&before, &new));
    Account {
        judgements,
        releases: new.all.iter().map(ToString::to_string).collect(),
        entries: entries.unwrap_or_default(),
        containers: new.containers().iter().map(|&name| name.to_owned()).collect(),
        ambiguous: new.ambiguous,
        proven: proven.unwrap_or_default(),
        voices: overriding::voices(&change.sides(), &new.all, state, policy, now),
    }
}

impl<'s> Gate<'s, '_> {
    fn entries(&self, before: &Releases<'_>, new: &Releases<'_>) -> Vec<Entry<'s>> {
        let sides = self.change.sides();
        let verdicts: Vec<(&Release<'_>, Verdict<'s>)> =
            new.all.iter().map(|release| (release, self.verdict(release, &before.all))).collect();
        let entry = |sighting: &&'s Sighting| {
            let bearing = |(release, verdict): &(&Release<'_>, Verdict<'s>)| {
                self.bearing(release, *verdict, sighting)
            };
            Some(Entry {
                sighting,
                reason: self.reason(&sides, sighting)?,
                bearings: verdicts.iter().map(bearing).collect(),
            })
        };
        self.evidence.attempts().iter().filter_map(entry).collect()
    }

    /// Why an attempt pairs with either side of the change, a sure reason before a likely one.
    fn reason(&self, sides: &[WorkloadFacts], sighting: &Sighting) -> Option<PairReason> {
        let facts = &sighting.attempt().facts;
        let reasons =
            sides.iter().filter_map(|side| pairing::pair(facts, side, &self.policy.names));
        let mut reasons: Vec<PairReason> = reasons.collect();
        reasons.sort_by_key(|reason| !reason.is_sure());
        reasons.into_iter().next()
    }

    fn bearing(&self, release: &Release<'_>, verdict: Verdict<'s>, of: &'s Sighting) -> Bearing {
        let attempt = of.attempt();
        if matches!(verdict, Verdict::Excluded(by) if by.uid == attempt.uid) {
            return Bearing::Excludes;
        }
        if attempt.phase == MigrationPhase::Revert {
            return Bearing::Reverts;
        }
        match self.compare(release, attempt) {
            Match::Same => self.bearing_on_own(release, verdict, of),
            _ if self.is_of_floor(of) && self.evidence.counts(of) => Bearing::ProvesFloor,
            Match::Different => Bearing::OtherRelease,
            Match::Unknown => Bearing::Incomparable,
        }
    }

    /// How an attempt bears on the release that it was made for.
    fn bearing_on_own(
        &self,
        release: &Release<'_>,
        verdict: Verdict<'s>,
        of: &'s Sighting,
    ) -> Bearing {
        if self.evidence.counts(of) {
            return Bearing::Proves;
        }
        if of.outcome() == Outcome::Succeeded {
            if !self.evidence.is_counted(of) {
                return Bearing::Uncounted;
            }
            let by = self.evidence.invalidated_by(of);
            return if by.is_some() { Bearing::Invalidated } else { Bearing::Withdrawn };
        }
        let same = Which::Of(release, self.policy);
        let is_in = |list: &[&Sighting]| list.iter().any(|s| s.attempt().uid == of.attempt().uid);
        if !is_in(&self.evidence.required(&self.evidence.tried(same))) {
            return Bearing::NotRequired;
        }
        match self.evidence.proof(same) {
            _ if verdict.is_proof() => Bearing::Outweighed,
            Proof::Lacking(lacking) if is_in(&lacking) => Bearing::Holds,
            _ => Bearing::Overtaken,
        }
    }

    fn is_of_floor(&self, sighting: &Sighting) -> bool {
        let floor = self.change.new.key(keys::REQUIRES_RELEASE);
        let names = &self.policy.names;
        floor.is_some_and(|floor| sighting.attempt().is_of_release(floor.value, names))
    }

    /// The releases of the app's own repository that are proven: those that were migrated, and those that ran here
    /// before. A floor proves none, since it is that of what is about to run.
    fn proven(&self, before: &Releases<'_>, new: &Releases<'_>) -> Vec<Proven> {
        let Some(app) = new.all.first() else { return Vec::new() };
        let mut known: Vec<(Option<&str>, &ImageRef)> = Vec::new();
        for sighting in self.evidence.attempts().iter().rev() {
            let facts = &sighting.attempt().facts;
            let token = app.token.and(facts.ties.release.as_deref());
            known.extend(facts.image.iter().map(|image| (token, image)));
        }
        let mut revisions: Vec<_> =
            self.state.confirmation().iter().flat_map(|c| &c.revisions).collect();
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.created));
        known.extend(revisions.iter().flat_map(|r| &r.images).map(|image| (None, image)));
        let mut proven: Vec<Proven> = Vec::new();
        for (token, image) in known {
            let of_app = app.image.is_some_and(|app| self.policy.names.same_repository(app, image));
            let release = Release::unplaced(token, image);
            let verdict = || self.verdict(&release, &before.all);
            let way = Proven { token: token.map(str::to_owned), image: image.to_string() };
            if of_app
                && !self.is_floating(&release)
                && !proven.iter().any(|known| known.image == way.image && known.token == way.token)
                && matches!(verdict(), Verdict::Proven | Verdict::RanHere)
            {
                proven.push(way);
            }
        }
        proven
    }
}
