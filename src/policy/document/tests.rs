use serde_json::{Value, json};

use super::{check_expiry, compile, exemption_notices, read};
use crate::domain::fix::Fix;
use crate::domain::glob::Glob;
use crate::policy::exemption::Standing;
use crate::policy::{Policies, Policy, Severity, rules};

fn object(spec: &Value) -> Value {
    json!({"apiVersion": "wavegate.dev/v1alpha1", "kind": "RolloutPolicy",
        "metadata": {"name": "default"}, "spec": spec})
}

fn compiled(spec: &Value) -> Policies {
    compile(&read(&object(spec)).unwrap().spec, &Policy::default()).unwrap()
}

/// What is wrong with a spec: `path: message` each.
fn wrong(spec: &Value) -> Vec<String> {
    let errors = match read(&object(spec)) {
        Ok(document) => compile(&document.spec, &Policy::default()).expect_err("it is wrong"),
        Err(error) => vec![error],
    };
    errors.iter().map(ToString::to_string).collect()
}

fn exemption(patch: &Value) -> Value {
    let mut entry = json!({"rule": "WG101", "namespace": "shop", "name": "m", "reason": "r", "expires": "2027-03-31"});
    for (key, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => drop(entry.as_object_mut().unwrap().remove(key)),
            value => entry[key] = value.clone(),
        }
    }
    json!({"exemptions": [entry]})
}

fn wrong_rules_and_patterns() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({"rules": {"WG999": {}}}),
            "spec.rules.WG999: there is no rule \"WG999\"; `wavegate rules` lists them",
        ),
        (
            json!({"rules": {"wg101": {}}}),
            "spec.rules.wg101: there is no rule \"wg101\"; write WG101",
        ),
        (
            json!({"rules": {"retries-enabled": {}}}),
            "spec.rules.retries-enabled: there is no rule \"retries-enabled\"; write WG101",
        ),
        (
            json!({"rules": {"WG101": {"failures": 2}}}),
            "spec.rules.WG101.failures: it is a parameter of WG305, not of WG101; remove it here",
        ),
        (
            json!({"rules": {"WG101": {"severity": "error"}}}),
            "spec.rules.WG101.severity: unknown variant error, expected one of deny, warn, off",
        ),
        (
            json!({"rules": {"WG101": {"severitty": "off"}}}),
            "spec.rules.WG101.severitty: unknown field severitty",
        ),
        (
            json!({"rules": {"WG102": {"minimumSeconds": 100, "maximumSeconds": 50}}}),
            "spec.rules.WG102.minimumSeconds: the shortest deadline, 100, is longer than the longest, 50; write both",
        ),
        (
            json!({"rules": {"WG101": {"severity": false}}}),
            "spec.rules.WG101.severity: invalid type: boolean false, expected string or map; to YAML a bare off is false: write \"off\" in quotes",
        ),
        (
            json!({"rules": {"WG102": {"minimumSeconds": 0}}}),
            "spec.rules.WG102.minimumSeconds: it is 0; write 1 or more",
        ),
        (
            json!({"rules": {"WG203": {"minimumTtlSeconds": -1}}}),
            "spec.rules.WG203.minimumTtlSeconds: it is -1; write 0 or more",
        ),
        (
            json!({"rules": {"WG305": {"failures": 0}}}),
            "spec.rules.WG305.failures: it is 0; write 1 or more",
        ),
        (
            json!({"rules": {"WG308": {"upstreamNamespace": "Staging"}}}),
            "spec.rules.WG308.upstreamNamespace: \"Staging\" is no name of a namespace",
        ),
        (
            json!({"detection": {"jobNames": ["^migrate$"]}}),
            "spec.detection.jobNames[0]: \"^migrate$\" is no pattern: '^' stands in no name",
        ),
        (
            json!({"detection": {"singletons": [""]}}),
            "spec.detection.singletons[0]: \"\" is no pattern: it is empty",
        ),
        (
            json!({"detection": {"withoutProbes": ["a", "b|c"]}}),
            "spec.detection.withoutProbes[1]: \"b|c\" is no pattern",
        ),
        (
            json!({"detection": {"runners": [{"program": "*"}]}}),
            "spec.detection.runners[0].program: \"*\" is every program; name one",
        ),
        (
            json!({"detection": {"runners": [{"program": "x", "applies": ["--up"]}]}}),
            "spec.detection.runners[0].applies[0]: \"--up\" is no verb",
        ),
    ]
}

