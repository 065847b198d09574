//! Contracts: removing what old code needs, and when that may be done.

use jiff::Timestamp;

use super::evidence::{Evidence, Moment, Which};
use super::overriding;
use super::release::{Match, Release};
use crate::cluster::{
    Attempt, ClusterState, MigrationFacts, Override, Sighting, WorkloadFacts, pairing,
};
use crate::domain::image::ImageRef;
use crate::domain::job::Job;
use crate::domain::migration::Migration;
use crate::domain::outcome::Outcome;
use crate::policy::Policy;

/// When the oldest release that works after a contract was first proven; order among releases is the order of
/// first successes. Where that release has no success, the contract itself is the border.
pub(super) fn safe_moment<'s>(evidence: &Evidence<'s>, contract: &'s Attempt) -> Moment<'s> {
    let first = match &contract.safe_from {
        Some(release) => evidence.first_success(Which::Called(release)),
        None => evidence.first_success(Which::With(contract)),
    };
    first.unwrap_or((contract.created, contract.created, ""))
}

/// Whether a release is the oldest that works after a contract.
pub(super) fn is_safe_from(contract: &Attempt, release: &Release<'_>, policy: &Policy) -> bool {
    match &contract.safe_from {
        Some(text) => release.is_called(text, &policy.names),
        None => {
            release.compare(&contract.facts, contract.image_id.as_deref(), policy) == Match::Same
        }
    }
}

/// A migration Job that is about to be created, beside what was attempted of its app before.
pub struct Launch<'s> {
    attempt: Attempt,
    evidence: Evidence<'s>,
}

/// Something that runs now and needs the schema that a contract takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldRelease {
    /// What runs: kind and name.
    pub object: String,
    /// Its release.
    pub release: String,
}

impl<'s> Launch<'s> {
    /// Looks up what was attempted of the app of a Job that is created.
    pub fn of(
        job: &Job<'_>,
        namespace: &str,
        state: &'s ClusterState,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let facts = MigrationFacts::of(job, namespace);
        let images = policy.names.by_every_name(facts.image.as_slice());
        let tied = state.attempts().tied(namespace, &facts.ties, &images);
        let of_app = tied
            .into_iter()
            .filter(|s| pairing::same_app(&s.attempt().facts, &facts, &policy.names));
        let of_app: Vec<&Sighting> = of_app.collect();
        let overrides = overriding::of_launch(&facts, &of_app, state, policy, now);
        let evidence = Evidence::new(of_app, overrides, policy);
        drop(images);
        Self { attempt: Attempt::to_come(job, facts), evidence }
    }

    /// The overrides that speak of the Job and are in force.
    pub fn overrides(&self) -> &[&'s Override] {
        self.evidence.overrides()
    }

    /// The same Job by what was attempted and by these overrides alone.
    #[must_use]
    pub fn hearing(&self, overrides: Vec<&'s Override>, policy: &Policy) -> Self {
        let evidence = Evidence::new(self.evidence.attempts().to_vec(), overrides, policy);
        Self { attempt: self.attempt.clone(), evidence }
    }

    /// Whether the Job is a contract, and whether its author said so.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    fn of_this_migration(&self) -> impl DoubleEndedIterator<Item = &'s Sighting> {
        let migration = &self.attempt.migration;
        let attempts = self.evidence.attempts().iter();
        attempts.filter(move |s| s.attempt().migration == *migration).copied()
    }

    /// An attempt of the same migration that has not ended. One whose Job is gone runs no more.
    pub fn active(&self) -> Option<&'s Attempt> {
        let active = |s: &&Sighting| s.has_job() && s.outcome() == Outcome::Running;
        self.of_this_migration().find(active).map(Sighting::attempt)
    }

    /// How many attempts of this migration for this release ended badly since the last one that succeeded, and the
    /// newest of them.
    pub fn failures(&self) -> (usize, Option<&'s Attempt>) {
        let same = |s: &&Sighting| s.attempt().same_release(&self.attempt);
        let of_release = self.of_this_migration().rev().filter(same);
        let attests = self.evidence.attests(Which::With(&self.attempt));
        let attests = attests.into_iter().filter(|one| one.names(&self.attempt.migration));
        let seen_to = attests.map(|one| one.created).max();
        let bad: Vec<&'s Attempt> = of_release
            .take_while(|s| s.outcome() != Outcome::Succeeded)
            .filter(|s| seen_to.is_none_or(|at| s.attempt().created > at))
            .filter(|s| s.outcome() != Outcome::Running)
            .map(Sighting::attempt)
            .collect();
        (bad.len(), bad.first().copied())
    }

    /// What runs now and was not proven at or after the oldest release that works after this contract. Nothing if
    /// the Job is no contract.
    pub fn old_releases(&self, running: &[WorkloadFacts], policy: &Policy) -> Vec<OldRelease> {
        let border = match &self.attempt.safe_from {
            Some(text) => self.evidence.first_success(Which::Called(text)),
            None => self.evidence.first_success(Which::With(&self.attempt)),
        };
        let paired = running
            .iter()
            .filter(|workload| pairing::is_sure(&self.attempt.facts, workload, &policy.names));
        let mut old = Vec::new();
        for workload in paired {
            for release in self.releases_of(workload, policy) {
                let safe = is_safe_from(&self.attempt, &release, policy)
                    || border.is_some_and(|border| {
                        self.position(&release, workload, policy).is_some_and(|at| at >= border)
                    });
                if !safe {
                    let object = format!("{} {}", workload.key.kind, workload.key.name);
                    old.push(OldRelease { object, release: release.to_string() });
                }
            }
        }
        old
    }

    fn position(
        &self,
        release: &Release<'_>,
        workload: &WorkloadFacts,
        policy: &Policy,
    ) -> Option<Moment<'s>> {
        self.evidence.first_success(Which::Of(release, policy)).or_else(|| {
            let floor = workload.floor.as_deref()?;
            self.evidence.first_success(Which::Called(floor))
        })
    }

    /// The releases of the app's containers: those of a repository that migrates, else the only one. Of several
    /// that nothing tells apart none is taken: what is not understood is not refused.
    fn releases_of<'w>(&self, workload: &'w WorkloadFacts, policy: &Policy) -> Vec<Release<'w>> {
        let token = workload.ties.release.as_deref();
        let migrates = |image: &ImageRef| {
            let of = |attempt: &Attempt| {
                attempt
                    .facts
                    .image
                    .as_ref()
                    .is_some_and(|own| policy.names.same_repository(own, image))
            };
            of(&self.attempt) || self.evidence.attempts().iter().any(|s| of(s.attempt()))
        };
        let mut images: Vec<&ImageRef> = workload.images.iter().filter(|i| migrates(i)).collect();
        if images.is_empty()
            && let [only] = workload.images.as_slice()
        {
            images.push(only);
        }
        images.dedup();
        let release = |image| Release::unplaced(token, image);
        images.into_iter().map(release).collect()
    }

    /// Which migration it is, as findings name it.
    pub fn migration(&self) -> &Migration {
        &self.attempt.migration
    }
}
