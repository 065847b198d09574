//! A person's word against the gate: each kind at work, what it leaves behind, what the API server refuses, and who is
//! no person.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::{Namespace, Output, eventually};
use crate::events::event;
use crate::gate::manifests::{app, migration, named};
use crate::gate::{becomes_recorded_in, passes_in_time};
use crate::guard::{codes, enforcing, guarded, verdict};

const BOUND: Duration = Duration::from_mins(1);

const BYPASS: &str = include_str!("../../examples/overrides/bypass.yaml");
const ATTEST: &str = include_str!("../../examples/overrides/attest.yaml");
const INVALIDATE: &str = include_str!("../../examples/overrides/invalidate.yaml");
const RETIRE: &str = include_str!("../../examples/overrides/retire.yaml");

fn apply(namespace: &Namespace<'_>, object: &Value) -> Output {
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(object.to_string()).run()
}

fn create(namespace: &Namespace<'_>, yaml: &str) {
    namespace.kubectl().args(["create", "--filename=-"]).stdin(yaml).ok();
}

fn from_now(seconds: i64) -> Timestamp {
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("a time of our century");
    now + SignedDuration::from_secs(seconds)
}

/// The example with an expiry of our own.
fn bypass(expires: Timestamp) -> String {
    let written = "2026-11-24T12:00:00Z";
    assert!(BYPASS.contains(written));
    BYPASS.replace(written, &expires.to_string())
}

/// v1 migrated and runs.
fn shop(test: &str) -> Namespace<'static> {
    let namespace = enforcing(test);
    for object in [migration("v1", "succeed"), app("v1")] {
        passes_in_time("v1 is applied", || apply(&namespace, &object));
    }
    becomes_recorded_in(&namespace, &[("v1", "Succeeded")]);
    namespace
}

#[track_caller]
fn held(output: &Output, words: &str) {
    assert_eq!(verdict(output).denied, codes(&["WG302"]), "{}", output.stderr);
    assert!(output.stderr.contains(words), "{words:?} is not in {}", output.stderr);
}

#[track_caller]
fn passed(output: &Output, words: &[&str]) {
    assert!(output.status.success(), "{}", output.stderr);
    for part in words {
        assert!(output.stderr.contains(part), "{part:?} is not in {}", output.stderr);
    }
}

/// An Event with this reason says so.
#[track_caller]
fn told(namespace: &Namespace<'_>, reason: &str, words: &str) {
    let event = event(namespace, reason);
    let message = event["message"].as_str().unwrap_or_default();
    assert!(message.contains(words), "{words:?} is not in {message}");
}

fn used(kind: &str) -> f64 {
    let (_, wavegate) = guarded();
    let series = format!("wavegate_overrides_used_total{{kind=\"{kind}\"}}");
    wavegate.metric(&series).expect("the series is there from the start")
}

/// What the log says of overrides in decisions about the Deployment: dry run or not, and which were used.
fn logged(namespace: &Namespace<'_>) -> Vec<(bool, String)> {
    let (_, wavegate) = guarded();
    let decisions = wavegate.decisions(namespace.name(), "shop-api").into_iter();
    let decisions = decisions.filter(|line| line["endpoint"] == "/validate/enforce");
    let told = |line: Value| {
        let overrides = line["overrides"].as_str().unwrap_or_default().to_owned();
        (line["dry_run"] == true, overrides)
    };
    decisions.map(told).collect()
}

