//! The policy on a real API server: what its schema refuses, what the webhook refuses, and what follows of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::alone::{alone, ready};
use crate::cluster::wavegate::Wavegate;
use crate::cluster::{ControlPlane, Namespace, Output, eventually};
use crate::events::event;
use crate::guard::{codes, verdict};

const BOUND: Duration = Duration::from_mins(1);

const BAD: &str = "--filename=examples/bad/wg101-backoff-limit-3.yaml";

pub(crate) fn policy(spec: &Value) -> String {
    json!({"apiVersion": "wavegate.dev/v1alpha1", "kind": "RolloutPolicy",
        "metadata": {"name": "default"}, "spec": spec})
    .to_string()
}

pub(crate) fn apply(control_plane: &ControlPlane, object: &str) -> Output {
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(object).run()
}

fn stored(control_plane: &ControlPlane) -> Value {
    control_plane.kubectl().args(["get", "rolloutpolicy", "default"]).json()
}

/// Waits until a condition of the stored policy has this status, for its newest version.
pub(crate) fn condition(control_plane: &ControlPlane, kind: &str, status: &str) -> Value {
    eventually(&format!("{kind} is {status}"), BOUND, || {
        let policy = stored(control_plane);
        let newest = &policy["metadata"]["generation"];
        let conditions = policy["status"]["conditions"].as_array()?.clone();
        let mut conditions = conditions.into_iter();
        conditions.find(|c| {
            c["type"] == kind && c["status"] == status && c["observedGeneration"] == *newest
        })
    })
}

/// What becomes of a Job that WG101 finds something about.
fn verdict_of(namespace: &Namespace<'_>) -> (bool, String) {
    let output = namespace.kubectl().args(["create", "--dry-run=server", BAD]).run();
    let found = verdict(&output);
    (found.denied == codes(&["WG101"]), output.stderr)
}

fn until_denied(namespace: &Namespace<'_>, want: bool) -> String {
    eventually(&format!("denied: {want}"), BOUND, || {
        let (denied, told) = verdict_of(namespace);
        (denied == want).then_some(told)
    })
}

/// A wavegate that the API server asks, for as long as this is held, and no policy afterwards.
pub(crate) struct Guard<'c>(&'c ControlPlane, Wavegate);

impl<'c> Guard<'c> {
    pub(crate) fn start(control_plane: &'c ControlPlane, name: &str) -> Self {
        let wavegate = ready(control_plane, name);
        wavegate.register(control_plane);
        Self(control_plane, wavegate)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        for what in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"] {
            self.0.kubectl().args(["delete", what, "wavegate", "--ignore-not-found"]).run();
        }
        self.0.kubectl().args(["delete", "rolloutpolicies", "--all"]).run();
    }
}

fn exemption(expires: &str) -> Value {
    json!({"rule": "WG101", "namespace": "shop", "name": "m", "reason": "r", "expires": expires})
}

#[test]
fn the_api_server_refuses_what_the_schema_can_say() {
    let (_turn, control_plane) = alone();
    let mut two = exemption("2999-12-31");
    two["app"] = json!("shop");
    let cases = [
        (json!({"rules": {"WG101": {"severity": "error"}}}), "spec.rules.WG101.severity"),
        (
            json!({"rules": {"retries-enabled": {"severity": "warn"}}}),
            "rules are named by their codes",
        ),
        (json!({"rules": {"WG102": {"minimumSeconds": 0}}}), "spec.rules.WG102.minimumSeconds"),
        (json!({"onUnknown": "allow"}), "spec.onUnknown"),
        (json!({"onUnknwon": "warn"}), "unknown field \"spec.onUnknwon\""),
        (json!({"knownFor": "6 months"}), "spec.knownFor"),
        (json!({"exemptions": [two]}), "write exactly one of name, generateName and app"),
        (json!({"exemptions": [exemption("soon")]}), "spec.exemptions[0].expires"),
        (json!({"exemptions": [{"rule": "WG101"}]}), "spec.exemptions[0].reason"),
        (json!({"overrides": [{"namespaces": []}]}), "spec.overrides[0].namespaces"),
        (
            json!({"registryAliases": [{"from": "a.b", "to": "c.d"}, {"from": "a.b", "to": "e.f"}]}),
            "spec.registryAliases[1]",
        ),
    ];
    for (spec, want) in cases {
        let create = ["create", "--dry-run=server", "--filename=-"];
        let output = control_plane.kubectl().args(create).stdin(policy(&spec)).run();
        assert!(!output.status.success(), "{spec} was taken");
        assert!(output.stderr.contains(want), "{want}\n{}", output.stderr);
    }
}

