//! What a policy says besides single rules, applied to settings.

use std::fmt::Display;
use std::time::Duration;

use super::spec::{
    AllowOrForbid, DetectionSettings, FixSettings, InjectSetting, OrderingSetting, RegistryAlias,
    RetentionSettings, RunnerSettings, Settings, WaitSettings, WaiterSetting, WarnOrDeny,
};
use super::{Errors, duration, parameters};
use crate::domain::database::shown;
use crate::domain::detection::{Additions, Detection, KnownRunner};
use crate::domain::glob::Glob;
use crate::domain::image::ImageRef;
use crate::domain::names::Alias;
use crate::policy::{Inject, OnUnknown, Ordering, Policy, WaiterMode};

/// Applies what is written to a policy; what is not keeps its value.
pub(super) fn apply(settings: Settings<'_>, policy: &mut Policy, path: &str, errors: &mut Errors) {
    let at = |field: &str| format!("{path}.{field}");
    for (code, rule) in settings.rules {
        parameters::apply(code, rule, policy, &at(&format!("rules.{code}")), errors);
    }
    detection(settings, policy, path, errors);
    if let Some(inferred) = settings.inferred_pairs {
        policy.inferred_pairs_deny = inferred == WarnOrDeny::Deny;
    }
    if let Some(wait) = settings.wait_for_db {
        waiter(wait, policy, &at("waitForDb"), errors);
    }
    if let Some(fixes) = settings.fixes {
        fill_in(fixes, policy);
    }
    deadline_fits(settings, policy, path, errors);
    if let Some(dry_run) = settings.dry_run {
        policy.denied_dry_runs.clone_from(&dry_run.deny_for);
    }
    if let Some(unknown) = settings.on_unknown {
        policy.on_unknown = match unknown {
            WarnOrDeny::Deny => OnUnknown::Deny,
            WarnOrDeny::Warn => OnUnknown::Warn,
        };
    }
    if let Some(first) = settings.first_install {
        policy.first_install_denies = first == WarnOrDeny::Deny;
    }
    if let Some(tags) = settings.floating_tags {
        policy.names.floating = globs(tags, &at("floatingTags"), errors);
    }
    if let Some(aliases) = settings.registry_aliases {
        policy.names.aliases = registry_aliases(aliases, &at("registryAliases"), errors);
    }
    if let Some(evidence) = settings.evidence {
        policy.creators = globs(&evidence.creators, &at("evidence.creators"), errors);
    }
    if let Some(ordering) = settings.ordering {
        policy.ordering = match ordering {
            OrderingSetting::ArgoCd => Ordering::ArgoCd,
            OrderingSetting::Helm => Ordering::Helm,
            OrderingSetting::External => Ordering::External,
        };
    }
    if let Some(text) = settings.known_for {
        let known_for = errors.take(&at("knownFor"), duration::parse(text));
        policy.known_for = known_for.unwrap_or(policy.known_for);
    }
    if let Some(retention) = settings.retention {
        keep(retention, policy, &at("retention"), errors);
    }
    if let Some(text) = settings.gate_overrides.and_then(|o| o.longest_bypass.as_deref()) {
        let longest = errors.take(&at("gateOverrides.longestBypass"), duration::parse(text));
        policy.longest_bypass = longest.unwrap_or(policy.longest_bypass);
    }
    if let Some(docs) = settings.docs {
        let is_address = docs.starts_with("https://") || docs.starts_with("http://");
        let is_plain =
            docs.ends_with('/') && !docs.contains(|c: char| c.is_whitespace() || c.is_control());
        let read = if is_address && is_plain {
            Ok(docs.to_owned())
        } else {
            Err(format!(
                "{docs:?} is no address with a slash at its end; write one such as https://docs.example.com/rules/"
            ))
        };
        if let Some(docs) = errors.take(&at("docs"), read) {
            policy.docs = docs;
        }
    }
}