#[test]
fn a_bypass_lets_the_very_next_try_through_and_leaves_a_trace() {
    let namespace = shop("overrides::bypass");
    let next = named(migration("v2", "fail"), "shop-migrate-v2");
    passes_in_time("v2's migration is applied", || apply(&namespace, &next));
    becomes_recorded_in(&namespace, &[("v1", "Succeeded"), ("v2", "Failed")]);
    let refused = apply(&namespace, &app("v2"));
    held(&refused, "migration Job shop-migrate-v2 failed");
    held(&refused, "Or a person lets it through by a GateOverride (Bypass): https://");
    let before = used("bypass");
    // A year is more than the policy allows: a day is what it gets.
    let long = bypass(from_now(365 * 86_400));
    let created = namespace.kubectl().args(["create", "--filename=-"]).stdin(long).run();
    passed(&created, &["it counts until ", "the policy bounds a Bypass"]);
    let until = namespace.kubectl().args(["get", "gateoverride", "hotfix-v2"]).json();
    let created: Timestamp =
        until["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    let until = (created + SignedDuration::from_hours(24)).to_string();
    let words = [
        "GateOverride hotfix-v2 (Bypass) lets example.com/shop/api:v2 through until",
        &until,
        "INC-4711",
    ];
    let dry = ["apply", "--dry-run=server", "--filename=-"];
    passed(&namespace.kubectl().args(dry).stdin(app("v2").to_string()).run(), &words);
    let other = apply(&namespace, &app("v3"));
    assert_eq!(verdict(&other).denied, codes(&["WG301"]), "another release: {}", other.stderr);
    passed(&apply(&namespace, &app("v2")), &words);
    eventually("the use is counted", BOUND, || (used("bypass") > before).then_some(()));
    told(&namespace, "Overridden", "(Bypass) lets ");
    eventually("the use is logged, that of the dry run is not", BOUND, || {
        let logged = logged(&namespace);
        let real = logged.iter().any(|(dry, named)| !dry && named == "Bypass/hotfix-v2");
        (real && logged.iter().all(|(dry, named)| !dry || named.is_empty())).then_some(())
    });
    let why = std::process::Command::new(env!("CARGO_BIN_EXE_wavegate"))
        .args(["why", "deployment/shop-api", "--image", "example.com/shop/api:v3", "-n"])
        .arg(namespace.name())
        .arg("--kubeconfig")
        .arg(guarded().0.kubeconfig())
        .env_clear()
        .output()
        .expect("wavegate");
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("OVERRIDES") && why.contains("is for another release"), "{why}");
    let table = namespace.kubectl().args(["get", "gateoverrides"]).ok();
    for word in ["KIND", "APP", "WORKLOAD", "RELEASE", "EXPIRES", "REASON", "Bypass", "shop-api"] {
        assert!(table.contains(word), "{word} is not in {table}");
    }
}

#[test]
fn a_bypass_expires() {
    let namespace = shop("overrides::expiry");
    // The second try of v2 is let through as long as the Bypass counts, and v1 is proven.
    create(&namespace, &bypass(from_now(12)));
    let back_and_forth = || {
        passed(&apply(&namespace, &app("v1")), &[]);
        apply(&namespace, &app("v2"))
    };
    passed(&back_and_forth(), &["lets example.com/shop/api:v2 through"]);
    let output = eventually("it counts no more", BOUND, || {
        let output = back_and_forth();
        (!output.status.success()).then_some(output)
    });
    held(&output, "no migration ran for it");
    let (_, wavegate) = guarded();
    eventually("it is shown as expired", BOUND, || {
        let expired = wavegate.metric("wavegate_overrides{kind=\"bypass\",state=\"expired\"}");
        expired.is_some_and(|count| count >= 1.0).then_some(())
    });
}

#[test]
fn an_attest_counts_as_the_migration() {
    let namespace = shop("overrides::attest");
    let next = named(migration("v2", "fail"), "shop-migrate-v2");
    passes_in_time("v2's migration is applied", || apply(&namespace, &next));
    becomes_recorded_in(&namespace, &[("v1", "Succeeded"), ("v2", "Failed")]);
    held(&apply(&namespace, &app("v2")), "failed");
    let before = used("attest");
    let names = namespace.kubectl().args(["get", "migrationrecords"]).json();
    let of_v2 = names["items"].as_array().unwrap().iter().find(|r| r["spec"]["release"] == "v2");
    let of_v2 = of_v2.and_then(|r| r["spec"]["migration"].as_str());
    let of_v2 = of_v2.expect("the record of v2's migration");
    create(&namespace, &ATTEST.replace("shop-migrate\n", &format!("{of_v2}\n")));
    passed(
        &apply(&namespace, &app("v2")),
        &[
            "GateOverride migrated-v2-by-hand (Attest) lets example.com/shop/api:v2 through until it is deleted: The index",
        ],
    );
    eventually("the use is counted", BOUND, || (used("attest") > before).then_some(()));
    told(&namespace, "Overridden", "(Attest) lets ");
    namespace.kubectl().args(["delete", "gateoverride", "migrated-v2-by-hand"]).ok();
    passed(&apply(&namespace, &app("v1")), &[]);
    eventually("it counts no more", BOUND, || {
        let output = apply(&namespace, &app("v2"));
        if output.status.success() {
            passed(&apply(&namespace, &app("v1")), &[]);
            return None;
        }
        held(&output, "failed");
        Some(())
    });
}

