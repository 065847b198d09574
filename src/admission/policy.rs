//! The answer about a policy that somebody writes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Error, Value};

use super::review::{Cause, Details, Response, Status};
use super::{Admission, Operation};
use crate::admission::respond::{one_line, prefixed, serialise};
use crate::cluster::Override;
use crate::policy::Policy;
use crate::policy::document::weaken::weakenings;
use crate::policy::document::{
    ACTIVE, KIND, PolicyError, RolloutPolicySpec, check_expiry, compile, exemption_notices, read,
};

/// Longest denial in bytes. A person reads it after `kubectl apply`, and a policy may have many errors.
const MAX_MESSAGE: usize = 2000;
/// Longest warning in bytes.
const MAX_WARNING: usize = 256;

/// What was found out about a policy.
#[derive(Debug, Default)]
pub struct PolicyReview {
    /// What is wrong; the policy is refused for it.
    pub errors: Vec<PolicyError>,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// Looks at a `RolloutPolicy` that is created or changed. Anything else is let through.
pub fn review_policy(admission: &Admission<'_>, base: &Policy, now: Timestamp) -> PolicyReview {
    let mut review = PolicyReview::default();
    let written = matches!(admission.operation, Operation::Create | Operation::Update);
    if admission.kind != KIND || !written {
        return review;
    }
    let object: Value = serde_json::from_str(admission.object).unwrap_or_default();
    let old: Option<Value> = admission.old_text().and_then(|old| serde_json::from_str(old).ok());
    let unchanged = old.is_some_and(|old| old.get("spec") == object.get("spec"));
    match examine(&object, base, now) {
        Ok((spec, notices)) => {
            review.warnings.extend(notices);
            review.warnings.extend(weakenings(&spec));
        }
        // What stands there already is no reason to refuse a label; nor is a day that has passed since.
        Err(errors) if unchanged => {
            review.warnings.extend(errors.iter().map(ToString::to_string));
        }
        Err(errors) => review.errors = errors,
    }
    if admission.name != ACTIVE {
        let warning =
            format!("only the {KIND} named {ACTIVE} is in force; {} does nothing", admission.name);
        review.warnings.push(warning);
    }
    review
}

/// Looks at a `GateOverride` that is created. Its shape is the API server's to check; what it cannot know is told.
pub fn review_override(admission: &Admission<'_>, policy: &Policy, now: Timestamp) -> PolicyReview {
    let mut review = PolicyReview::default();
    if admission.operation != Operation::Create {
        return review;
    }
    let Ok(mut one) = Override::read(&admission.namespace, admission.object) else {
        return review;
    };
    one.created = one.created.min(now);
    let Some(until) = one.until(policy.longest_bypass) else { return review };
    if until <= now {
        review.warnings.push(format!("it expired at {until} and does nothing"));
    } else if one.spec.expires_at.is_some_and(|wanted| wanted > until) {
        review
            .warnings
            .push(format!("it counts until {until}: the policy bounds a {}", one.kind()));
    }
    review
}

type Examined = (RolloutPolicySpec, Vec<String>);

/// Everything that is wrong with a new policy, or its spec and what is to be said of its exemptions.
fn examine(object: &Value, base: &Policy, now: Timestamp) -> Result<Examined, Vec<PolicyError>> {
    let document = read(object).map_err(|error| vec![error])?;
    let expiry = check_expiry(&document.spec, now);
    match (compile(&document.spec, base), expiry) {
        (Ok(policies), Ok(())) => Ok((document.spec, exemption_notices(&policies, now))),
        (compiled, expiry) => {
            let mut errors = compiled.err().unwrap_or_default();
            errors.extend(expiry.err().unwrap_or_default());
            Err(errors)
        }
    }
}

/// Writes the answer.
///
/// # Errors
///
/// Fails where it cannot be written as JSON, which is a defect.
pub fn answer_policy(admission: &Admission<'_>, review: &PolicyReview) -> Result<Vec<u8>, Error> {
    let allowed = review.errors.is_empty();
    let warnings = review.warnings.iter().map(|text| prefixed(&one_line(text, MAX_WARNING)));
    serialise(Response {
        uid: Cow::Borrowed(&admission.uid),
        allowed,
        status: (!allowed).then(|| refusal(admission, &review.errors)),
        warnings: warnings.collect(),
        audit_annotations: BTreeMap::new(),
        ..Response::default()
    })
}

fn refusal(admission: &Admission<'_>, errors: &[PolicyError]) -> Status {
    let cause = |error: &PolicyError| Cause {
        reason: "FieldValueInvalid",
        message: error.message.clone(),
        field: error.path.clone(),
    };
    let mut message = format!("{KIND} {}:", admission.name);
    let mut left = Vec::new();
    for error in errors {
        let told = format!(" {error}.");
        if message.len() + told.len() <= MAX_MESSAGE {
            message.push_str(&told);
        } else {
            left.push(error.path.as_str());
        }
    }
    if !left.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(message, " Also wrong: {}.", left.join(", "));
    }
    Status {
        code: 403,
        reason: "Forbidden",
        message: one_line(&message, MAX_MESSAGE * 2),
        details: Some(Details { causes: errors.iter().map(cause).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admission::decode;

    const NOW: &str = "2027-01-01T12:00:00Z";

    fn reviewed(name: &str, spec: &Value, old: Option<&Value>) -> Value {
        let object = |spec: &Value| {
            json!({"apiVersion": "wavegate.dev/v1alpha1", "kind": KIND,
                "metadata": {"name": name, "generation": 2}, "spec": spec})
        };
        let body = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "operation": if old.is_some() { "UPDATE" } else { "CREATE" }, "name": name,
                "kind": {"group": "wavegate.dev", "version": "v1alpha1", "kind": KIND},
                "object": object(spec), "oldObject": old.map(object),
            },
        });
        let body = body.to_string();
        let admission = decode(body.as_bytes()).unwrap();
        let review = review_policy(&admission, &Policy::default(), NOW.parse().unwrap());
        let answer = answer_policy(&admission, &review).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["response"].clone()
    }