fn fill_in(written: FixSettings, policy: &mut Policy) {
    let FixSettings { no_retries, deadline_seconds, replace_failed_only, do_not_evict } = written;
    let fixes = &mut policy.fixes;
    fixes.no_retries = no_retries.unwrap_or(fixes.no_retries);
    fixes.replace_failed_only = replace_failed_only.unwrap_or(fixes.replace_failed_only);
    fixes.do_not_evict = do_not_evict.unwrap_or(fixes.do_not_evict);
    if let Some(seconds) = deadline_seconds {
        fixes.deadline_seconds = (seconds != 0).then_some(seconds);
    }
}

/// What is filled in must be what WG102 accepts, be it that one was changed or the other.
fn deadline_fits(settings: Settings<'_>, policy: &Policy, path: &str, errors: &mut Errors) {
    let bounds = &policy.deadline_seconds;
    let Some(seconds) = policy.fixes.deadline_seconds.filter(|own| !bounds.contains(own)) else {
        return;
    };
    let (least, most) = (bounds.start(), bounds.end());
    if settings.fixes.is_some_and(|fixes| fixes.deadline_seconds.is_some()) {
        let message = format!("it is {seconds}; WG102 accepts {least} to {most}");
        errors.push(&format!("{path}.fixes.deadlineSeconds"), message);
    } else if settings.rules.contains_key("WG102") {
        let message = format!(
            "it accepts {least} to {most}, and not the {seconds} of fixes.deadlineSeconds; write both"
        );
        errors.push(&format!("{path}.rules.WG102"), message);
    }
}

fn keep(retention: RetentionSettings, policy: &mut Policy, path: &str, errors: &mut Errors) {
    let fields = [
        ("successes", retention.successes, &mut policy.retention.successes),
        ("failures", retention.failures, &mut policy.retention.failures),
    ];
    for (name, written, value) in fields {
        match written {
            Some(0) => errors.push(&format!("{path}.{name}"), "it is 0; write 1 or more"),
            Some(number) => *value = usize::try_from(number).unwrap_or(usize::MAX),
            None => {}
        }
    }
}

fn globs(texts: &[String], path: &str, errors: &mut Errors) -> Vec<Glob> {
    each(texts, path, errors, |text| {
        Glob::parse(text).map_err(|error| format!("{text:?} is no pattern: {error}"))
    })
}

fn each<T, E: Display>(
    texts: &[String],
    path: &str,
    errors: &mut Errors,
    read: impl Fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let one =
        |(index, text): (usize, &String)| errors.take(&format!("{path}[{index}]"), read(text));
    texts.iter().enumerate().filter_map(one).collect()
}

fn detection(settings: Settings<'_>, policy: &mut Policy, path: &str, errors: &mut Errors) {
    let mut additions: Additions = policy.detection.additions().cloned().unwrap_or_default();
    if let Some(written) = settings.detection {
        let path = format!("{path}.detection");
        let DetectionSettings { runners, job_names, singletons, without_probes } = written;
        if !runners.is_empty() {
            let read =
                |(index, runner)| known_runner(runner, &format!("{path}.runners[{index}]"), errors);
            additions.runners = runners.iter().enumerate().filter_map(read).collect();
        }
        if !job_names.is_empty() {
            additions.job_names = globs(job_names, &format!("{path}.jobNames"), errors);
        }
        if !singletons.is_empty() {
            policy.singletons = globs(singletons, &format!("{path}.singletons"), errors);
        }
        if !without_probes.is_empty() {
            policy.without_probes = globs(without_probes, &format!("{path}.withoutProbes"), errors);
        }
    }
    if let Some(role_none) = settings.role_none {
        additions.none_is_forbidden = role_none == AllowOrForbid::Forbid;
    }
    policy.detection = Detection::new(additions);
}

