//! The documents for a person: at most a hundred columns, no colours, commands on lines of their own.

mod layout;

use std::fmt::Write as _;

use self::layout::{bullet, indented, table};
use super::explain::{Explanation, Row};
use super::mode::Mode;
use super::replay::{Mutated, Replay};
use super::said::{Found, Said};

pub(super) fn explanation(of: &Explanation) -> String {
    let mut text = String::new();
    about(of, &mut text);
    pairing(of, &mut text);
    evidence(of, &mut text);
    overrides(of, &mut text);
    verdict(of, &mut text);
    next(of, &mut text);
    text
}

/// Begins a section.
fn section(title: &str, text: &mut String) {
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "\n{title}");
}

fn about(of: &Explanation, text: &mut String) {
    let current =
        if of.current.is_empty() { "no release".to_owned() } else { of.current.join(", ") };
    let _ = writeln!(text, "{} has {current}", of.object());
    text.push_str(&indented(&format!("namespace {} {}", of.namespace, of.mode.reason), 0));
}

fn pairing(of: &Explanation, text: &mut String) {
    section("GATED BY", text);
    for gating in &of.gated_by {
        let likely = if gating.sure { "" } else { "likely, so it only warns: " };
        let command = match gating.command.as_str() {
            "" => String::new(),
            command => format!(" (`{command}`)"),
        };
        let line = format!("migration {}{command}: {likely}{}", gating.migration, gating.reason);
        text.push_str(&indented(&line, 2));
    }
    if !of.gated_by.is_empty() {
        return;
    }
    text.push_str(&indented("nothing: no migration that is known here belongs to it", 2));
    for other in &of.unpaired {
        let image = other.image.as_deref().unwrap_or("no image that can be read");
        text.push_str(&indented(&format!("migration {} ({image}) does not", other.migration), 2));
    }
    let how = "a migration Job gates it that uses an image of the same repository, or that carries the same label as it does: wavegate.dev/app: NAME";
    text.push_str(&indented(how, 2));
}

fn overrides(of: &Explanation, text: &mut String) {
    if of.overrides.is_empty() {
        return;
    }
    section("OVERRIDES", text);
    for one in &of.overrides {
        let release = one.release.as_deref().map(|r| format!(" of {r}")).unwrap_or_default();
        let until = one.until.map(|until| format!(" until {until}")).unwrap_or_default();
        let standing = match one.standing {
            "other-release" => "is for another release",
            "expired" => "has expired",
            _ => "applies",
        };
        let line = format!("{} {}{release}{until} {standing}: {}", one.does, one.name, one.reason);
        text.push_str(&indented(&line, 2));
    }
}

fn evidence(of: &Explanation, text: &mut String) {
    if of.evidence.is_empty() {
        return;
    }
    section("EVIDENCE, the newest last", text);
    let heading = ["CREATED", "RELEASE", "OUTCOME", "TOOK", "MIGRATION", "JOB"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(of.evidence.iter().map(cells));
    let lines = table(&rows);
    let mut lines = lines.iter();
    let _ = writeln!(text, "  {}", lines.next().map_or("", String::as_str));
    for (line, row) in lines.zip(&of.evidence) {
        let _ = writeln!(text, "  {line}");
        text.push_str(&indented(&remarks(row), 6));
    }
}

fn cells(row: &Row) -> Vec<String> {
    let phase = if row.phase == "expand" { String::new() } else { format!("{} ", row.phase) };
    let job = if row.job_exists { row.job.clone() } else { format!("{} (gone)", row.job) };
    vec![
        row.created.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        row.release.clone(),
        row.outcome.to_owned(),
        row.duration.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{phase}{}", row.migration),
        job,
    ]
}

/// What is behind an attempt: why it ended so, and what it means for the releases.
fn remarks(row: &Row) -> String {
    let several = row.bearings.len() > 1;
    let bearings = row.bearings.iter().map(|bearing| {
        if several {
            format!("{}: {}", bearing.release, bearing.says)
        } else {
            bearing.says.to_owned()
        }
    });
    let guess = row.confidence == "medium";
    let guess = guess.then(|| "only guessed to be a migration".to_owned());
    let failure = row.failure.as_ref().map(ToString::to_string);
    let why = row.reason.iter().cloned().chain(failure);
    let parts: Vec<String> = why.chain(guess).chain(bearings).collect();
    parts.join("; ")
}

fn verdict(of: &Explanation, text: &mut String) {
    let enforced = &of.verdict.enforced;
    let subject = of.image.as_deref().unwrap_or("as it is, created anew, it");
    let outcome = match (of.mode.mode, enforced.admitted) {
        (Mode::Off, _) => "is admitted: wavegate is not asked",
        (Mode::Warn, false) => "is admitted with a warning",
        (_, true) => "is admitted",
        (_, false) => "is held",
    };
    section(&format!("VERDICT: {subject} {outcome}"), text);
    if of.unchanged {
        text.push_str(&indented(
            "it has that image already, and what runs may always be applied again",
            2,
        ));
    }
    for judged in &of.verdict.releases {
        let release =
            if judged.release.is_empty() { String::new() } else { format!("{}: ", judged.release) };
        text.push_str(&indented(&format!("{release}{}", judged.because), 2));
    }
    if let Some(message) = &enforced.message {
        let says = if of.verdict.admitted {
            "an enforcing namespace would answer"
        } else {
            "the webhook answers"
        };
        let _ = writeln!(text, "  {says}:");
        text.push_str(&indented(message, 4));
        links(enforced.denials().skip(1), text);
    }
    warnings(enforced, text);
    if of.image.is_none() {
        text.push_str(&indented("applying again what runs always passes", 2));
    }
}

/// The denial links its first finding's page.
fn links<'f>(denials: impl Iterator<Item = &'f Found>, text: &mut String) {
    let mut last = "";
    for denial in denials.filter(|denial| !denial.code.is_empty()) {
        if last != denial.docs {
            text.push_str(&indented(&format!("{}: {}", denial.code, denial.docs), 4));
        }
        last = &denial.docs;
    }
}

