//! What a policy says of single rules.

use super::Errors;
use super::spec::RuleSettings;
use crate::policy::rule::{Rule, Severity};
use crate::policy::rules;
use crate::policy::{Policy, document::spec::SeveritySetting};

/// Applies what is said of one rule.
pub(super) fn apply(
    code: &str,
    settings: &RuleSettings,
    policy: &mut Policy,
    path: &str,
    errors: &mut Errors,
) {
    let Some(rule) = rule(code) else {
        errors.push(path, unknown(code));
        return;
    };
    if let Some(severity) = settings.severity {
        policy.set_severity(rule.code, severity.into());
    }
    for (name, owner) in written(settings) {
        if owner != rule.code {
            errors.push(
                &format!("{path}.{name}"),
                format!("it is a parameter of {owner}, not of {}; remove it here", rule.code),
            );
        }
    }
    match rule.code {
        "WG102" => deadline(settings, policy, path, errors),
        "WG203" => set(
            &mut policy.minimum_ttl_seconds,
            settings.minimum_ttl_seconds,
            0,
            path,
            "minimumTtlSeconds",
            errors,
        ),
        "WG207" => {
            policy.highest_pre_sync_wave =
                settings.highest_wave.unwrap_or(policy.highest_pre_sync_wave);
            policy.lowest_post_sync_wave =
                settings.lowest_wave.unwrap_or(policy.lowest_post_sync_wave);
        }
        "WG305" => match settings.failures {
            Some(0) => errors.push(&format!("{path}.failures"), "it is 0; write 1 or more"),
            Some(failures) => {
                policy.failures_before_warning = usize::try_from(failures).unwrap_or(usize::MAX);
            }
            None => {}
        },
        "WG308" => {
            if let Some(namespace) = &settings.upstream_namespace {
                let path = format!("{path}.upstreamNamespace");
                policy.upstream =
                    errors.take(&path, namespace_name(namespace)).or(policy.upstream.take());
            }
        }
        _ => {}
    }
}

fn set(
    value: &mut i64,
    written: Option<i64>,
    least: i64,
    path: &str,
    name: &str,
    errors: &mut Errors,
) {
    match written {
        Some(number) if number < least => {
            errors
                .push(&format!("{path}.{name}"), format!("it is {number}; write {least} or more"));
        }
        Some(number) => *value = number,
        None => {}
    }
}

fn deadline(settings: &RuleSettings, policy: &mut Policy, path: &str, errors: &mut Errors) {
    let (mut least, mut most) = (*policy.deadline_seconds.start(), *policy.deadline_seconds.end());
    set(&mut least, settings.minimum_seconds, 1, path, "minimumSeconds", errors);
    set(&mut most, settings.maximum_seconds, 1, path, "maximumSeconds", errors);
    if least > most {
        let name =
            if settings.minimum_seconds.is_some() { "minimumSeconds" } else { "maximumSeconds" };
        errors.push(
            &format!("{path}.{name}"),
            format!(
                "the shortest deadline, {least}, is longer than the longest, {most}; write both"
            ),
        );
    } else {
        policy.deadline_seconds = least..=most;
    }
}

/// The parameters that are written, each with the rule that has it.
fn written(settings: &RuleSettings) -> impl Iterator<Item = (&'static str, &'static str)> {
    let RuleSettings {
        severity: _,
        minimum_seconds,
        maximum_seconds,
        minimum_ttl_seconds,
        highest_wave,
        lowest_wave,
        failures,
        upstream_namespace,
    } = settings;
    [
        (minimum_seconds.is_some(), "minimumSeconds", "WG102"),
        (maximum_seconds.is_some(), "maximumSeconds", "WG102"),
        (minimum_ttl_seconds.is_some(), "minimumTtlSeconds", "WG203"),
        (highest_wave.is_some(), "highestWave", "WG207"),
        (lowest_wave.is_some(), "lowestWave", "WG207"),
        (failures.is_some(), "failures", "WG305"),
        (upstream_namespace.is_some(), "upstreamNamespace", "WG308"),
    ]
    .into_iter()
    .filter_map(|(is_written, name, owner)| is_written.then_some((name, owner)))
}

/// The rule with exactly this code.
pub(super) fn rule(code: &str) -> Option<&'static Rule> {
    rules::find(code).filter(|rule| rule.code == code)
}

/// What to say of a code that no rule has.
pub(super) fn unknown(code: &str) -> String {
    match rules::find(code) {
        Some(rule) => format!("there is no rule {code:?}; write {}", rule.code),
        None => format!("there is no rule {code:?}; `wavegate rules` lists them"),
    }
}

/// The name of a namespace, as the API server takes it.
pub(super) fn namespace_name(text: &str) -> Result<String, String> {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let edge = |b: Option<&u8>| b.is_some_and(|b| alphanumeric(*b));
    let bytes = text.as_bytes();
    let inner = bytes.iter().all(|b| alphanumeric(*b) || *b == b'-');
    if edge(bytes.first()) && edge(bytes.last()) && inner && bytes.len() <= 63 {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no name of a namespace; write its exact name, without any pattern"))
}

impl From<SeveritySetting> for Severity {
    fn from(setting: SeveritySetting) -> Self {
        match setting {
            SeveritySetting::Deny => Self::Deny,
            SeveritySetting::Warn => Self::Warn,
            SeveritySetting::Off => Self::Off,
        }
    }
}