#[test]
fn an_invalidate_after_a_restore_asks_for_the_migration_again() {
    let namespace = shop("overrides::invalidate");
    let next = named(migration("v2", "succeed"), "shop-migrate-v2");
    passes_in_time("v2's migration is applied", || apply(&namespace, &next));
    becomes_recorded_in(&namespace, &[("v1", "Succeeded"), ("v2", "Succeeded")]);
    passed(&apply(&namespace, &app("v2")), &[]);
    // Evidence of the same second would still count.
    let later = from_now(2);
    eventually("a second has passed", BOUND, || (Timestamp::now() > later).then_some(()));
    create(&namespace, INVALIDATE);
    let output = eventually("what was proven is held", BOUND, || {
        let output = apply(&namespace, &app("v1"));
        if output.status.success() {
            passed(&apply(&namespace, &app("v2")), &[]);
            return None;
        }
        Some(output)
    });
    held(&output, "GateOverride restored lets nothing older count");
    passed(&apply(&namespace, &app("v2")), &[]);
    // A number at the end is a revision: it is the same migration, which is the one that v1 requires.
    let again = named(migration("v1", "succeed"), "shop-migrate-2");
    passes_in_time("the migration is applied again", || apply(&namespace, &again));
    passes_in_time("v1 is proven again", || apply(&namespace, &app("v1")));
}

#[test]
fn a_retired_app_is_not_held_any_more() {
    let namespace = shop("overrides::retire");
    held(&apply(&namespace, &app("v2")), "no migration ran for it");
    let later = from_now(1);
    eventually("a second has passed", BOUND, || (Timestamp::now() > later).then_some(()));
    let before = used("retire");
    create(&namespace, RETIRE);
    passed(&apply(&namespace, &app("v2")), &["GateOverride no-database-any-more (Retire)"]);
    eventually("the use is counted", BOUND, || (used("retire") > before).then_some(()));
    told(&namespace, "Overridden", "(Retire) lets ");
}

/// What a schema and its rules can say is refused by the API server, with what to write instead.
#[test]
fn a_wrong_override_is_refused() {
    let namespace = enforcing("overrides::schema");
    let spec = |change: &dyn Fn(&mut Value)| {
        let mut object = json!({
            "apiVersion": "wavegate.dev/v1alpha1", "kind": "GateOverride", "metadata": {"name": "x"},
            "spec": {"kind": "Bypass", "app": "shop", "release": "v2", "reason": "x",
                "expiresAt": from_now(600).to_string()},
        });
        change(&mut object["spec"]);
        namespace.kubectl().args(["create", "--filename=-"]).stdin(object.to_string()).run()
    };
    let refused = |words: &str, change: &dyn Fn(&mut Value)| {
        let output = spec(change);
        assert!(!output.status.success(), "{words}");
        assert!(output.stderr.contains(words), "{words:?} is not in {}", output.stderr);
    };
    let without = |field: &'static str| {
        move |spec: &mut Value| {
            spec.as_object_mut().expect("a spec").remove(field);
        }
    };
    refused("spec.reason: Required value", &without("reason"));
    refused("should match '\\S'", &|spec| spec["reason"] = json!("  "));
    refused("spec.reason: Too long", &|spec| spec["reason"] = json!("x".repeat(301)));
    refused("Unsupported value: \"Ignore\"", &|spec| spec["kind"] = json!("Ignore"));
    refused("either app or workload", &without("app"));
    refused("either app or workload", &|spec| {
        spec["workload"] = json!({"kind": "Deployment", "name": "api"});
    });
    refused("Unsupported value: \"Pod\"", &|spec| {
        spec["workload"] = json!({"kind": "Pod", "name": "api"});
    });
    refused("write either image or release", &without("release"));
    refused("write either image or release", &|spec| spec["image"] = json!("shop/api:v2"));
    refused("expiresAt must be set for a Bypass", &without("expiresAt"));
    refused("holds until it is deleted", &|spec| {
        spec["kind"] = json!("Invalidate");
    });
    refused("leave image and release out", &|spec| spec["kind"] = json!("Retire"));
    refused("migration belongs to an Attest", &|spec| spec["migration"] = json!("m"));
    refused("before belongs to an Invalidate", &|spec| {
        spec["before"] = json!("2026-11-24T10:00:00Z");
    });
    refused("date-time", &|spec| spec["expiresAt"] = json!("tomorrow"));
    let output = spec(&|_| {});
    assert!(output.status.success(), "{}", output.stderr);
    let patch = r#"{"spec":{"release":"v3"}}"#;
    let patch = ["patch", "gateoverride", "x", "--type=merge", "--patch", patch];
    let changed = namespace.kubectl().args(patch).run();
    assert!(changed.stderr.contains("delete it and create another"), "{}", changed.stderr);
}

