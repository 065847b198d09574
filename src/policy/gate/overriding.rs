//! Where a person's word decides: which overrides speak of a change, and what each of them let through.

use jiff::Timestamp;

use super::evidence::{Evidence, Which};
use super::release::Release;
use super::verdict::Gate;
use super::{Change, Judgement, Remark, Verdict};
use crate::cluster::{ClusterState, MigrationFacts, Override, Sighting, WorkloadFacts, pairing};
use crate::domain::gate_override::OverrideKind;
use crate::domain::keys;
use crate::policy::Policy;

/// The overrides of a namespace that speak of a change and are in force.
///
/// What lets through must speak of the workload as it will be. What takes evidence away may speak of either side, and
/// a retirement must of both: whoever moves a workload from one app to another in the same update retires neither.
pub(super) fn of_change<'s>(
    facts: &WorkloadFacts,
    old: Option<&WorkloadFacts>,
    state: &'s ClusterState,
    policy: &Policy,
    now: Timestamp,
) -> Vec<&'s Override> {
    let sides = Sides { state, policy };
    let speaks = |one: &&Override| {
        let new = sides.speaks(one, facts);
        let before = old.map(|old| sides.speaks(one, old));
        let speaks = match one.kind() {
            OverrideKind::Bypass | OverrideKind::Attest => new,
            OverrideKind::Invalidate => new || before == Some(true),
            OverrideKind::Retire => new && before != Some(false),
        };
        speaks && one.is_in_force(now, policy.longest_bypass)
    };
    state.overrides().of_namespace(&facts.key.namespace).filter(speaks).collect()
}

/// Who an override may speak of.
struct Sides<'a> {
    state: &'a ClusterState,
    policy: &'a Policy,
}

impl Sides<'_> {
    /// Whether an override speaks of a workload: by what that says of itself, or by the app of a migration that surely
    /// pairs with it. A pair may carry the label on one side alone, and records are called by the migration's.
    fn speaks(&self, one: &Override, workload: &WorkloadFacts) -> bool {
        let names = &self.policy.names;
        if one.concerns(workload, names) {
            return true;
        }
        if one.spec.app.is_none() || one.namespace != workload.key.namespace {
            return false;
        }
        let attempts = self.state.attempts().tied_to(workload, names);
        attempts.into_iter().map(|sighting| &sighting.attempt().facts).any(|facts| {
            is_app_of(one, facts, self.policy) && pairing::is_sure(facts, workload, names)
        })
    }
}

fn is_app_of(one: &Override, migration: &MigrationFacts, policy: &Policy) -> bool {
    one.namespace == migration.key.namespace
        && one.is_of_app(&migration.ties, migration.image.as_slice(), &policy.names)
}

/// How an override bears on a change, for whoever asks why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It applies to a release that the workload is about to run, or to the whole app.
    Applies,
    /// It has expired.
    Expired,
    /// It speaks of another release.
    OtherRelease,
}

/// An override that speaks of a workload, and whether it applies.
#[derive(Clone, Copy, Debug)]
pub struct Voice<'s> {
    /// The override.
    pub of: &'s Override,
    /// Whether it applies.
    pub standing: Standing,
    /// When it counts no more.
    pub until: Option<Timestamp>,
}

/// Every override that speaks of a workload, by name.
pub(super) fn voices<'s>(
    sides: &[WorkloadFacts],
    releases: &[Release<'_>],
    state: &'s ClusterState,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Voice<'s>> {
    let longest = policy.longest_bypass;
    let said = Sides { state, policy };
    let Some(namespace) = sides.first().map(|side| side.key.namespace.as_str()) else {
        return Vec::new();
    };
    let speaks = |one: &&Override| sides.iter().any(|side| said.speaks(one, side));
    let voice = |one: &'s Override| Voice {
        of: one,
        until: one.until(longest),
        standing: if !one.is_in_force(now, longest) {
            Standing::Expired
        } else if one.release().is_none()
            || releases.iter().any(|r| r.is_named_by(one, &policy.names))
        {
            Standing::Applies
        } else {
            Standing::OtherRelease
        },
    };
    state.overrides().of_namespace(namespace).filter(speaks).map(voice).collect()
}

impl<'s, 'w> Gate<'s, 'w> {
    /// What a person makes of a judgement, and the overrides without which the release would be held. What is proven
    /// stays so: a Bypass only spares it the environment that comes before.
    pub(super) fn overridden(
        &self,
        release: &Release<'_>,
        running: &[Release<'w>],
        mut judgement: Judgement<'s>,
    ) -> Judgement<'s> {
        let verdict = judgement.verdict;
        if self.overrides.is_empty() || matches!(verdict, Verdict::Floating) {
            return judgement;
        }
        if judgement.is_held() {
            let Some(bypass) = bypass(&self.overrides, release, self.policy) else {
                return judgement;
            };
            judgement.unheard = Some((verdict, judgement.remarks.clone()));
            judgement.remarks.retain(|remark| !matches!(remark, Remark::NotUpstream));
            judgement.used = vec![bypass];
            if verdict.may_hold() {
                judgement.verdict = Verdict::Bypassed(bypass);
            }
            return judgement;
        }
        let unheard = self.hearing(Vec::new()).verdict(release, running);
        if unheard.may_hold() {
            judgement.unheard = Some((unheard, judgement.remarks.clone()));
            judgement.used = self.decisive(release, running);
        }
        judgement
    }

