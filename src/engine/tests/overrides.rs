//! What a use of an override leaves in a decision and its answer.

use super::gate::app;
use super::*;
use crate::admission::answer_validation;
use crate::cluster::Override;
use crate::cluster::sample::{Sample, at};
use crate::cluster::{Reading, WorkloadFacts};
use crate::domain::manifest::PodTemplate;
use crate::policy::exemption::{Exemption, Target};
use crate::policy::{OnUnknown, Severity};

const NOW: i64 = 1000;

/// v1 migrated, and v2 is bypassed.
fn state() -> ClusterState {
    let mut state = super::gate::state();
    let spec = json!({"kind": "Bypass", "app": "shop/api", "release": "v2", "reason": "INC-1",
        "expiresAt": at(2000).to_string()});
    let spec = serde_json::from_value(spec).unwrap();
    let bypass = Override::new("shop", "hotfix", Some(at(900)), spec).unwrap();
    state.overrides_mut().observe(bypass);
    state
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

/// The rule only warns, somebody exempted the workload, or what cannot be confirmed is let through.
#[test]
fn what_would_not_be_refused_uses_nothing() {
    let mut warns = Policy::default();
    warns.set_severity("WG302", Severity::Warn);
    let mut exempts = Policy::default();
    exempts.exemptions.push(Exemption {
        rule: "WG302",
        namespace: "shop".to_owned(),
        target: Target::Name("api".to_owned()),
        reason: "no schema".to_owned(),
        expires: "2999-01-01".parse().unwrap(),
    });
    for policy in [warns, exempts] {
        let (decision, response) = answer(|_| {}, Mode::Enforce, &policy);
        assert_eq!(response["allowed"], true, "{response}");
        let warnings = response["warnings"].to_string();
        assert!(
            warnings.contains("WG302") && !warnings.contains("GateOverride hotfix"),
            "{warnings}"
        );
        assert_eq!(decision.overrides_used(), []);
    }
    let mut policy = Policy::default();
    policy.on_unknown = OnUnknown::Warn;
    let body = Request::update(app("v1"), app("v2")).body();
    let dark = state().unconfirmed("no answer");
    let decision = evaluate(&decode(&body).unwrap(), &dark, &policy, Mode::Enforce, at(NOW));
    assert!(decision.is_allowed(), "{decision:?}");
    assert_eq!((decision.overrides_used(), decision.notices.len()), (&[][..], 0), "{decision:?}");
}

/// v1.1 was prepared by hand, and nothing else says that it may stay where v1's contract is run.
#[test]
fn a_contract_that_a_word_lets_through_leaves_its_trace() {
    let mut job = job();
    job["metadata"]["labels"]["wavegate.dev/phase"] = json!("contract");
    job["metadata"]["annotations"]["wavegate.dev/contract-safe-from"] = json!("v1");
    job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/api:v2");
    let (_, stamped) = mutated(&job, Mode::Enforce);
    let body = Request::create(stamped).body();
    let admission = decode(&body).unwrap();
    let json = r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"api","image":"shop/api:v1.1"}]}}"#;
    let pod: PodTemplate<'_> = serde_json::from_str(json).unwrap();
    let decide = |attests: &[&str], policy: &Policy| {
        let attest = |release: &&str| {
            let spec =
                json!({"kind": "Attest", "app": "shop/api", "release": release, "reason": "DBA"});
            let spec = serde_json::from_value(spec).unwrap();
            Override::new("shop", &format!("by-hand-{release}"), Some(at(900)), spec).unwrap()
        };
        let reading = Reading {
            running: vec![WorkloadFacts::of_pod(&pod, "shop", None)],
            records: vec![Sample::new("m1", "v1").succeeded(30).attempt()],
            overrides: attests.iter().map(attest).collect(),
            ..Reading::default()
        };
        let state = ClusterState::default().confirmed("shop", reading);
        let decision = evaluate(&admission, &state, policy, Mode::Enforce, at(NOW));
        (decision.is_allowed(), decision.overrides_named())
    };
    let policy = Policy::default();
    assert_eq!(decide(&[], &policy), (false, String::new()));
    let used = "Attest/by-hand-v1.1".to_owned();
    assert_eq!(decide(&["v1.1"], &policy), (true, used.clone()));
    assert_eq!(decide(&["v1.1", "v9"], &policy), (true, used), "the other is not needed");
    let mut warns = Policy::default();
    warns.set_severity("WG307", Severity::Warn);
    assert_eq!(decide(&["v1.1"], &warns), (true, String::new()));
}
