//! The report for people: each finding with its source, then the Jobs that were recognised and a count.

use std::fmt::Write as _;

use crate::check::excerpt::{Excerpt, Severity};
use crate::check::load::Bundle;
use crate::check::{Checked, JobReport, Place, Report};
use crate::policy::{Effect, Policy};

/// The reports of all bundles as text, ended by a newline; with terminal colours on request.
pub fn render(checked: &[(Bundle, Report)], policy: &Policy, colour: bool) -> String {
    let mut text = String::new();
    for (bundle, report) in checked {
        for error in &report.errors {
            let excerpt = plain(Severity::Error, &error.message, bundle, &error.place);
            text.push_str(&excerpt.render(colour));
            text.push('\n');
        }
        for finding in &report.findings {
            text.push_str(&excerpt(finding, bundle, policy, colour));
            text.push('\n');
        }
        for notice in &report.notices {
            let excerpt = plain(Severity::Note, &notice.message, bundle, &notice.place);
            text.push_str(&excerpt.render(colour));
            text.push('\n');
        }
        for job in &report.jobs {
            text.push_str(&recognised(job));
        }
    }
    text.push_str(&summary(checked));
    text
}

fn plain<'r>(
    severity: Severity,
    title: &'r str,
    bundle: &'r Bundle,
    place: &'r Place,
) -> Excerpt<'r> {
    Excerpt {
        severity,
        code: None,
        title,
        file: bundle.name_of(place),
        source: bundle.text_of(place),
        location: place.location,
        label: "",
        help: None,
        docs: None,
    }
}

fn excerpt(checked: &Checked, bundle: &Bundle, policy: &Policy, colour: bool) -> String {
    let finding = &checked.finding;
    let object = &checked.object;
    let label = if checked.place.location.exact {
        object.to_string()
    } else {
        format!("{object}: {} is not there", checked.path)
    };
    let docs = policy.page_of(finding.code());
    Excerpt {
        severity: match finding.effect() {
            Effect::Deny => Severity::Error,
            Effect::Warn => Severity::Warning,
        },
        code: Some(finding.code()),
        title: &format!("{} {}", checked.path, finding.message()),
        file: bundle.name_of(&checked.place),
        source: bundle.text_of(&checked.place),
        location: checked.place.location,
        label: &label,
        help: Some(finding.help()),
        docs: Some(&docs),
    }
    .render(colour)
}

fn recognised(job: &JobReport) -> String {
    let mut text = format!(
        "Job {}/{} is a {} ({}): {}\n",
        job.namespace, job.object, job.role, job.confidence, job.reason
    );
    for pair in &job.pairs {
        let sure = if pair.sure { "gates" } else { "may gate" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {sure} {} {}: {}", pair.kind, pair.object, pair.reason);
    }
    text
}

pub(super) fn summary(checked: &[(Bundle, Report)]) -> String {
    let sum = |count: &dyn Fn(&Report) -> usize| checked.iter().map(|(_, r)| count(r)).sum();
    let objects: usize = sum(&|report| report.objects.len());
    let denials: usize = sum(&|report| report.count(Effect::Deny));
    let warnings: usize = sum(&|report| report.count(Effect::Warn));
    let errors: usize = sum(&|report| report.errors.len());
    let mut text = format!(
        "{}: {}, {}",
        counted(objects, "object"),
        counted(denials, "denial"),
        counted(warnings, "warning"),
    );
    if errors > 0 {
        let _ = write!(text, ", {} that could not be checked", counted(errors, "place"));
    }
    text.push('\n');
    text
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
