//! The status of a `RolloutPolicy`: which version is in force, and what is to be done about it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::exemption_notices;
use crate::policy::Policies;
use crate::policy::exemption::Standing;

/// What a stored policy has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicyStatus {
    /// The newest version of the spec that was looked at.
    pub observed_generation: i64,
    /// Whether settings of this object are in force.
    pub active: bool,
    /// The version of the spec that is in force; 0 where the built-in defaults are.
    pub enforced_generation: i64,
    /// Its exemptions.
    #[serde(default)]
    pub exemptions: ExemptionCounts,
    /// How many namespaces have settings of their own, or exemptions.
    #[serde(default)]
    pub namespaces: i64,
    /// Where it stands.
    #[serde(default)]
    #[cfg_attr(feature = "serve", schemars(length(max = 8)))]
    pub conditions: Vec<Condition>,
}

/// Exemptions by where they are in their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExemptionCounts {
    /// Those that hold, those that end soon included.
    pub active: i64,
    /// Those that end within 14 days.
    pub expiring: i64,
    /// Those that have ended.
    pub expired: i64,
}

/// A condition as Kubernetes writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about: `Accepted` or `ExemptionsExpiring`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 316)))]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[cfg_attr(feature = "serve", schemars(regex(pattern = "^(True|False|Unknown)$")))]
    pub status: String,
    /// The version of the spec that it is about.
    pub observed_generation: i64,
    /// When the status last changed.
    pub last_transition_time: Timestamp,
    /// Why, in one word.
    #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 1024)))]
    pub reason: String,
    /// Why, for a person.
    #[cfg_attr(feature = "serve", schemars(length(max = 4096)))]
    pub message: String,
}

/// Longest message in characters, well below what the schema takes.
const LONGEST_MESSAGE: usize = 2000;

/// What a stored policy has come to.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'v> {
    /// It is in force.
    Accepted,
    /// It is wrong; what was in force before still is.
    Invalid(&'v str),
    /// It is called something else than the one that is in force.
    Inactive,
}

impl RolloutPolicyStatus {
    /// The status of a stored version at a moment. `before` is what stands there, which keeps the times of what has not
    /// changed.
    pub fn new(
        generation: i64,
        verdict: Verdict<'_>,
        policies: &Policies,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Self {
        if matches!(verdict, Verdict::Inactive) {
            let message = "only the policy named default is in force; this one does nothing";
            let accepted =
                condition("Accepted", "False", "NotActive", message.to_owned(), generation);
            let mut status = Self {
                observed_generation: generation,
                conditions: vec![accepted],
                ..Self::default()
            };
            status.keep_times(before, now);
            return status;
        }
        let count = |standing| i64::try_from(policies.count(standing, now)).unwrap_or(i64::MAX);
        let expiring = count(Standing::Expiring);
        let exemptions = ExemptionCounts {
            active: count(Standing::Active) + expiring,
            expiring,
            expired: count(Standing::Expired),
        };
        let enforced = policies.generation();
        let accepted = match verdict {
            Verdict::Invalid(why) => {
                let stays = if enforced == 0 {
                    "the built-in defaults are in force".to_owned()
                } else {
                    format!("generation {enforced} stays in force")
                };
                condition("Accepted", "False", "Invalid", format!("{stays}: {why}"), generation)
            }
            _ => condition(
                "Accepted",
                "True",
                "Accepted",
                format!("generation {enforced} is in force"),
                generation,
            ),
        };
        let told = exemption_notices(policies, now);
        let expiring = if told.is_empty() {
            condition("ExemptionsExpiring", "False", "NoneSoon", String::new(), generation)
        } else {
            condition("ExemptionsExpiring", "True", "ExpiringSoon", told.join("; "), generation)
        };
        let mut status = Self {
            observed_generation: generation,
            active: enforced > 0,
            enforced_generation: enforced,
            exemptions,
            namespaces: i64::try_from(policies.namespaces()).unwrap_or(i64::MAX),
            conditions: vec![accepted, expiring],
        };
        status.keep_times(before, now);
        status
    }

    /// Whether this status is to be written over what stands there. Replicas see the same object, but where a version is
    /// wrong one that was restarted has no last good one: the least that any of them enforces is what stands there.
    pub fn replaces(&self, before: Option<&Self>) -> bool {
        let Some(before) = before else { return true };
        let refused = |status: &Self| {
            status.conditions.iter().any(|c| c.kind == "Accepted" && c.status == "False")
        };
        if before.observed_generation > self.observed_generation {
            return false;
        }
        let same = before.observed_generation == self.observed_generation;
        if same
            && refused(before)
            && refused(self)
            && before.enforced_generation < self.enforced_generation
        {
            return false;
        }
        self != before
    }

    fn keep_times(&mut self, before: Option<&Self>, now: Timestamp) {
        // Kubernetes writes whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        for condition in &mut self.conditions {
            let known = before
                .and_then(|before| before.conditions.iter().find(|c| c.kind == condition.kind));
            let same = known.filter(|known| known.status == condition.status);
            condition.last_transition_time = same.map_or(now, |known| known.last_transition_time);
        }
    }
}

fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    generation: i64,
) -> Condition {
    let message = match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
    };
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        observed_generation: generation,
        last_transition_time: Timestamp::UNIX_EPOCH,
        reason: reason.to_owned(),
        message,
    }
}