fn wrong_settings() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({"detection": {"runners": [{"applies": ["up"]}]}}),
            "spec.detection.runners[0]: missing field program",
        ),
        (
            json!({"floatingTags": ["v[0-9]+"]}),
            "spec.floatingTags[0]: \"v[0-9]+\" is no pattern: '[' stands in no name",
        ),
        (
            json!({"registryAliases": [{"from": "mirror", "to": "docker.io"}]}),
            "spec.registryAliases[0]: \"mirror\" is no registry",
        ),
        (
            json!({"registryAliases": [{"from": "a.example", "to": "b.example"}, {"from": "b.example", "to": "c.example"}]}),
            "spec.registryAliases[0].to: b.example is renamed again by spec.registryAliases[1]",
        ),
        (
            json!({"registryAliases": [{"from": "a.example", "to": "a.example/x"}]}),
            "spec.registryAliases[0].to: a.example/x is renamed again by spec.registryAliases[0]",
        ),
        (
            json!({"registryAliases": [{"from": "a.example", "to": "b.example"}, {"from": "a.example", "to": "c.example"}]}),
            "spec.registryAliases[1].from: a.example stands above already",
        ),
        (
            json!({"evidence": {"creators": ["a b"]}}),
            "spec.evidence.creators[0]: \"a b\" is no pattern",
        ),
        (
            json!({"ordering": "flux"}),
            "spec.ordering: unknown variant flux, expected one of argocd, helm, external",
        ),
        (json!({"knownFor": "6 months"}), "spec.knownFor: \"6 months\" is no duration"),
        (
            json!({"gateOverrides": {"longestBypass": "0h"}}),
            "spec.gateOverrides.longestBypass: \"0h\" is no time at all",
        ),
        (
            json!({"retention": {"failures": 0}}),
            "spec.retention.failures: it is 0; write 1 or more",
        ),
        (
            json!({"waitForDb": {"image": "Acme/Wait"}}),
            "spec.waitForDb.image: \"Acme/Wait\" is no image reference",
        ),
        (
            json!({"waitForDb": {"busyboxImage": "busybox:"}}),
            "spec.waitForDb.busyboxImage: \"busybox:\" is no image reference",
        ),
        (json!({"waitForDb": {"timeout": "1w"}}), "spec.waitForDb.timeout: \"1w\" is no duration"),
        (
            json!({"waitForDb": {"cpu": "lots"}}),
            "spec.waitForDb.cpu: \"lots\" is no quantity above zero",
        ),
        (
            json!({"waitForDb": {"memory": "0Mi"}}),
            "spec.waitForDb.memory: \"0Mi\" is no quantity above zero",
        ),
        (
            json!({"fixes": {"deadlineSeconds": 10}}),
            "spec.fixes.deadlineSeconds: it is 10; WG102 accepts 30 to 86400",
        ),
        (json!({"fixes": {"noRetries": "yes"}}), "spec.fixes.noRetries: invalid type"),
        (
            json!({
                "fixes": {"deadlineSeconds": 600},
                "overrides": [{"namespaces": ["a"], "rules": {"WG102": {"maximumSeconds": 300}}}],
            }),
            "spec.overrides[0].rules.WG102: it accepts 30 to 300, and not the 600 of fixes.deadlineSeconds",
        ),
        (
            json!({"waitForDb": {"database": "postgres://a:b@db"}}),
            "spec.waitForDb.database: it holds credentials",
        ),
    ]
}

fn wrong_overrides_and_exemptions() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"docs": "docs.example.com"}), "spec.docs: \"docs.example.com\" is no address"),
        (json!({"overrides": [{"namespaces": []}]}), "spec.overrides[0].namespaces: it is empty"),
        (
            json!({"overrides": [{"namespaces": ["a*"]}]}),
            "spec.overrides[0].namespaces[0]: \"a*\" is no name of a namespace",
        ),
        (
            json!({"overrides": [{"namespaces": ["a"]}, {"namespaces": ["b", "a"]}]}),
            "spec.overrides[1].namespaces[1]: a stands at spec.overrides[0].namespaces[0] already",
        ),
        (
            json!({"overrides": [{"namespaces": ["a"], "knownFor": "x"}]}),
            "spec.overrides[0].knownFor: \"x\" is no duration",
        ),
        (
            exemption(&json!({"rule": "WG000"})),
            "spec.exemptions[0].rule: there is no rule \"WG000\"",
        ),
        (
            exemption(&json!({"app": "shop"})),
            "spec.exemptions[0]: it names 2 of name, generateName and app; write exactly one",
        ),
        (exemption(&json!({"name": null})), "spec.exemptions[0]: it names 0 of name"),
        (exemption(&json!({"name": "shop-*"})), "spec.exemptions[0]: \"shop-*\" is no exact name"),
        (
            exemption(&json!({"namespace": "*"})),
            "spec.exemptions[0].namespace: \"*\" is no name of a namespace",
        ),
        (exemption(&json!({"reason": " "})), "spec.exemptions[0].reason: it is empty"),
        (exemption(&json!({"reason": null})), "spec.exemptions[0]: missing field reason"),
        (
            exemption(&json!({"expires": "next year"})),
            "spec.exemptions[0].expires: \"next year\" is no date; write the last day, such as 2027-03-31",
        ),
        (
            exemption(&json!({"expires": "2027-02-30"})),
            "spec.exemptions[0].expires: \"2027-02-30\" is no date",
        ),
        (json!({"onUnknwon": "warn"}), "spec.onUnknwon: unknown field onUnknwon"),
    ]
}