fn known_runner(runner: &RunnerSettings, path: &str, errors: &mut Errors) -> Option<KnownRunner> {
    let RunnerSettings { program, applies, reverts, contracts, looks } = runner;
    let glob = Glob::parse(program).map_err(|error| format!("{program:?} is no pattern: {error}"));
    let glob = match glob {
        // It would take every command of every Job for a migration.
        Ok(glob) if glob.as_str().bytes().all(|b| b == b'*') => {
            Err(format!("{program:?} is every program; name one"))
        }
        other => other,
    };
    let mut verbs = |name: &str, list: &[String]| {
        each(list, &format!("{path}.{name}"), errors, |verb| {
            let words: Vec<&str> = verb.split(' ').collect();
            let odd = |word: &&str| {
                word.is_empty() || word.starts_with('-') || word.matches('*').count() > 1
            };
            if words.iter().any(odd) {
                return Err(format!(
                    "{verb:?} is no verb; write words with one blank between them, without options, and at most one * a word"
                ));
            }
            Ok(verb.to_owned())
        })
    };
    let (applies, reverts) = (verbs("applies", applies), verbs("reverts", reverts));
    let (contracts, looks) = (verbs("contracts", contracts), verbs("looks", looks));
    let program = errors.take(&format!("{path}.program"), glob)?;
    Some(KnownRunner { program, applies, reverts, contracts, looks })
}

fn registry_aliases(written: &[RegistryAlias], path: &str, errors: &mut Errors) -> Vec<Alias> {
    let mut aliases: Vec<(usize, Alias)> = Vec::new();
    for (index, RegistryAlias { from, to }) in written.iter().enumerate() {
        let place = format!("{path}[{index}]");
        let Some(alias) = errors.take(&place, Alias::new(from, to)) else { continue };
        if aliases.iter().any(|(_, other)| other.from() == from) {
            errors.push(
                &format!("{place}.from"),
                format!("{from} stands above already; write it once"),
            );
            continue;
        }
        aliases.push((index, alias));
    }
    for (index, alias) in &aliases {
        if let Some((other, _)) = aliases.iter().find(|(_, other)| other.follows(alias)) {
            errors.push(
                &format!("{path}[{index}].to"),
                format!(
                    "{} is renamed again by {path}[{other}], so images would go round or in steps; name the last registry",
                    alias.to()
                ),
            );
        }
    }
    aliases.into_iter().map(|(_, alias)| alias).collect()
}

fn waiter(written: &WaitSettings, policy: &mut Policy, path: &str, errors: &mut Errors) {
    let at = |field: &str| format!("{path}.{field}");
    if let Some(inject) = written.inject {
        policy.inject = match inject {
            InjectSetting::Enforce => Inject::Enforce,
            InjectSetting::Always => Inject::Always,
            InjectSetting::Off => Inject::Off,
        };
    }
    let waiter = &mut policy.waiter;
    if let Some(mode) = written.mode {
        waiter.mode = match mode {
            WaiterSetting::Native => WaiterMode::Native,
            WaiterSetting::Busybox => WaiterMode::Busybox,
        };
    }
    let image = |text: &str| match ImageRef::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{text:?} is no image reference: {error}")),
    };
    if let Some(text) = &written.image {
        waiter.image = errors.take(&at("image"), image(text)).or(waiter.image.take());
    }
    if let Some(text) = &written.busybox_image
        && let Some(image) = errors.take(&at("busyboxImage"), image(text))
    {
        waiter.busybox_image = image;
    }
    if let Some(user) = written.busybox_user {
        waiter.busybox_user = (user > 0).then_some(user);
    }
    if let Some(text) = &written.timeout {
        let read = errors.take(&at("timeout"), duration::parse(text));
        waiter.timeout =
            read.map_or(waiter.timeout, |read| Duration::from_secs(read.as_secs().unsigned_abs()));
    }
    for (name, text, value) in
        [("cpu", &written.cpu, &mut waiter.cpu), ("memory", &written.memory, &mut waiter.memory)]
    {
        if let Some(text) = text
            && let Some(quantity) = errors.take(&at(name), quantity(text))
        {
            *value = quantity;
        }
    }
    if let Some(text) = &written.database {
        let read = shown::check(text).map(|()| text.clone());
        waiter.database = errors.take(&at("database"), read).or(waiter.database.take());
    }
}

/// A quantity as the API server takes it, in the forms that anybody writes for a container.
fn quantity(text: &str) -> Result<String, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(number.len()..).unwrap_or_default();
    let units = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| c.is_ascii_digit() || c == '.')
        && number.matches('.').count() <= 1;
    let is_zero = number.chars().all(|c| matches!(c, '0' | '.'));
    if is_number && !is_zero && units.contains(&unit) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no quantity above zero; write one such as 20m or 32Mi"))
}
