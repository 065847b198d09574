//! The registry: every rule is listed here once, and nowhere else.

use super::rule::Rule;

mod concurrent_migration;
mod contract_too_early;
mod downtime_rollout;
mod evictable_migration;
mod evidence_deleted_early;
mod evidence_relabelled;
mod exit_status_lost;
mod failed_before;
mod failures_ignored;
mod floating_image_tag;
mod image_mismatch;
mod immutable_job_reused;
mod long_running_sidecar;
mod malformed_hook_annotation;
mod migration_gates_nothing;
mod migration_in_app_pod;
mod migration_not_completed;
mod missing_active_deadline;
mod missing_readiness_probe;
mod missing_reference;
mod missing_resources;
mod no_database_wait;
mod not_before_rollout;
mod not_proven_upstream;
mod not_tracked;
mod parallel_runners;
mod replace_forced;
mod restarts_in_place;
mod retries_enabled;
mod rollback_past_contract;
mod suspended_migration;
mod verification_out_of_order;
mod wait_exceeds_deadline;
mod wave_contradicts_phase;
mod wave_not_after_migration;

/// Every rule, in the order of their codes.
pub static RULES: &[&Rule] = &[
    &retries_enabled::RULE,
    &missing_active_deadline::RULE,
    &restarts_in_place::RULE,
    &parallel_runners::RULE,
    &suspended_migration::RULE,
    &failures_ignored::RULE,
    &no_database_wait::RULE,
    &wait_exceeds_deadline::RULE,
    &long_running_sidecar::RULE,
    &missing_resources::RULE,
    &exit_status_lost::RULE,
    &evictable_migration::RULE,
    &not_before_rollout::RULE,
    &malformed_hook_annotation::RULE,
    &evidence_deleted_early::RULE,
    &immutable_job_reused::RULE,
    &verification_out_of_order::RULE,
    &wave_not_after_migration::RULE,
    &wave_contradicts_phase::RULE,
    &image_mismatch::RULE,
    &migration_not_completed::RULE,
    &floating_image_tag::RULE,
    &concurrent_migration::RULE,
    &failed_before::RULE,
    &rollback_past_contract::RULE,
    &contract_too_early::RULE,
    &not_proven_upstream::RULE,
    &migration_gates_nothing::RULE,
    &not_tracked::RULE,
    &evidence_relabelled::RULE,
    &downtime_rollout::RULE,
    &missing_readiness_probe::RULE,
    &migration_in_app_pod::RULE,
    &replace_forced::RULE,
    &missing_reference::RULE,
];

/// The rule with a code, whatever the case, or with a name.
pub fn find(code_or_name: &str) -> Option<&'static Rule> {
    let mut rules = RULES.iter().copied();
    rules.find(|rule| rule.code.eq_ignore_ascii_case(code_or_name) || rule.name == code_or_name)
}
