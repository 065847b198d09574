//! Decisions to bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Error;

use super::review::{API_VERSION, Cause, Details, Response, ReviewAnswer, Status};
use super::{Admission, Subject};
use crate::domain::keys;
use crate::engine::{Decision, Mutation};
use crate::policy::{Finding, Policy};

/// Longest denial in bytes. Argo CD keeps it in the Application's status, once per object.
const MAX_MESSAGE: usize = 500;
/// Length up to which Kubernetes recommends to keep a warning.
const SHORT_WARNING: usize = 120;
/// Longest warning in bytes: the API server cuts longer ones when there are many.
const MAX_WARNING: usize = 256;

/// The answer to a validating request.
pub fn answer_validation(
    admission: &Admission<'_>,
    decision: &Decision,
    policy: &Policy,
) -> Result<Vec<u8>, Error> {
    let allowed = decision.is_allowed();
    let mut warnings: Vec<String> = decision.warnings().map(warning).collect();
    warnings.extend(decision.notices.iter().map(|notice| one_line(notice, MAX_WARNING)));
    if allowed && let Some(reason) = &decision.unreadable {
        warnings.push(one_line(
            &format!("not checked, since it could not be read: {reason}"),
            MAX_WARNING,
        ));
    }
    serialise(Response {
        uid: Cow::Borrowed(&admission.uid),
        allowed,
        status: (!allowed).then(|| status(admission, decision, policy)),
        warnings: warnings.iter().map(|text| prefixed(text)).collect(),
        audit_annotations: audit_annotations(decision),
        ..Response::default()
    })
}

/// The answer to a mutating request, which always lets the request go on.
pub fn answer_mutation(admission: &Admission<'_>, mutation: &Mutation) -> Result<Vec<u8>, Error> {
    let patched = !mutation.patch.0.is_empty();
    let patch =
        if patched { Some(STANDARD.encode(serde_json::to_vec(&mutation.patch)?)) } else { None };
    let warnings = mutation.notices.iter().map(|notice| prefixed(&one_line(notice, MAX_WARNING)));
    serialise(Response {
        uid: Cow::Borrowed(&admission.uid),
        allowed: true,
        warnings: warnings.collect(),
        patch_type: patched.then_some("JSONPatch"),
        patch,
        ..Response::default()
    })
}

/// The answer where deciding failed for a reason of wavegate's own. What wavegate cannot vouch for is refused
/// where it enforces, with a message that says that the author is not to blame.
pub fn answer_broken(uid: &str, refused: bool) -> Result<Vec<u8>, Error> {
    let message = "a defect in wavegate kept it from checking this object; this is not your fault, please report it";
    serialise(Response {
        uid: Cow::Borrowed(uid),
        allowed: !refused,
        status: refused.then(|| Status {
            code: 403,
            reason: "Forbidden",
            message: message.to_owned(),
            details: None,
        }),
        warnings: if refused { Vec::new() } else { vec![prefixed(message)] },
        ..Response::default()
    })
}

/// The answer in a namespace whose mode does not exist. The request goes on: it is judged elsewhere, by the mode that
/// such namespaces get.
pub fn answer_unknown_mode(admission: &Admission<'_>) -> Result<Vec<u8>, Error> {
    let text = format!(
        "namespace {} has a label {} that is none of enforce, warn and off: it is treated as unlabelled",
        admission.namespace,
        keys::MODE
    );
    serialise(Response {
        uid: Cow::Borrowed(&admission.uid),
        allowed: true,
        warnings: vec![prefixed(&one_line(&text, MAX_WARNING))],
        ..Response::default()
    })
}

/// The warnings in one line, for whoever did not see them.
pub fn warnings_line(decision: &Decision) -> String {
    let warnings: Vec<String> = decision.warnings().map(warning).collect();
    warnings.join("; ")
}

pub(super) fn serialise(response: Response<'_>) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(512);
    let answer = ReviewAnswer { api_version: API_VERSION, kind: "AdmissionReview", response };
    serde_json::to_writer(&mut body, &answer)?;
    Ok(body)
}

fn status(admission: &Admission<'_>, decision: &Decision, policy: &Policy) -> Status {
    let cause = |finding: &Finding| Cause {
        reason: finding.code(),
        message: format!("{}; {}", finding.message(), finding.help()),
        field: finding.path().to_owned(),
    };
    let causes: Vec<Cause> = decision.denials().map(cause).collect();
    Status {
        code: 403,
        reason: "Forbidden",
        message: denial_message(admission, decision, policy),
        details: (!causes.is_empty()).then_some(Details { causes }),
    }
}

