//! What a policy gives up of the defaults, to be told to whoever writes it.

use super::spec::{RolloutPolicySpec, Settings, SeveritySetting, WarnOrDeny};
use crate::policy::rule::Severity;

/// What the settings allow that the defaults refuse, each a sentence with the field's path.
pub fn weakenings(spec: &RolloutPolicySpec) -> Vec<String> {
    let mut told = Vec::new();
    of(spec.settings(), "spec", &mut told);
    for (index, entry) in spec.overrides.iter().enumerate() {
        of(entry.settings(), &format!("spec.overrides[{index}]"), &mut told);
    }
    told
}

fn of(settings: Settings<'_>, path: &str, told: &mut Vec<String>) {
    for (code, written) in settings.rules {
        let rule = super::parameters::rule(code);
        let denies = rule.is_some_and(|rule| rule.severity == Severity::Deny);
        let (Some(rule), true) = (rule, denies) else { continue };
        match written.severity {
            Some(SeveritySetting::Off) => told.push(format!(
                "{path}.rules.{code}.severity: {} is not checked any more",
                rule.name
            )),
            Some(SeveritySetting::Warn) => {
                told.push(format!("{path}.rules.{code}.severity: {} is only warned of", rule.name));
            }
            Some(SeveritySetting::Deny) | None => {}
        }
    }
    if settings.on_unknown == Some(WarnOrDeny::Warn) {
        told.push(format!("{path}.onUnknown: what cannot be confirmed is let through"));
    }
    if settings
        .floating_tags
        .is_some_and(|tags| !tags.iter().any(|tag| tag == "latest" || tag == "*"))
    {
        told.push(format!("{path}.floatingTags: latest is taken for a tag that never moves"));
    }
}