#[test]
fn every_error_has_the_path_of_its_field_and_says_what_to_write() {
    let cases = [wrong_rules_and_patterns(), wrong_settings(), wrong_overrides_and_exemptions()];
    for (spec, want) in cases.concat() {
        let errors = wrong(&spec);
        assert_eq!(errors.len(), 1, "{spec}: {errors:?}");
        assert!(errors[0].starts_with(want), "{spec}\n have {}\n want {want}", errors[0]);
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let spec = json!({"knownFor": "x", "floatingTags": ["("], "exemptions": exemption(&json!({"rule": "x", "expires": "y"}))["exemptions"]});
    assert_eq!(wrong(&spec).len(), 4);
}

#[test]
fn what_is_no_policy_is_told_apart() {
    let told = |object: &Value| read(object).unwrap_err().to_string();
    assert_eq!(told(&json!({"kind": "Policy"})), "kind: it is \"Policy\"; write RolloutPolicy");
    let mut other = object(&json!({}));
    other["apiVersion"] = json!("wavegate.dev/v1");
    assert_eq!(told(&other), "apiVersion: it is \"wavegate.dev/v1\"; write wavegate.dev/v1alpha1");
    let mut stray = object(&json!({}));
    stray["rules"] = json!({});
    assert_eq!(told(&stray), "rules: a RolloutPolicy has no such field; write settings below spec");
}

#[test]
fn a_policy_that_says_nothing_changes_nothing() {
    let policies = compiled(&json!({}));
    assert_eq!(format!("{:?}", policies.of("shop")), format!("{:?}", Policy::default()));
}

#[test]
fn a_namespace_has_what_the_cluster_has_but_for_its_own() {
    let policies = compiled(&json!({
        "rules": {"WG101": {"severity": "warn"}, "WG102": {"minimumSeconds": 60}},
        "floatingTags": ["main"],
        "overrides": [{"namespaces": ["a", "b"],
            "rules": {"WG101": {"severity": "off"}, "WG102": {"maximumSeconds": 600}}, "floatingTags": ["dev"]}],
        "exemptions": [
            {"rule": "WG501", "namespace": "b", "app": "x", "reason": "r", "expires": "2027-03-31"},
            {"rule": "WG501", "namespace": "c", "app": "x", "reason": "r", "expires": "2027-03-31"}],
    }));
    let rule = rules::find("WG101").unwrap();
    let seen = |namespace: &str| {
        let policy = policies.of(namespace);
        let tags: Vec<&str> = policy.names.floating.iter().map(Glob::as_str).collect();
        (policy.severity(rule), policy.deadline_seconds.clone(), tags, policy.exemptions.len())
    };
    let (off, warn) = (Severity::Off, Severity::Warn);
    assert_eq!(seen("a"), (off, 60..=600, vec!["dev"], 0));
    assert_eq!(seen("b"), (off, 60..=600, vec!["dev"], 1));
    assert_eq!(seen("c"), (warn, 60..=86_400, vec!["main"], 1));
    assert_eq!(seen("d"), (warn, 60..=86_400, vec!["main"], 0));
}

#[test]
fn exemptions_end_by_themselves_and_are_refused_once_they_have() {
    let spec = exemption(&json!({}));
    let document = read(&object(&spec)).unwrap().spec;
    let policies = compiled(&spec);
    let said = |now: &str| {
        let now = now.parse().unwrap();
        let refused = check_expiry(&document, now).err().map(|errors| errors[0].to_string());
        (exemption_notices(&policies, now), refused, policies.count(Standing::Expired, now))
    };
    assert_eq!(said("2027-01-01T00:00:00Z"), (vec![], None, 0));
    let soon = "the exemption of shop/m from WG101 expires on 2027-03-31".to_owned();
    assert_eq!(said("2027-03-31T23:00:00Z"), (vec![soon], None, 0));
    let (told, refused, expired) = said("2027-04-01T00:00:00Z");
    assert_eq!(told, ["the exemption of shop/m from WG101 expired on 2027-03-31"]);
    let want = "spec.exemptions[0].expires: the exemption expired on 2027-03-31; remove it, or write a day to come";
    assert_eq!((refused.as_deref(), expired), (Some(want), 1));
}

/// What other tests show to change verdicts, and `check` cannot: it has no clock, no dry run and no first install.
#[test]
fn settings_of_the_cluster_reach_their_fields() {
    let policies = compiled(&json!({
        "firstInstall": "deny",
        "knownFor": "36h",
        "dryRun": {"denyFor": ["ci"]},
        "retention": {"successes": 3, "failures": 4},
        "gateOverrides": {"longestBypass": "90m"},
        "waitForDb": {"busyboxUser": 0},
        "fixes": {"noRetries": true, "deadlineSeconds": 600, "doNotEvict": true},
        "overrides": [{
            "namespaces": ["a"], "retention": {"failures": 5}, "waitForDb": {"busyboxUser": 7},
            "fixes": {"deadlineSeconds": 0, "doNotEvict": false, "replaceFailedOnly": true},
        }],
    }));
    let policy = policies.of("shop");
    assert!(policy.first_install_denies);
    assert_eq!(policy.known_for.as_hours(), 36);
    assert_eq!(policy.denied_dry_runs, ["ci"]);
    assert_eq!((policy.retention.successes, policy.retention.failures), (3, 4));
    assert_eq!(policy.longest_bypass.as_mins(), 90);
    assert_eq!(policy.waiter.busybox_user, None);
    let own = policies.of("a");
    assert_eq!((own.retention.successes, own.retention.failures), (3, 5));
    assert_eq!(own.waiter.busybox_user, Some(7));
    let wanted = |policy: &Policy| Fix::ALL.map(|fix| policy.fixes.wants(fix));
    assert_eq!(
        (wanted(policy), wanted(own)),
        ([true, true, false, true], [true, false, true, false])
    );
}

mod statuses {
    use jiff::Timestamp;

    use super::{compiled, exemption};
    use crate::policy::document::status::{RolloutPolicyStatus, Verdict};
    use serde_json::json;

    fn status(
        generation: i64,
        enforced: i64,
        wrong: Option<&str>,
        before: Option<&RolloutPolicyStatus>,
        now: &str,
    ) -> RolloutPolicyStatus {
        let policies = compiled(&exemption(&json!({}))).of_generation(enforced);
        let verdict = wrong.map_or(Verdict::Accepted, Verdict::Invalid);
        let now: Timestamp = now.parse().unwrap();
        RolloutPolicyStatus::new(generation, verdict, &policies, before, now)
    }

    const FIRST: &str = "2027-01-01T00:00:00Z";
    const LATER: &str = "2027-03-30T00:00:00Z";

    #[test]
    fn what_has_not_changed_keeps_its_time_and_is_not_written_again() {
        let first = status(2, 2, None, None, FIRST);
        assert!(first.replaces(None));
        let again = status(2, 2, None, Some(&first), "2027-01-02T00:00:00Z");
        assert!(!again.replaces(Some(&first)), "another replica says the same");
        let later = status(2, 2, None, Some(&first), LATER);
        assert!(later.replaces(Some(&first)));
        let times: Vec<String> =
            later.conditions.iter().map(|c| c.last_transition_time.to_string()).collect();
        assert_eq!(times, [FIRST, LATER], "only ExemptionsExpiring has turned");
        assert_eq!((later.exemptions.active, later.exemptions.expiring), (1, 1));
    }

    #[test]
    fn replicas_that_differ_do_not_answer_each_other_without_end() {
        let good = status(3, 2, Some("wrong"), None, FIRST);
        let restarted = status(3, 0, Some("wrong"), Some(&good), FIRST);
        assert!(restarted.replaces(Some(&good)), "the least that is enforced is told");
        let answer = status(3, 2, Some("wrong"), Some(&restarted), FIRST);
        assert!(!answer.replaces(Some(&restarted)));
        let old = status(2, 2, None, Some(&good), FIRST);
        assert!(!old.replaces(Some(&good)), "a replica that is behind");
    }
}