/// The denial as a person reads it in Argo CD or after `kubectl apply`: one line with the object, why it was
/// recognised, each finding with its code, field, what was found and wanted and what to write, and a link.
pub fn denial_message(admission: &Admission<'_>, decision: &Decision, policy: &Policy) -> String {
    let object = format!("{} {}/{}", admission.kind, admission.namespace, admission.name);
    if let Some(reason) = &decision.unreadable {
        let message = format!(
            "{object} could not be read, so wavegate cannot vouch for it: {reason}. Correct the field; if the API server accepts it, this is a defect of wavegate"
        );
        return one_line(&message, MAX_MESSAGE);
    }
    let denials: Vec<&Finding> = decision.denials().collect();
    let link = denials.first().map(|first| format!(" See {}", policy.page_of(first.code())));
    let link = link.unwrap_or_default();
    let mut message = format!("{object}{}:", recognised(&admission.subject));
    for (position, finding) in denials.iter().enumerate() {
        let rest = denials.get(position + 1..).unwrap_or_default();
        let reserved = message.len() + link.len() + also(rest).len();
        let room = MAX_MESSAGE.saturating_sub(reserved);
        let full = format!(" {finding}.");
        let short = format!(" {} {}: {}.", finding.code(), finding.path(), finding.message());
        if full.len() <= room {
            message.push_str(&full);
        } else if position == 0 || short.len() <= room {
            message.push_str(&one_line(&short, room));
        } else {
            message.push_str(&also(denials.get(position..).unwrap_or_default()));
            break;
        }
    }
    message.push_str(&link);
    let way = break_glass(&denials, policy);
    if message.len() + way.len() <= MAX_MESSAGE {
        message.push_str(&way);
    }
    one_line(&message, MAX_MESSAGE)
}

/// How a person lets a release through that the gate holds, where nothing else would still refuse it.
fn break_glass(denials: &[&Finding], policy: &Policy) -> String {
    if denials.is_empty() || !denials.iter().all(|finding| finding.yields_to_bypass()) {
        return String::new();
    }
    let site = policy.docs.strip_suffix("rules/").unwrap_or(&policy.docs);
    format!(" Or a person lets it through by a GateOverride (Bypass): {site}overrides")
}

/// The codes of findings that there is no room to tell.
fn also(findings: &[&Finding]) -> String {
    let mut codes: Vec<&str> = findings.iter().map(|finding| finding.code()).collect();
    codes.dedup();
    if codes.is_empty() { String::new() } else { format!(" Also {}.", codes.join(", ")) }
}

fn recognised(subject: &Subject<'_>) -> String {
    match subject {
        Subject::Job(job) if !job.recognition.reason.is_empty() => {
            format!(" ({}: {})", job.recognition.role.name(), job.recognition.reason)
        }
        _ => String::new(),
    }
}

/// A finding as a warning: with its help where that leaves it short enough to be read at a glance.
fn warning(finding: &Finding) -> String {
    let text = finding.to_string();
    if text.len() <= SHORT_WARNING {
        return one_line(&text, MAX_WARNING);
    }
    let (code, path, message) = (finding.code(), finding.path(), finding.message());
    one_line(&format!("{code} {path}: {message}"), MAX_WARNING)
}

pub(super) fn prefixed(warning: &str) -> String {
    format!("wavegate: {warning}")
}

fn audit_annotations(decision: &Decision) -> BTreeMap<&'static str, String> {
    let codes = |findings: &mut dyn Iterator<Item = &Finding>| {
        findings.map(Finding::code).collect::<Vec<_>>().join(",")
    };
    let denied = codes(&mut decision.denials());
    let warned = codes(&mut decision.warnings());
    let exempted = codes(&mut decision.exempted());
    let entries = [
        ("denied", denied),
        ("warned", warned),
        ("exempted", exempted),
        ("overrides", decision.overrides_named()),
    ];
    entries.into_iter().filter(|(_, codes)| !codes.is_empty()).collect()
}

/// A text on one line of at most `limit` bytes. Argo CD cuts everything that looks like `map[...]` out of
/// messages, so no value of an author's may look so.
pub(super) fn one_line(text: &str, limit: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.contains("map[") {
        line = line.replace("map[", "map [");
    }
    if line.len() > limit {
        line.truncate(line.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_one_line_within_its_limit() {
        assert_eq!(one_line("a\nb\tc", 10), "a b c");
        assert_eq!(one_line("map[a:b]", 20), "map [a:b]");
        assert_eq!(one_line("ééééé", 8), "éé…");
        assert!(one_line(&"x".repeat(600), 500).len() <= 500);
    }
}
