//! What the gate's words mean, in a sentence.

use crate::domain::outcome::Outcome;
use crate::policy::gate::{Bearing, Judgement, Verdict};

/// Name in JSON, whether the attempt counts for the release, and the same for a person.
pub(super) fn bearing(bearing: Bearing, outcome: Outcome) -> (&'static str, bool, &'static str) {
    match bearing {
        Bearing::Proves => ("proves", true, "counts: it proves this release"),
        Bearing::ProvesFloor => {
            ("proves-floor", true, "counts: the workload requires that release, no newer one")
        }
        Bearing::Excludes => {
            ("excludes", false, "holds: this contract removed what the release needs")
        }
        Bearing::Holds if outcome == Outcome::Running => {
            ("holds", false, "holds: it must complete before the rollout")
        }
        Bearing::Holds => {
            ("holds", false, "holds: it must succeed before the rollout, and has not")
        }
        Bearing::Overtaken => {
            ("overtaken", false, "does not count: another attempt of the same migration decides")
        }
        Bearing::Outweighed => {
            ("outweighed", false, "does not count: the release is proven all the same")
        }
        Bearing::NotRequired => ("not-required", false, "does not count: nothing requires it"),
        Bearing::Withdrawn => ("withdrawn", false, "does not count: a revert took it back"),
        Bearing::Invalidated => {
            ("invalidated", false, "does not count: a GateOverride took it back (Invalidate)")
        }
        Bearing::Uncounted => {
            ("uncounted", false, "does not count: the policy does not list who created its Job")
        }
        Bearing::Reverts if outcome == Outcome::Succeeded => {
            ("reverts", false, "takes back the newest release before it")
        }
        Bearing::Reverts => ("reverts", false, "does not count: a revert that has not succeeded"),
        Bearing::OtherRelease => {
            ("other-release", false, "does not count: made for another release")
        }
        Bearing::Incomparable => {
            ("incomparable", false, "does not count: a tag and a digest, which cannot be compared")
        }
    }
}

/// Name of a verdict in JSON, and what it rests on.
pub(super) fn verdict(judgement: &Judgement<'_>) -> (&'static str, String) {
    let job =
        |attempt: &crate::cluster::Attempt| format!("migration Job {}", attempt.facts.key.name);
    match judgement.verdict {
        Verdict::Bypassed(by) => ("bypassed", format!("GateOverride {} lets it through", by.name)),
        Verdict::Invalidated(by, person) => (
            "invalidated",
            format!("{} succeeded, and GateOverride {} took that back", job(by), person.name),
        ),
        Verdict::Excluded(by) => {
            ("excluded", format!("contract Job {} removed what it needs", by.facts.key.name))
        }
        Verdict::Proven => ("proven", "every migration required for it has succeeded".to_owned()),
        Verdict::Floor => ("floor", "the release that it requires is proven".to_owned()),
        Verdict::RanHere => {
            ("ran-here", "it ran here before the first attempt that is known".to_owned())
        }
        Verdict::FirstInstall => ("first-install", "nothing of the app exists yet".to_owned()),
        Verdict::Running(by) => ("running", format!("{} still runs", job(by))),
        Verdict::Ended(by, outcome) => ("ended", format!("{} {}", job(by), ended(outcome))),
        Verdict::OtherRelease(by) => (
            "other-release",
            format!("nothing ran for it; the newest, {}, ran for {}", job(by), by.release()),
        ),
        Verdict::Incomparable(by) => (
            "incomparable",
            format!("whether {} ran for it cannot be told: a tag and a digest", job(by)),
        ),
        Verdict::NeverRan(by) => (
            "never-ran",
            format!("nothing ran for it; the newest, {}, ran for {}", job(by), by.release()),
        ),
        Verdict::NotMigrated => {
            ("not-migrated", "nothing says that it needs a migration".to_owned())
        }
        Verdict::Floating => {
            ("floating", "a floating tag says no release, so nothing can prove it".to_owned())
        }
        Verdict::Ambiguous => {
            ("ambiguous", "nothing tells which container carries the app's image".to_owned())
        }
    }
}

/// How an attempt ended that holds a release.
fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Failed => "failed",
        Outcome::Interrupted => "was deleted before it ended",
        Outcome::Succeeded => "succeeded, and a revert took that back",
        Outcome::Unknown | Outcome::Running => "is gone, and nobody saw how it ended",
    }
}