    /// The same change by what was attempted and by these overrides alone.
    fn hearing(&self, overrides: Vec<&'s Override>) -> Self {
        let attempts = self.evidence.attempts().to_vec();
        let evidence = Evidence::new(attempts, overrides.clone(), self.policy);
        Gate { evidence, overrides, ..*self }
    }

    /// Of the overrides that speak of evidence those without which the release would be held.
    fn decisive(&self, release: &Release<'_>, running: &[Release<'w>]) -> Vec<&'s Override> {
        let words = self.overrides.iter().copied();
        let words: Vec<&'s Override> = words.filter(|o| o.kind() != OverrideKind::Bypass).collect();
        needed(&words, |others| self.hearing(others).verdict(release, running).may_hold())
    }
}

/// Of overrides that let something through together, those without which it would be held; all of them where each could
/// be spared.
pub fn needed<'s>(
    words: &[&'s Override],
    holds: impl Fn(Vec<&'s Override>) -> bool,
) -> Vec<&'s Override> {
    let is_needed = |one: &&&'s Override| {
        holds(words.iter().copied().filter(|other| other.name != one.name).collect())
    };
    let needed: Vec<&'s Override> = words.iter().filter(is_needed).copied().collect();
    if needed.is_empty() { words.to_vec() } else { needed }
}

/// The Bypass of a release.
pub(super) fn bypass<'s>(
    overrides: &[&'s Override],
    release: &Release<'_>,
    policy: &Policy,
) -> Option<&'s Override> {
    let bypasses = |one: &&&Override| {
        one.kind() == OverrideKind::Bypass && release.is_named_by(one, &policy.names)
    };
    overrides.iter().find(bypasses).copied()
}

/// What a person makes of an app's first install, which the policy refuses: its schema was made elsewhere, or it has
/// none, or it must run all the same.
pub(super) fn first_install<'s>(
    judgement: &mut Judgement<'s>,
    change: Change<'_>,
    state: &'s ClusterState,
    policy: &Policy,
    now: Timestamp,
) {
    let facts = WorkloadFacts::of(change.new, change.namespace);
    let overrides = of_change(&facts, None, state, policy, now);
    let retired = overrides.iter().find(|one| one.kind() == OverrideKind::Retire);
    if let Some(&retired) = retired {
        (judgement.verdict, judgement.used) = (Verdict::NotMigrated, vec![retired]);
        return;
    }
    // Without a migration nothing tells which container is the app's: the person does.
    let token = change.new.key(keys::RELEASE).map(|key| key.value);
    let release = |image| Release::unplaced(token, image);
    let releases: Vec<Release<'_>> = facts.images.iter().map(release).collect();
    let evidence = Evidence::new(Vec::new(), overrides.clone(), policy);
    for release in &releases {
        if let Some(&attest) = evidence.attests(Which::Of(release, policy)).first() {
            (judgement.verdict, judgement.used) = (Verdict::Proven, vec![attest]);
        } else if let Some(bypass) = bypass(&overrides, release, policy) {
            (judgement.verdict, judgement.used) = (Verdict::Bypassed(bypass), vec![bypass]);
        }
    }
}

/// The overrides in force that speak of a migration Job which is about to be created, beside the attempts of its app.
/// One that names a workload, or an app by the workload's label alone, does where that workload runs now and pairs with
/// the Job.
pub(super) fn of_launch<'s>(
    job: &MigrationFacts,
    of_app: &[&Sighting],
    state: &'s ClusterState,
    policy: &Policy,
    now: Timestamp,
) -> Vec<&'s Override> {
    let running = state.confirmation().map_or(&[][..], |confirmation| &confirmation.running);
    let paired = running.iter().filter(|workload| pairing::is_sure(job, workload, &policy.names));
    let paired: Vec<&WorkloadFacts> = paired.collect();
    let speaks = |one: &&Override| {
        let speaks = is_app_of(one, job, policy)
            || of_app.iter().any(|s| is_app_of(one, &s.attempt().facts, policy))
            || paired.iter().any(|workload| one.concerns(workload, &policy.names));
        speaks && one.is_in_force(now, policy.longest_bypass)
    };
    state.overrides().of_namespace(&job.key.namespace).filter(speaks).collect()
}
