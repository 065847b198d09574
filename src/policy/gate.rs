//! The gate: whether a workload may run the release that it is about to run.
//!
//! Decided where a workload is admitted, since while the migration runs the live workload still runs the old
//! release. Only a real change is gated: what ran yesterday re-applies today.

mod account;
mod contract;
mod evidence;
mod overriding;
mod release;
mod verdict;

use std::fmt;

use jiff::Timestamp;

pub use account::{Account, Bearing, Entry, account};
pub use contract::{Launch, OldRelease};
pub use overriding::{Standing, Voice, needed};
pub use release::{Match, Release, Releases};

use self::evidence::Evidence;
use self::verdict::Gate;
use super::Policy;
use crate::cluster::{
    Attempt, ClusterState, Override, PairedAttempt, PairedWorkload, Sighting, WorkloadFacts,
    pairing,
};
use crate::domain::keys::{self, AuthorValue};
use crate::domain::outcome::Outcome;
use crate::domain::workload::Workload;

/// What is known about one release that a workload is about to run.
#[derive(Clone, Debug)]
pub struct Judgement<'s> {
    /// What it is about.
    pub gated: Gated<'s>,
    /// Whether it may run.
    pub verdict: Verdict<'s>,
    /// What else is worth saying about it.
    pub remarks: Vec<Remark<'s>>,
    /// The overrides without which the release would be held, where nothing else lets it through.
    pub used: Vec<&'s Override>,
    /// What would be known without them: whether it denies is the policy's to say.
    pub unheard: Option<(Verdict<'s>, Vec<Remark<'s>>)>,
    /// Whether the migrations surely belong to the workload. A likely pair never denies.
    pub sure: bool,
}

/// What a judgement is about.
#[derive(Clone, Copy, Debug)]
pub enum Gated<'s> {
    /// A release that a workload is about to run.
    Release(Release<'s>),
    /// An app of which no attempt is in view.
    App(AuthorValue<'s>),
    /// Containers of which nothing tells the one that carries the app's image.
    Containers,
}

impl Gated<'_> {
    /// Field path of what tells the release.
    pub fn path(&self) -> String {
        match self {
            Self::Release(release) => release.path(),
            Self::App(app) => app.path(),
            Self::Containers => "spec.template.spec.containers".to_owned(),
        }
    }
}

/// The release, as a person calls it; nothing where nothing tells which it is.
impl fmt::Display for Gated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(release) => release.fmt(f),
            Self::App(app) => f.write_str(app.value),
            Self::Containers => Ok(()),
        }
    }
}

