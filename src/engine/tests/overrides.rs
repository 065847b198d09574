//! What a use of an override leaves in a decision and its answer.

use super::*;
use crate::admission::answer_validation;
use crate::cluster::Override;
use crate::cluster::sample::{Sample, at};
use crate::policy::Severity;

const NOW: i64 = 1000;

/// v1 migrated, and v2 is bypassed.
fn state() -> ClusterState {
    let mut state = ClusterState::default();
    state.attempts_mut().observe_record(Sample::new("m1", "v1").succeeded(30).attempt());
    let spec = json!({"kind": "Bypass", "app": "shop/api", "release": "v2", "reason": "INC-1",
        "expiresAt": at(2000).to_string()});
    let spec = serde_json::from_value(spec).unwrap();
    let bypass = Override::new("shop", "hotfix", Some(at(900)), spec).unwrap();
    state.overrides_mut().observe(bypass);
    state
}

fn app(tag: &str) -> Value {
    let mut object = deployment("0");
    object["metadata"]["labels"] = json!({});
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("shop/api:{tag}"));
    object
}

fn answer(change: impl Fn(&mut Value), mode: Mode, policy: &Policy) -> (Decision, Value) {
    let mut body: Value =
        serde_json::from_slice(&Request::update(app("v1"), app("v2")).body()).unwrap();
    change(&mut body["request"]);
    let body = body.to_string().into_bytes();
    let admission = decode(&body).unwrap();
    let decision = evaluate(&admission, &state(), policy, mode, at(NOW));
    let answer = answer_validation(&admission, &decision, policy).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    (decision, answer["response"].clone())
}

#[test]
fn a_use_is_told_to_the_client_and_to_the_audit_log() {
    let (decision, response) = answer(|_| {}, Mode::Enforce, &Policy::default());
    assert_eq!(response["allowed"], true, "{response}");
    assert_eq!(response["auditAnnotations"]["overrides"], "Bypass/hotfix");
    let want = format!(
        "wavegate: GateOverride hotfix (Bypass) lets shop/api:v2 through until {}: INC-1",
        at(2000)
    );
    assert!(response["warnings"].as_array().unwrap().contains(&json!(want)), "{response}");
    assert_eq!(decision.overrides_used().len(), 1);
    assert_eq!(decision.question, None, "what is let through costs no request");
}

#[test]
fn a_dry_run_and_a_warning_namespace_use_nothing() {
    let dry = |request: &mut Value| request["dryRun"] = json!(true);
    let policy = Policy::default();
    for (decision, response) in
        [answer(dry, Mode::Enforce, &policy), answer(|_| {}, Mode::Warn, &policy)]
    {
        assert_eq!(
            (decision.overrides_used(), response["allowed"].clone()),
            (&[][..], json!(true))
        );
        assert!(response["warnings"].to_string().contains("GateOverride hotfix"), "{response}");
        assert_eq!(response["auditAnnotations"]["overrides"], Value::Null);
    }
}

#[test]
fn what_is_refused_all_the_same_uses_nothing() {
    let mut policy = Policy::default();
    policy.set_severity("WG501", Severity::Deny);
    policy.inferred_pairs_deny = true;
    let recreate = |request: &mut Value| {
        request["object"]["spec"]["strategy"] = json!({"type": "Recreate"});
    };
    let (decision, response) = answer(recreate, Mode::Enforce, &policy);
    assert_eq!(response["allowed"], false, "{response}");
    assert!(response["status"]["message"].to_string().contains("WG501"), "{response}");
    assert_eq!(decision.overrides_used(), []);
    assert_eq!(response["auditAnnotations"]["overrides"], Value::Null);
}
