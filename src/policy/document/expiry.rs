//! The days on which exemptions end.

use jiff::Timestamp;

use super::spec::RolloutPolicySpec;
use super::{PolicyError, compile};
use crate::policy::Policies;
use crate::policy::exemption::Standing;

/// Refuses exemptions whose day has passed, in a policy that is new or changed.
///
/// # Errors
///
/// Fails with each of them. A date that is none is for [`compile()`](super::compile()) to report.
pub fn check_expiry(spec: &RolloutPolicySpec, now: Timestamp) -> Result<(), Vec<PolicyError>> {
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let expired = spec.exemptions.iter().enumerate().filter_map(|(index, exemption)| {
        let date = compile::date(&exemption.expires).ok().filter(|date| *date < today)?;
        Some(PolicyError {
            path: format!("spec.exemptions[{index}].expires"),
            message: format!("the exemption expired on {date}; remove it, or write a day to come"),
        })
    });
    let expired: Vec<PolicyError> = expired.collect();
    if expired.is_empty() { Ok(()) } else { Err(expired) }
}

/// What to say of exemptions that end soon or have ended, each a sentence.
pub fn exemption_notices(policies: &Policies, now: Timestamp) -> Vec<String> {
    let told = policies.exemptions().filter_map(|exemption| {
        let (rule, object, day) = (exemption.rule, exemption.object(), exemption.expires);
        match exemption.standing(now) {
            Standing::Active => None,
            Standing::Expiring => {
                Some(format!("the exemption of {object} from {rule} expires on {day}"))
            }
            Standing::Expired => {
                Some(format!("the exemption of {object} from {rule} expired on {day}"))
            }
        }
    });
    told.collect()
}