/// Whether a release may run, and what says so. The first that holds, in this order.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'s> {
    /// A person lets the release through that would be held.
    Bypassed(&'s Override),
    /// A declared contract removed what the release needs.
    Excluded(&'s Attempt),
    /// Every migration required for the release succeeded.
    Proven,
    /// The release that the workload names as its schema floor is proven.
    Floor,
    /// The image ran here before the app's first record.
    RanHere,
    /// Nothing of the app exists yet.
    FirstInstall,
    /// A required migration has not ended.
    Running(&'s Attempt),
    /// A required migration failed, was interrupted, or nobody knows how it ended.
    Ended(&'s Attempt, Outcome),
    /// A required migration succeeded before a time from which, as a person says, nothing counts.
    Invalidated(&'s Attempt, &'s Override),
    /// The newest migration prepared neither this release nor the one that runs now.
    OtherRelease(&'s Attempt),
    /// Whether a migration was made for this release cannot be told.
    Incomparable(&'s Attempt),
    /// The app is known to migrate, and nothing ran for this release.
    NeverRan(&'s Attempt),
    /// Nothing says that this app migrates.
    NotMigrated,
    /// A floating tag says nothing about the release. WG303 says that.
    Floating,
    /// Nothing tells which container carries the app's image.
    Ambiguous,
}

/// What is worth saying whatever the verdict.
#[derive(Clone, Copy, Debug)]
pub enum Remark<'s> {
    /// A migration that had succeeded was tried again, and has failed or still runs.
    TriedAgain(&'s Attempt),
    /// A contract that nobody declared removed what the release needs.
    GuessedContract(&'s Attempt),
    /// A migration of the previous release was not attempted for this one.
    Missing(&'s Attempt),
    /// A tag was pushed again between two attempts: the same tag is two images.
    PushedAgain(&'s Attempt),
    /// A migration that is only guessed to be one has not succeeded.
    Unproven(&'s Attempt, Outcome),
    /// No success is known in the environment that comes before.
    NotUpstream,
}

impl Verdict<'_> {
    /// Whether what happened speaks for the release.
    pub fn is_proof(&self) -> bool {
        matches!(self, Self::Proven | Self::Floor | Self::RanHere)
    }

    /// Whether a rule may hold the release for it.
    pub fn may_hold(&self) -> bool {
        matches!(
            self,
            Self::Excluded(_)
                | Self::Running(_)
                | Self::Ended(..)
                | Self::Invalidated(..)
                | Self::OtherRelease(_)
                | Self::Incomparable(_)
                | Self::NeverRan(_)
        )
    }
}

/// A workload that is about to run, and before an update the one that runs now.
#[derive(Clone, Copy)]
pub struct Change<'w> {
    /// As it will be.
    pub new: &'w Workload<'w>,
    /// As it is; `None` on creation.
    pub old: Option<&'w Workload<'w>>,
    /// Namespace of both.
    pub namespace: &'w str,
}

/// Judges every release that a change brings. Empty where it brings none, and where no migration is in view and the
/// author asked for none.
pub fn judge<'s>(
    change: Change<'s>,
    state: &'s ClusterState,
    policy: &'s Policy,
    now: Timestamp,
) -> Vec<Judgement<'s>> {
    judge_paired(&change.paired(state, policy), change, state, policy, now)
}

/// The same for whoever knows what pairs with the new workload.
pub fn judge_paired<'s>(
    new: &PairedWorkload<'s>,
    change: Change<'s>,
    state: &'s ClusterState,
    policy: &'s Policy,
    now: Timestamp,
) -> Vec<Judgement<'s>> {
    match gate(new, change, state, policy, now) {
        Some(gate) => gate.judge(),
        None => first_install(change, state, policy, now),
    }
}

/// What a change is judged by; `None` where no attempt pairs with either side of it.
fn gate<'s, 'w>(
    new: &PairedWorkload<'s>,
    change: Change<'w>,
    state: &'s ClusterState,
    policy: &'w Policy,
    now: Timestamp,
) -> Option<Gate<'s, 'w>> {
    let old = change.old.map(|old| WorkloadFacts::of(old, change.namespace));
    let (attempts, is_sure) = attempts_of(new, old.as_ref(), state, policy);
    (!attempts.is_empty()).then(|| {
        let overrides = overriding::of_change(&new.facts, old.as_ref(), state, policy, now);
        let evidence = Evidence::new(attempts, overrides.clone(), policy);
        Gate { change, state, policy, now, evidence, overrides, sure: is_sure }
    })
}

impl Change<'_> {
    fn sides(&self) -> Vec<WorkloadFacts> {
        let sides = [Some(self.new), self.old].into_iter().flatten();
        sides.map(|workload| WorkloadFacts::of(workload, self.namespace)).collect()
    }

    /// What pairs with the workload as it will be.
    fn paired<'s>(&self, state: &'s ClusterState, policy: &Policy) -> PairedWorkload<'s> {
        let facts = WorkloadFacts::of(self.new, self.namespace);
        PairedWorkload::of(facts, state, &policy.names)
    }
}

/// The attempts that a change is judged by, and whether they surely pair with either side of it, or only likely: a
/// workload that leaves its pair in the same update is gated all the same.
fn attempts_of<'s>(
    new: &PairedWorkload<'s>,
    old: Option<&WorkloadFacts>,
    state: &'s ClusterState,
    policy: &Policy,
) -> (Vec<&'s Sighting>, bool) {
    let mut found = sure(&new.attempts);
    let old = old.filter(|old| found.is_empty() || !old.surely_pairs_like(&new.facts));
    let old = old.map(|old| pairing::attempts_of(old, state, &policy.names)).unwrap_or_default();
    join(&mut found, sure(&old));
    if !found.is_empty() {
        return (found, true);
    }
    let all = |attempts: &[PairedAttempt<'s>]| attempts.iter().map(|a| a.sighting).collect();
    let mut likely: Vec<&'s Sighting> = all(&new.attempts);
    join(&mut likely, all(&old));
    (likely, false)
}

/// The attempts that surely gate their workload.
fn sure<'s>(attempts: &[PairedAttempt<'s>]) -> Vec<&'s Sighting> {
    let mut sure = Vec::with_capacity(attempts.len());
    sure.extend(attempts.iter().filter(|a| a.reason.is_sure()).map(|a| a.sighting));
    sure
}

/// Adds what is not there yet, in the order in which the Jobs were created.
fn join<'s>(found: &mut Vec<&'s Sighting>, more: Vec<&'s Sighting>) {
    let before = found.len();
    for sighting in more {
        if !found.iter().any(|known| std::ptr::eq(*known, sighting)) {
            found.push(sighting);
        }
    }
    if found.len() > before {
        found.sort_by_key(|s| s.attempt().order());
    }
}

impl Judgement<'_> {
    /// Whether a rule may hold the release for what happened here, or for what did not where it should have run before.
    pub fn is_held(&self) -> bool {
        let upstream = |remark: &Remark<'_>| matches!(remark, Remark::NotUpstream);
        self.verdict.may_hold() || self.remarks.iter().any(upstream)
    }

    /// The same without the overrides that it uses; `None` where it uses none.
    pub fn without_overrides(&self) -> Option<Self> {
        let (verdict, remarks) = self.unheard.clone()?;
        Some(Self { verdict, remarks, used: Vec::new(), unheard: None, ..self.clone() })
    }
}

/// The verdict where no attempt is in view: the first install of an app whose author asked for the gate is told so.
pub fn first_install<'s>(
    change: Change<'s>,
    state: &'s ClusterState,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Judgement<'s>> {
    let Some(app) = change.new.key(keys::APP).filter(|_| change.old.is_none()) else {
        return Vec::new();
    };
    let revisions = state.confirmation().map_or(&[][..], |confirmation| &confirmation.revisions);
    let verdict = if revisions.is_empty() { Verdict::FirstInstall } else { Verdict::NotMigrated };
    let mut judgement = Judgement {
        gated: Gated::App(app),
        verdict,
        remarks: Vec::new(),
        used: Vec::new(),
        unheard: None,
        sure: true,
    };
    if matches!(verdict, Verdict::FirstInstall) && policy.first_install_denies {
        overriding::first_install(&mut judgement, change, state, policy, now);
        judgement.unheard = (!judgement.used.is_empty()).then_some((verdict, Vec::new()));
    }
    vec![judgement]
}

#[cfg(test)]
mod tests;