#[test]
fn the_example_is_accepted_and_a_wrong_policy_is_refused_as_check_refuses_it() {
    let (_turn, control_plane) = alone();
    let guard = Guard::start(control_plane, "policy-refused");
    let wrong = json!({
        "rules": {"WG999": {"severity": "warn"}},
        "floatingTags": ["v[0-9]+"],
        "registryAliases": [{"from": "a.example", "to": "b.example"}, {"from": "b.example", "to": "c.example"}],
        "exemptions": [exemption("2020-01-31")],
    });
    let output = apply(control_plane, &policy(&wrong));
    assert!(!output.status.success());
    assert!(
        output.stderr.contains("\"policies.wavegate.dev\" denied the request"),
        "{}",
        output.stderr
    );
    let file = control_plane.directory().join("wrong-policy.json");
    std::fs::write(&file, policy(&wrong)).unwrap();
    let check = Command::new(Path::new(env!("CARGO_BIN_EXE_wavegate")))
        .args(["check", "examples/shop", "--policy"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(2));
    let told = String::from_utf8(check.stderr).unwrap();
    let errors: Vec<&str> =
        told.lines().filter_map(|line| line.split_once(": spec").map(|(_, rest)| rest)).collect();
    assert_eq!(errors.len(), 4, "{told}");
    for error in errors {
        assert!(output.stderr.contains(error), "{error}\n{}", output.stderr);
    }
    let output = control_plane.kubectl().args(["apply", "--filename=examples/policy.yaml"]).run();
    assert!(output.status.success(), "{}", output.stderr);
    condition(control_plane, "Accepted", "True");
    let table = control_plane.kubectl().args(["get", "rolloutpolicies"]).ok();
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "ACTIVE", "ACCEPTED", "ENFORCED", "EXEMPTIONS", "EXPIRING", "AGE"]);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row.get(..6), Some(&["default", "true", "True", "1", "3", "0"][..]), "{table}");
    drop(guard);
}

#[test]
fn a_change_is_in_force_at_once_and_a_wrong_one_leaves_the_last_good_one() {
    let (_turn, control_plane) = alone();
    let guard = Guard::start(control_plane, "policy-reload");
    let namespace = control_plane.namespace("policy::reload", &[("wavegate.dev/mode", "enforce")]);
    until_denied(&namespace, true);
    let warn = json!({"rules": {"WG101": {"severity": "warn"}}});
    assert!(apply(control_plane, &policy(&warn)).status.success());
    let told = until_denied(&namespace, false);
    assert!(told.contains("Warning: wavegate: WG101"), "{told}");
    condition(control_plane, "Accepted", "True");
    let generation = guard.1.metric("wavegate_policy_generation ");
    assert_eq!(generation, stored(control_plane)["metadata"]["generation"].as_f64());

    // It gets in while nobody is asked about policies.
    let webhooks = guard.1.configurations(guard.0);
    let without =
        webhooks.replace("resources: [rolloutpolicies, gateoverrides]", "resources: [nothing]");
    assert_ne!(without, webhooks);
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(without).ok();
    let wrong = json!({"rules": {"WG101": {"severity": "deny"}}, "floatingTags": ["("]});
    eventually("the wrong policy gets in", BOUND, || {
        apply(control_plane, &policy(&wrong)).status.success().then_some(())
    });
    let accepted = condition(control_plane, "Accepted", "False");
    assert_eq!(accepted["reason"], "Invalid");
    let message = accepted["message"].as_str().unwrap();
    assert!(message.starts_with("generation 1 stays in force: spec.floatingTags[0]:"), "{message}");
    assert!(!verdict_of(&namespace).0, "the last good one stays in force");
    assert_eq!(guard.1.metric("wavegate_policy_invalid "), Some(1.0));
    assert_eq!(guard.1.metric("wavegate_policy_generation "), Some(1.0));

    // One that starts now has no last good one.
    let late = ready(control_plane, "policy-late");
    assert_eq!(late.metric("wavegate_policy_invalid "), Some(1.0));
    assert_eq!(late.metric("wavegate_policy_generation "), Some(0.0));
    eventually("the status says what the least of the replicas enforces", BOUND, || {
        (stored(control_plane)["status"]["enforcedGeneration"] == 0).then_some(())
    });
    drop(late);

    control_plane.kubectl().args(["delete", "rolloutpolicy", "default"]).ok();
    until_denied(&namespace, true);
}