fn warnings(said: &Said, text: &mut String) {
    let found = said.warnings().map(|warning| {
        format!("{} {}: {}; {}", warning.code, warning.path, warning.message, warning.help)
    });
    for warning in found.chain(said.notices.iter().cloned()) {
        text.push_str(&bullet("warning: ", &warning, 2));
    }
}

fn next(of: &Explanation, text: &mut String) {
    if of.next.is_empty() {
        return;
    }
    section("NEXT", text);
    for (number, step) in (1..).zip(&of.next) {
        text.push_str(&bullet(&format!("{number}. "), &step.says, 2));
        for command in &step.commands {
            // No line of a command is ever broken, so that it can be copied.
            for line in command.lines() {
                let _ = writeln!(text, "       {line}");
            }
        }
    }
}

pub(super) fn replay(of: &Replay) -> String {
    let request = &of.request;
    let mut text = String::new();
    let dry = if request.dry_run { ", dry run" } else { "" };
    let user = if request.user.is_empty() { "somebody" } else { &request.user };
    let line = format!(
        "{} of {} {}/{} by {user}{dry}, as in a namespace with wavegate.dev/mode: {}",
        request.operation, request.kind, request.namespace, request.name, of.mode
    );
    text.push_str(&indented(&line, 0));
    if let Some(job) = &of.recognised {
        let why = if job.reason.is_empty() { String::new() } else { format!(": {}", job.reason) };
        text.push_str(&indented(&format!("role {} ({}){why}", job.role, job.confidence), 0));
    }
    if !of.covered {
        text.push_str(&indented("wavegate has no rules for such a request", 0));
    } else if !of.asked {
        let unknown =
            "no cluster was asked: what has happened there is not known; --kubeconfig FILE asks";
        text.push_str(&indented(unknown, 0));
    }
    let title = match &of.mutation {
        Some(Mutated { verdict: Some(_), .. }) => "VERDICT as recorded",
        _ => "VERDICT",
    };
    said(title, &of.verdict, &mut text);
    if let Some(mutation) = &of.mutation {
        mutated(mutation, &mut text);
    }
    text
}

fn said(title: &str, said: &Said, text: &mut String) {
    section(&format!("{title}: {}", if said.admitted { "admitted" } else { "denied" }), text);
    if let Some(message) = &said.message {
        text.push_str(&indented(message, 2));
    }
    for denial in said.denials() {
        text.push_str(&bullet("denied: ", &format!("{} {}", denial.code, denial.path), 2));
        for line in [&denial.message, &denial.help, &denial.docs] {
            text.push_str(&indented(line, 6));
        }
    }
    warnings(said, text);
}

fn mutated(of: &Mutated, text: &mut String) {
    section("MUTATION", text);
    if of.patch.is_empty() {
        text.push_str(&indented("nothing is added", 2));
    }
    for step in &of.patch {
        text.push_str(&indented(&step.to_string(), 2));
    }
    for notice in &of.notices {
        text.push_str(&bullet("notice: ", notice, 2));
    }
    if let Some(verdict) = &of.verdict {
        said("VERDICT with that added", verdict, text);
    }
}
