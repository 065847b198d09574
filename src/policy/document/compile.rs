//! A spec to settings for every namespace.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::spec::{ExemptionSpec, RolloutPolicySpec};
use super::{Errors, PolicyError, parameters, settings};
use crate::policy::exemption::{Exemption, Target};
use crate::policy::{Policies, Policy};

/// Makes settings of a spec. What it does not say is as in `base`: the built-in defaults, with what the operator said
/// where the server was started.
///
/// # Errors
///
/// Fails with everything that is wrong with the spec. An exemption whose day has passed is no error here: one that is
/// in force ends by itself, see [`super::check_expiry`] for a policy that is new or changed.
pub fn compile(spec: &RolloutPolicySpec, base: &Policy) -> Result<Policies, Vec<PolicyError>> {
    let mut errors = Errors::default();
    let mut cluster = base.clone();
    settings::apply(spec.settings(), &mut cluster, "spec", &mut errors);
    let mut by_namespace: BTreeMap<String, Policy> = BTreeMap::new();
    let mut named: BTreeMap<&str, String> = BTreeMap::new();
    for (index, entry) in spec.overrides.iter().enumerate() {
        let path = format!("spec.overrides[{index}]");
        let mut own = cluster.clone();
        settings::apply(entry.settings(), &mut own, &path, &mut errors);
        if entry.namespaces.is_empty() {
            errors
                .push(&format!("{path}.namespaces"), "it is empty; write the names of namespaces");
        }
        for (at, namespace) in entry.namespaces.iter().enumerate() {
            let path = format!("{path}.namespaces[{at}]");
            if errors.take(&path, parameters::namespace_name(namespace)).is_none() {
                continue;
            }
            if let Some(first) = named.insert(namespace, path.clone()) {
                errors.push(
                    &path,
                    format!("{namespace} stands at {first} already; write each namespace once"),
                );
            }
            by_namespace.insert(namespace.clone(), own.clone());
        }
    }
    for (index, written) in spec.exemptions.iter().enumerate() {
        let path = format!("spec.exemptions[{index}]");
        if let Some(exemption) = exemption(written, &path, &mut errors) {
            let own = by_namespace.entry(exemption.namespace.clone());
            own.or_insert_with(|| cluster.clone()).exemptions.push(exemption);
        }
    }
    if errors.0.is_empty() { Ok(Policies::new(cluster, by_namespace)) } else { Err(errors.0) }
}

fn exemption(written: &ExemptionSpec, path: &str, errors: &mut Errors) -> Option<Exemption> {
    let at = |field: &str| format!("{path}.{field}");
    let before = errors.0.len();
    let rule = parameters::rule(&written.rule);
    if rule.is_none() {
        errors.push(&at("rule"), parameters::unknown(&written.rule));
    }
    let namespace = errors.take(&at("namespace"), parameters::namespace_name(&written.namespace));
    let targets = [
        written.name.clone().map(Target::Name),
        written.generate_name.clone().map(Target::GenerateName),
        written.app.clone().map(Target::App),
    ];
    let mut targets: Vec<Target> = targets.into_iter().flatten().collect();
    if targets.len() != 1 {
        errors.push(
            path,
            format!("it names {} of name, generateName and app; write exactly one", targets.len()),
        );
    }
    let target = targets.pop();
    let text = match &target {
        Some(Target::Name(text) | Target::GenerateName(text) | Target::App(text)) => text.as_str(),
        None => "-",
    };
    if text.is_empty() || text.contains(['*', ' ']) {
        errors.push(path, format!("{text:?} is no exact name; an exemption takes no pattern"));
    }
    if written.reason.trim().is_empty() {
        errors.push(&at("reason"), "it is empty; write why, for whoever meets it");
    }
    let expires = errors.take(&at("expires"), date(&written.expires))?;
    let (rule, namespace, target) = (rule?.code, namespace?, target?);
    let reason = written.reason.trim().to_owned();
    (errors.0.len() == before).then_some(Exemption { rule, namespace, target, reason, expires })
}

/// A day, written as in `2027-03-31` and in no other way.
pub(super) fn date(text: &str) -> Result<Date, String> {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let shape = text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10);
    match text.parse() {
        Ok(date) if shape => Ok(date),
        _ => Err(format!("{text:?} is no date; write the last day, such as 2027-03-31")),
    }
}
