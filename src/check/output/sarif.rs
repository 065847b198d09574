//! The report in SARIF 2.1.0, which code scanning and editors read.
//!
//! Source: the OASIS standard, <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>, with what
//! [GitHub](https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning)
//! asks for beyond it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::level;
use crate::check::load::{Bundle, STDIN};
use crate::check::{Checked, Place, Report};
use crate::policy::{Effect, Policy, Rule, Severity};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The reports of all bundles as one run, ended by a newline.
pub fn render(checked: &[(Bundle, Report)], policy: &Policy) -> Result<String, serde_json::Error> {
    let mut rules: Vec<&'static Rule> = Vec::new();
    let (mut results, mut notifications) = (Vec::new(), Vec::new());
    for (bundle, report) in checked {
        for found in &report.findings {
            let rule = found.finding.rule();
            let index = rules.iter().position(|known| *known == rule).unwrap_or_else(|| {
                rules.push(rule);
                rules.len() - 1
            });
            results.push(result(found, index, bundle));
        }
        let notification = |level: &str, place: &Place, message: &str| {
            let location = json!({"physicalLocation": physical(bundle, place)});
            json!({"level": level, "message": literal(message), "locations": [location]})
        };
        let errors = report.errors.iter();
        notifications.extend(errors.map(|e| notification("error", &e.place, &e.message)));
        let notices = report.notices.iter();
        notifications.extend(notices.map(|n| notification("note", &n.place, &n.message)));
    }
    let rules: Vec<Value> = rules.into_iter().map(|rule| descriptor(rule, policy)).collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "wavegate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": policy.docs,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": checked.iter().all(|(_, report)| report.errors.is_empty()),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn descriptor(rule: &Rule, policy: &Policy) -> Value {
    let page = rule.page();
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary()},
        "fullDescription": {"text": rule.summary()},
        "help": {"text": page, "markdown": page},
        "helpUri": policy.page_of(rule.code),
        "defaultConfiguration": match rule.severity {
            Severity::Deny => json!({"level": level(Effect::Deny)}),
            Severity::Warn => json!({"level": level(Effect::Warn)}),
            Severity::Off => json!({"enabled": false}),
        },
    })
}

fn result(found: &Checked, rule_index: usize, bundle: &Bundle) -> Value {
    let (finding, object) = (&found.finding, &found.object);
    let (code, field) = (finding.code(), format!("{object} {}", found.path));
    let exempted = finding.exempted().filter(|_| finding.is_exempted()).map(|exemption| {
        json!({"kind": "external", "status": "accepted", "justification": exemption.reason})
    });
    json!({
        "ruleId": code,
        "ruleIndex": rule_index,
        "level": level(finding.effect()),
        "message": literal(&format!("{object}: {}", found.sentence())),
        "locations": [{
            "physicalLocation": physical(bundle, &found.place),
            "logicalLocations": [{"fullyQualifiedName": field}],
        }],
        // Tells a finding from others of its file, wherever its line has moved.
        "partialFingerprints": {"field/v1": format!("{code} {field}")},
        "suppressions": exempted.into_iter().collect::<Vec<_>>(),
    })
}

/// A message that is meant as it stands: in SARIF braces are placeholders (3.11.5).
fn literal(text: &str) -> Value {
    json!({"text": text.replace('{', "{{").replace('}', "}}")})
}

fn physical(bundle: &Bundle, place: &Place) -> Value {
    let location = place.location;
    let marked = bundle.text_of(place).get(location.start..location.end).unwrap_or_default();
    json!({
        "artifactLocation": {"uri": uri(bundle.name_of(place))},
        "region": {
            "startLine": location.line,
            "startColumn": location.column,
            "endLine": location.line,
            "endColumn": location.column + marked.chars().count(),
        },
    })
}

/// A file's name as a reference relative to where the check ran, or as a URI if it is absolute.
fn uri(file: &str) -> String {
    if file == STDIN {
        return "stdin".to_owned();
    }
    let mut uri = String::from(if file.starts_with('/') { "file://" } else { "" });
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_uris() {
        let cases = [
            ("deploy/a.yaml", "deploy/a.yaml"),
            ("../a b/ü.yaml", "../a%20b/%C3%BC.yaml"),
            ("a:b%.yaml", "a%3Ab%25.yaml"),
            ("/srv/a.yaml", "file:///srv/a.yaml"),
            (STDIN, "stdin"),
        ];
        for (file, want) in cases {
            assert_eq!(uri(file), want);
        }
    }
}