    fn exemption(expires: &str) -> Value {
        json!({"exemptions": [{"rule": "WG101", "namespace": "shop", "name": "m", "reason": "r", "expires": expires}]})
    }

    #[test]
    fn what_is_wrong_is_refused_with_every_path() {
        let spec = json!({
            "rules": {"WG999": {"severity": "warn"}, "WG101": {"failures": 3}},
            "floatingTags": ["v[0-9]+"],
            "exemptions": exemption("2026-12-31")["exemptions"],
        });
        let response = reviewed("default", &spec, None);
        assert_eq!(response["allowed"], false);
        assert_eq!(response["status"]["code"], 403);
        let message = response["status"]["message"].as_str().unwrap();
        let causes = response["status"]["details"]["causes"].as_array().unwrap();
        let fields: Vec<&str> = causes.iter().map(|c| c["field"].as_str().unwrap()).collect();
        let want = [
            "spec.rules.WG101.failures",
            "spec.rules.WG999",
            "spec.floatingTags[0]",
            "spec.exemptions[0].expires",
        ];
        assert_eq!(fields, want);
        assert!(want.iter().all(|path| message.contains(path)), "{message}");
        assert!(!message.contains('\n'));
    }

    #[test]
    fn a_day_that_passed_refuses_a_change_and_not_a_label() {
        let (gone, near, far) =
            (exemption("2026-12-31"), exemption("2027-01-10"), exemption("2027-06-30"));
        assert_eq!(reviewed("default", &gone, None)["allowed"], false);
        assert_eq!(reviewed("default", &gone, Some(&far))["allowed"], false);
        let response = reviewed("default", &gone, Some(&gone));
        assert_eq!(response["allowed"], true);
        assert!(response["warnings"][0].as_str().unwrap().contains("expired on 2026-12-31"));
        let response = reviewed("default", &near, None);
        assert!(response["warnings"][0].as_str().unwrap().contains("expires on 2027-01-10"));
        assert!(reviewed("default", &far, None)["warnings"].is_null());
    }

    #[test]
    fn what_weakens_and_what_does_nothing_is_told() {
        let response = reviewed("other", &json!({"rules": {"WG301": {"severity": "off"}}}), None);
        assert_eq!(response["allowed"], true);
        let warnings = response["warnings"].to_string();
        assert!(warnings.contains("spec.rules.WG301.severity"), "{warnings}");
        assert!(
            warnings.contains("only the RolloutPolicy named default is in force"),
            "{warnings}"
        );
    }
}