#[test]
fn an_exemption_lets_through_and_says_until_when() {
    let (_turn, control_plane) = alone();
    let guard = Guard::start(control_plane, "policy-exempt");
    let namespace = control_plane.namespace("policy::exempt", &[("wavegate.dev/mode", "enforce")]);
    let other = control_plane.namespace("policy::not-exempt", &[("wavegate.dev/mode", "enforce")]);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5 * 24);
    let soon = soon.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
    let spec = json!({"exemptions": [{"rule": "WG101", "namespace": namespace.name(), "name": "shop-migrate",
        "reason": "the runner retries", "expires": soon}]});
    let output = apply(control_plane, &policy(&spec));
    assert!(output.status.success(), "{}", output.stderr);
    assert!(output.stderr.contains(&format!("from WG101 expires on {soon}")), "{}", output.stderr);
    until_denied(&namespace, false);
    let output = namespace.kubectl().args(["create", BAD]).run();
    assert!(output.status.success(), "{}", output.stderr);
    let told = format!("(exempt until {soon}, which is soon: the runner retries)");
    assert!(output.stderr.contains(&told), "{}", output.stderr);
    let event = event(&namespace, "Exempted");
    assert!(event["message"].as_str().is_some_and(|message| message.contains(&told)), "{event}");
    assert!(verdict_of(&other).0, "nothing else is exempt");
    let expiring = condition(control_plane, "ExemptionsExpiring", "True");
    assert!(expiring["message"].as_str().unwrap().contains(&soon));
    assert_eq!(guard.1.metric("wavegate_exempted_total{code=\"WG101\"}"), Some(1.0));
    assert_eq!(guard.1.metric("wavegate_exemptions{state=\"expiring\"}"), Some(1.0));
    let late = json!({"exemptions": [{"rule": "WG101", "namespace": "shop", "app": "a", "reason": "r", "expires": "2020-01-31"}]});
    let output = apply(control_plane, &policy(&late));
    let want = "spec.exemptions[0].expires: the exemption expired on 2020-01-31";
    assert!(!output.status.success() && output.stderr.contains(want), "{}", output.stderr);
    drop(guard);
}

#[test]
fn a_policy_of_another_name_does_nothing_and_says_so() {
    let (_turn, control_plane) = alone();
    let guard = Guard::start(control_plane, "policy-other");
    let other = policy(&json!({"rules": {"WG101": {"severity": "warn"}}}))
        .replace("\"name\":\"default\"", "\"name\":\"other\"");
    let output = apply(control_plane, &other);
    assert!(
        output.stderr.contains("only the RolloutPolicy named default is in force"),
        "{}",
        output.stderr
    );
    let reason = eventually("the status says so", BOUND, || {
        let policy = control_plane.kubectl().args(["get", "rolloutpolicy", "other"]).json();
        policy.pointer("/status/conditions/0/reason").cloned()
    });
    assert_eq!(reason, "NotActive");
    assert_eq!(guard.1.metric("wavegate_policy_generation "), Some(0.0));
    drop(guard);
}
