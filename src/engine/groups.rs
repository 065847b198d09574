//! The catalogue's checks, grouped once by the subject that they read.

use std::sync::LazyLock;

use super::Decision;
use crate::domain::job::Job;
use crate::domain::manifest::CronJobManifest;
use crate::domain::workload::Workload;
use crate::policy::gate::{Judgement, Launch};
use crate::policy::rules::RULES;
use crate::policy::{Check, Context, Policy, Problems, Rule, Severity};

pub(super) type JobCheck = fn(&Job<'_>, &Context<'_>, &mut Problems);
pub(super) type WorkloadCheck = fn(&Workload<'_>, &Context<'_>, &mut Problems);
type CronJobCheck = fn(&CronJobManifest<'_>, &Context<'_>, &mut Problems);
type RolloutCheck = fn(&Judgement<'_>, &Context<'_>, &mut Problems);
type LaunchCheck = fn(&Job<'_>, &Launch<'_>, &Context<'_>, &mut Problems);
type JobUpdateCheck = fn(&Job<'_>, &Job<'_>, &mut Problems);

/// The checks of one subject with their rules, in the catalogue's order.
pub(super) struct Group<C>(Vec<(&'static Rule, C)>);

macro_rules! group {
    ($name:ident, $check:ident: $function:ty) => {
        pub(super) static $name: LazyLock<Group<$function>> = LazyLock::new(|| {
            Group::select(|check| match check {
                Check::$check(function) => Some(*function),
                _ => None,
            })
        });
    };
}

group!(MIGRATION, Migration: JobCheck);
group!(VERIFICATION, Verification: JobCheck);
group!(CREATED_JOB, CreatedJob: JobCheck);
group!(JOB_UPDATE, JobUpdate: JobUpdateCheck);
group!(WORKLOAD, Workload: WorkloadCheck);
group!(ANY_WORKLOAD, AnyWorkload: WorkloadCheck);
group!(ROLLOUT, Rollout: RolloutCheck);
group!(LAUNCH, Launch: LaunchCheck);
group!(CRON_JOB, CronJob: CronJobCheck);

impl<C> Group<C> {
    fn select(check: impl Fn(&Check) -> Option<C>) -> Self {
        let of_rule = |rule: &'static Rule| {
            let checks = rule.checks.iter().filter_map(&check);
            checks.map(move |check| (rule, check))
        };
        Self(RULES.iter().copied().flat_map(of_rule).collect())
    }

    /// Applies the checks of the rules that are not switched off. What a rule finds denies only if
    /// `may_deny` says so of the rule.
    pub(super) fn check(
        &self,
        policy: &Policy,
        decision: &mut Decision,
        may_deny: impl Fn(&Rule) -> bool,
        apply: impl Fn(&C, &mut Problems),
    ) {
        self.each(policy, apply, |rule, severity, found| {
            decision.add(rule, severity, may_deny(rule), found);
        });
    }

    /// Applies checks about what has happened.
    pub(super) fn check_gate(
        &self,
        policy: &Policy,
        decision: &mut Decision,
        may_deny: bool,
        apply: impl Fn(&C, &mut Problems),
    ) {
        self.each(policy, apply, |rule, severity, found| {
            decision.add_of_gate(rule, severity, may_deny, found);
        });
    }

    fn each(
        &self,
        policy: &Policy,
        apply: impl Fn(&C, &mut Problems),
        mut add: impl FnMut(&'static Rule, Severity, &mut Problems),
    ) {
        let mut found = Problems::default();
        for (rule, check) in &self.0 {
            let severity = policy.severity(rule);
            if severity == Severity::Off {
                continue;
            }
            apply(check, &mut found);
            if !found.is_empty() {
                add(rule, severity, &mut found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_in_one_group() {
        let grouped = MIGRATION.0.len()
            + VERIFICATION.0.len()
            + CREATED_JOB.0.len()
            + JOB_UPDATE.0.len()
            + WORKLOAD.0.len()
            + ANY_WORKLOAD.0.len()
            + CRON_JOB.0.len()
            + ROLLOUT.0.len()
            + LAUNCH.0.len();
        assert_eq!(grouped, RULES.iter().map(|rule| rule.checks.len()).sum::<usize>());
    }
}