/// Argo CD's account may do everything, by RBAC; what it applies is in Git, and Git alone overrides nothing.
#[test]
fn a_service_account_gives_no_word_and_takes_none() {
    let (control_plane, _) = guarded();
    let namespace = enforcing("overrides::accounts");
    let account = format!("system:serviceaccount:{}:deployer", namespace.name());
    namespace.kubectl().args(["create", "serviceaccount", "deployer"]).ok();
    let binding = format!("{}-deployer", namespace.name());
    let subject = format!("--serviceaccount={}:deployer", namespace.name());
    let bind = ["create", "clusterrolebinding", &binding, "--clusterrole=cluster-admin", &subject];
    control_plane.kubectl().args(bind).ok();
    let by = |account: &str| format!("--as={account}");
    let argocd = "system:serviceaccount:argocd:argocd-application-controller";
    let refused = |output: &Output| {
        assert!(!output.status.success());
        for part in ["a GateOverride is a person's word", "may neither give nor take it"] {
            assert!(output.stderr.contains(part), "{part:?} is not in {}", output.stderr);
        }
    };
    let create_as = |who: &str| {
        let create = ["create", "--filename=-", &by(who), "--as-group=system:masters"];
        namespace.kubectl().args(create).stdin(RETIRE).run()
    };
    eventually("the guard works", BOUND, || {
        let output = create_as(&account);
        if output.status.success() {
            namespace.kubectl().args(["delete", "gateoverride", "--all"]).ok();
            return None;
        }
        refused(&output);
        Some(())
    });
    refused(&create_as(argocd));
    create(&namespace, RETIRE);
    for who in [&account, argocd] {
        let who = by(who);
        let masters = "--as-group=system:masters";
        let delete = ["delete", "gateoverride", "no-database-any-more", &who, masters];
        refused(&namespace.kubectl().args(delete).run());
        let label = ["label", "gateoverride", "no-database-any-more", "a=b", &who, masters];
        refused(&namespace.kubectl().args(label).run());
    }
    let person = [
        "delete",
        "gateoverride",
        "no-database-any-more",
        "--as=alice@example.com",
        "--as-group=system:masters",
    ];
    namespace.kubectl().args(person).ok();
    control_plane.kubectl().args(["delete", "clusterrolebinding", &binding]).ok();
}

/// A namespace is emptied by the controller manager's account.
#[test]
fn overrides_go_with_their_namespace() {
    let (control_plane, _) = guarded();
    let namespace = enforcing("overrides::namespace");
    create(&namespace, RETIRE);
    let delete = ["delete", "namespace", namespace.name(), "--timeout=50s"];
    control_plane.kubectl().args(delete).within(BOUND).ok();
}
