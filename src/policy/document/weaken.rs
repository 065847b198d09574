//! What a policy gives up of the defaults, to be told to whoever writes it.

use super::duration;
use super::spec::{
    InjectSetting, OrderingSetting, RolloutPolicySpec, Settings, SeveritySetting, WarnOrDeny,
};
use crate::policy::Policy;
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
    rules(settings, path, told);
    others(settings, path, told);
    bounds(settings, path, told);
}

fn rules(settings: Settings<'_>, path: &str, told: &mut Vec<String>) {
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
}

fn others(settings: Settings<'_>, path: &str, told: &mut Vec<String>) {
    if settings.ordering == Some(OrderingSetting::External) {
        told.push(format!("{path}.ordering: rules about hooks and waves are silent"));
    }
    if settings.wait_for_db.is_some_and(|wait| wait.inject == Some(InjectSetting::Off)) {
        told.push(format!("{path}.waitForDb.inject: no migration waits for its database"));
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

/// What the defaults bound more tightly.
fn bounds(settings: Settings<'_>, path: &str, told: &mut Vec<String>) {
    let usual = Policy::default();
    let bypass = settings.gate_overrides.and_then(|overrides| overrides.longest_bypass.as_deref());
    if let Some(text) = bypass
        && duration::parse(text).is_ok_and(|longest| longest > usual.longest_bypass)
    {
        told.push(format!(
            "{path}.gateOverrides.longestBypass: a release may be let through for {text}, longer than by default"
        ));
    }
    let longest = *usual.deadline_seconds.end();
    let written = settings.rules.get("WG102").and_then(|rule| rule.maximum_seconds);
    if let Some(seconds) = written.filter(|seconds| *seconds > longest) {
        told.push(format!(
            "{path}.rules.WG102.maximumSeconds: a migration may hang for {seconds} s; by default it is {longest} s"
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(spec: Value) -> Vec<String> {
        weakenings(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn each_setting_that_allows_more_than_the_default_is_told_by_its_path() {
        for (spec, path) in [
            (json!({"rules": {"WG301": {"severity": "off"}}}), "spec.rules.WG301.severity: "),
            (json!({"rules": {"WG301": {"severity": "warn"}}}), "spec.rules.WG301.severity: "),
            (
                json!({"rules": {"WG102": {"maximumSeconds": 86_401}}}),
                "spec.rules.WG102.maximumSeconds: ",
            ),
            (json!({"ordering": "external"}), "spec.ordering: "),
            (json!({"waitForDb": {"inject": "off"}}), "spec.waitForDb.inject: "),
            (json!({"onUnknown": "warn"}), "spec.onUnknown: "),
            (json!({"floatingTags": []}), "spec.floatingTags: "),
            (
                json!({"gateOverrides": {"longestBypass": "1d1s"}}),
                "spec.gateOverrides.longestBypass: ",
            ),
        ] {
            let told_of = told(spec.clone());
            assert!(matches!(&*told_of, [one] if one.starts_with(path)), "{spec}: {told_of:?}");
            let mut entry = spec.clone();
            entry["namespaces"] = json!(["shop"]);
            let told_of = told(json!({"overrides": [entry]}));
            let path = path.replacen("spec.", "spec.overrides[0].", 1);
            assert!(matches!(&*told_of, [one] if one.starts_with(&path)), "{spec}: {told_of:?}");
        }
    }

    #[test]
    fn what_is_as_strict_as_the_default_is_not_told() {
        for spec in [
            json!({}),
            json!({"rules": {"WG102": {"maximumSeconds": 86_400, "severity": "deny"}}}),
            json!({"ordering": "helm", "waitForDb": {"inject": "always"}, "onUnknown": "deny"}),
            json!({"gateOverrides": {"longestBypass": "24h"}, "floatingTags": ["latest"]}),
        ] {
            assert_eq!(told(spec.clone()), Vec::<String>::new(), "{spec}");
        }
    }
}
