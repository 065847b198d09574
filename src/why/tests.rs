//! What an explanation says, from the facts to the words.

use serde_json::{Value, json};

use super::*;
use crate::cluster::sample::{Sample, at};
use crate::cluster::{Attempt, Override, Reading};
use crate::domain::record::RecordFailure;
use crate::domain::role::Confidence;
use crate::domain::workload::WorkloadKind;
use crate::policy::{Policy, Severity};

fn deployment(tag: &str) -> Value {
    json!({
        "metadata": {"name": "shop-api", "namespace": "shop"},
        "spec": {
            "replicas": 2,
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"spec": {"containers": [
                {"name": "api", "image": format!("shop/api:{tag}"),
                 "readinessProbe": {"httpGet": {"path": "/", "port": 80}}},
                {"name": "exporter", "image": "prom/exporter:1"},
            ]}},
        },
    })
}

/// The mode by entries that ask about namespaces with a label only.
fn mode(label: Option<&str>) -> NamespaceMode {
    let entry = |mode: &str, operator: &str, values: &[&str]| {
        json!({
            "name": format!("workloads.{mode}.wavegate.dev"),
            "clientConfig": {"url": format!("https://127.0.0.1/validate/{mode}")},
            "namespaceSelector": {"matchExpressions": [
                {"key": "wavegate.dev/mode", "operator": operator, "values": values},
            ]},
        })
    };
    let webhooks =
        [entry("enforce", "In", &["enforce"]), entry("warn", "NotIn", &["enforce", "off"])];
    let configuration = serde_json::from_value(json!({"webhooks": webhooks})).unwrap();
    let label = label.map(|label| ("wavegate.dev/mode".to_owned(), label.to_owned()));
    let labels = label.into_iter().collect();
    NamespaceMode::of("shop", Ok(&labels), &Registration::Read(configuration))
}

fn seen(label: Option<&str>, jobs: Vec<Sample>, records: Vec<Sample>) -> Seen {
    let attempts =
        |list: Vec<Sample>| list.into_iter().map(Sample::attempt).collect::<Vec<Attempt>>();
    Seen {
        target: Target { kind: WorkloadKind::Deployment, name: "shop-api".to_owned() },
        namespace: "shop".to_owned(),
        mode: mode(label),
        object: deployment("v1"),
        reading: Reading { jobs: attempts(jobs), records: attempts(records), ..Reading::default() },
    }
}

/// v1 migrated and runs, v2's migration failed.
fn failed(label: Option<&str>) -> Seen {
    let v2 = Sample::new("m2", "v2").created(100).failed(103);
    let v2 = v2.with(|attempt| attempt.reason = Some("BackoffLimitExceeded".to_owned()));
    seen(label, vec![v2], vec![Sample::new("m1", "v1").succeeded(9)])
}

fn explained(seen: &Seen, image: Option<&str>) -> (Explanation, String) {
    let explanation = explain(seen, image, &Policy::default(), at(1000)).unwrap();
    let text = explanation.text();
    let longest = text.lines().map(str::len).max();
    assert!(longest.is_some_and(|longest| longest <= 100), "{text}");
    (explanation, text)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(flat.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_failed_migration_is_told_with_its_job_and_the_way_back() {
    let (explanation, text) = explained(&failed(Some("enforce")), Some("shop/api:v2"));
    assert!(!explanation.is_admitted());
    has(
        &text,
        &[
            "Deployment shop/shop-api has shop/api:v1",
            "migration shop-migrate (`manage.py migrate`): both use the image repository docker.io/shop/api",
            "v1 Succeeded 9s shop-migrate job-m1 (gone) does not count: made for another release",
            "v2 Failed 3s shop-migrate job-m2 BackoffLimitExceeded; holds: it must succeed",
            "VERDICT: shop/api:v2 is held",
            "the webhook answers: Deployment shop/shop-api: WG302 spec.template.spec.containers[0].image: is shop/api:v2, and migration Job job-m2 failed (BackoffLimitExceeded)",
            "kubectl logs -n shop job/job-m2",
            "or go back to a release that is proven: shop/api:v1",
            "kubectl set image -n shop deployment/shop-api api=shop/api:v1",
        ],
    );
}

#[test]
fn the_last_step_is_an_override_that_lacks_its_reason_alone() {
    let last = |scene: &Seen, image: Option<&str>| {
        let (explanation, text) = explained(scene, image);
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(text.contains("last resort"), json.to_string().contains("last resort"));
        let steps = json["next"].as_array().unwrap().clone();
        let is_override = |step: &&Value| step.to_string().contains("GateOverride");
        assert!(!steps.iter().rev().skip(1).any(|step| is_override(&step)), "{json}");
        let step = steps.last().filter(is_override)?;
        let command = step["commands"][0].as_str().unwrap();
        for line in command.lines() {
            assert!(text.contains(&format!("\n       {line}\n")), "{line:?} is not in {text}");
        }
        Some(command.to_owned())
    };
    let override_of = |release: &str| {
        let lines = [
            "printf %s '",
            "apiVersion: wavegate.dev/v1alpha1",
            "kind: GateOverride",
            r#"metadata: {generateName: "shop-api-"}"#,
            "spec:",
            "  kind: Bypass",
            r#"  workload: {kind: Deployment, name: "shop-api"}"#,
            release,
            r#"  reason: """#,
            r#"  expiresAt: "2027-01-15T09:16:40Z""#,
            "' | kubectl create -n shop -f -",
        ];
        Some(lines.join("\n"))
    };
    let v2 = Some("shop/api:v2");
    assert_eq!(last(&failed(Some("enforce")), v2), override_of(r#"  image: "shop/api:v2""#));
    let token = |release: &str| {
        let mut scene = failed(Some("enforce"));
        scene.object["metadata"]["annotations"] = json!({"wavegate.dev/release": release});
        last(&scene, v2)
    };
    assert_eq!(token("it's-7"), override_of(r#"  release: "it\u0027s-7""#));
    // Nothing refuses it here, or a Bypass alone would not let it through.
    assert_eq!(last(&failed(Some("warn")), v2), None);
    assert_eq!(last(&failed(Some("off")), v2), None);
    let mut scene = Seen { object: deployment("v2"), ..failed(Some("enforce")) };
    assert_eq!(last(&scene, None), override_of(r#"  image: "shop/api:v2""#));
    scene.object["metadata"]["labels"] = json!({"wavegate.dev/app": "shop"});
    scene.object["spec"]["strategy"] = json!({"type": "Recreate"});
    assert_eq!(last(&scene, None), None);
}

#[test]
fn what_is_not_proven_upstream_yields_to_a_bypass_as_well() {
    let mut policy = Policy::default();
    policy.upstream = Some("staging".to_owned());
    policy.set_severity("WG308", Severity::Deny);
    let v2 = Sample::new("m2", "v2").created(100).succeeded(103);
    let scene = seen(Some("enforce"), vec![], vec![Sample::new("m1", "v1").succeeded(9), v2]);
    let explanation = explain(&scene, Some("shop/api:v2"), &policy, at(1000)).unwrap();
    assert!(!explanation.is_admitted());
    let way = "Or a person lets it through by a GateOverride (Bypass)";
    has(&explanation.text(), &["WG308", way, "kind: Bypass", r#"image: "shop/api:v2""#]);
}

#[test]
fn a_bypass_that_nothing_needs_lets_nothing_through() {
    let spec = json!({"kind": "Bypass", "app": "shop/api", "release": "v2", "reason": "INC-1",
        "expiresAt": at(2000).to_string()});
    let spec = serde_json::from_value(spec).unwrap();
    let bypass = Override::new("shop", "hotfix", Some(at(900)), spec).unwrap();
    let mut scene = failed(Some("enforce"));
    scene.reading.overrides = vec![bypass];
    let told = |policy: &Policy| {
        let explanation = explain(&scene, Some("shop/api:v2"), policy, at(1000)).unwrap();
        assert!(explanation.is_admitted());
        let json = serde_json::to_value(&explanation).unwrap();
        let because = json["verdict"]["releases"][0]["because"].as_str().unwrap().to_owned();
        (because, json["verdict"]["enforced"]["notices"].as_array().unwrap().len())
    };
    let through = "GateOverride hotfix lets it through".to_owned();
    assert_eq!(told(&Policy::default()), (through, 1));
    let mut policy = Policy::default();
    policy.set_severity("WG302", Severity::Warn);
    assert_eq!(told(&policy), ("migration Job job-m2 failed".to_owned(), 0));
}

#[test]
fn what_the_waiter_said_is_told_wherever_the_failure_is() {
    let said = "wait-for-db: db:5432 (from PGHOST) did not accept a connection within 60 s";
    let failure = RecordFailure::new("wait-for-db", 1, Some("Error"), Some(said));
    let v2 = Sample::new("m2", "v2").created(100).failed(163);
    let v2 = v2.with(|attempt| attempt.failure = Some(failure.into()));
    let seen = seen(Some("enforce"), vec![v2], vec![Sample::new("m1", "v1").succeeded(9)]);
    let (explanation, text) = explained(&seen, Some("shop/api:v2"));
    let told = format!("container wait-for-db ended with exit code 1: {said}");
    has(
        &text,
        &[
            &format!("job-m2 {told}; holds: it must succeed"),
            &format!("migration Job job-m2 failed: {told}; see kubectl logs"),
            "kubectl logs -n shop job/job-m2 -c wait-for-db",
        ],
    );
    let json = serde_json::to_value(&explanation).unwrap();
    let rows = json["evidence"].as_array().unwrap();
    assert_eq!(rows[1]["failure"]["exitCode"], 1, "{json}");
}

#[test]
fn a_proven_image_is_admitted() {
    let mut seen = failed(Some("enforce"));
    seen.object = deployment("v0");
    let (explanation, text) = explained(&seen, Some("shop/api:v1"));
    assert!(explanation.is_admitted());
    has(&text, &["shop/api:v1 is admitted", "counts: it proves this release"]);
    assert!(!text.contains("NEXT"), "{text}");
}

#[test]
fn an_image_that_runs_already_is_admitted_whatever_happened() {
    let mut seen = failed(Some("enforce"));
    seen.object = deployment("v2");
    let (explanation, text) = explained(&seen, Some("shop/api:v2"));
    assert!(explanation.is_admitted());
    has(&text, &["it has that image already", "holds: it must succeed"]);
    let (explanation, text) = explained(&seen, None);
    assert!(!explanation.is_admitted(), "created anew it would be held");
    has(&text, &["as it is, created anew, it is held", "applying again what runs always passes"]);
}

#[test]
fn without_an_image_the_newest_migration_is_pointed_at() {
    let (explanation, text) = explained(&failed(Some("enforce")), None);
    assert!(explanation.is_admitted());
    has(&text, &["ask about that wavegate why deployment/shop-api -n shop --image shop/api:v2"]);
}

#[test]
fn only_an_enforcing_namespace_holds() {
    for (label, mode, words) in [
        (Some("warn"), Mode::Warn, "an enforcing namespace would answer"),
        (Some("off"), Mode::Off, "is admitted: wavegate is not asked"),
        (None, Mode::Warn, "has no label wavegate.dev/mode"),
    ] {
        let (explanation, text) = explained(&failed(label), Some("shop/api:v2"));
        let document = serde_json::to_value(&explanation).unwrap();
        assert_eq!(document["mode"]["mode"], serde_json::to_value(mode).unwrap());
        assert_eq!(document["verdict"]["admitted"], true);
        assert_eq!(document["verdict"]["enforced"]["admitted"], false);
        has(&text, &[words, "WG302"]);
    }
    let unread = Registration::Unread("wavegate may not be read by you".to_owned());
    let unknown = NamespaceMode::of("shop", Err("you may not get namespaces"), &unread);
    let seen = Seen { mode: unknown, ..failed(None) };
    assert!(!explained(&seen, Some("shop/api:v2")).0.is_admitted());
}

#[test]
fn a_workload_without_a_migration_is_told_how_to_get_one() {
    let other = Sample::new("x", "v9").repository("shop/other").succeeded(1);
    let (explanation, text) = explained(&seen(Some("enforce"), vec![], vec![other]), None);
    assert!(explanation.is_admitted());
    has(
        &text,
        &["migration shop-migrate (docker.io/shop/other) does not", "wavegate.dev/app: NAME"],
    );
    assert!(!text.contains("EVIDENCE"), "{text}");
}

#[test]
fn each_verdict_has_its_next_step() {
    let running = Sample::new("m2", "v2").created(100);
    let scene = seen(Some("enforce"), vec![running], vec![Sample::new("m1", "v1").succeeded(9)]);
    let (_, text) = explained(&scene, Some("shop/api:v2"));
    has(
        &text,
        &["Running 15m0s", "kubectl logs -n shop job/job-m2 --follow", "kubectl wait -n shop"],
    );

    let gone = Sample::new("m2", "v2").created(100).failed(103);
    let scene = seen(Some("enforce"), vec![], vec![gone]);
    let (_, text) = explained(&scene, Some("shop/api:v2"));
    has(&text, &["Job job-m2 is gone and its logs with it"]);

    let managed = Sample::new("m1", "v1").succeeded(9);
    let managed = managed.with(|a| a.facts.ties.application = Some("team_shop".to_owned()));
    let (_, text) = explained(&seen(Some("enforce"), vec![], vec![managed]), Some("shop/api:v3"));
    has(&text, &["run its migration: sync in full", "argocd app sync team/shop"]);

    let guess = Sample::new("m2", "v2").confidence(Confidence::Medium).failed(103);
    let (explanation, text) =
        explained(&seen(Some("enforce"), vec![guess], vec![]), Some("shop/api:v2"));
    assert!(explanation.is_admitted());
    has(&text, &["only guessed to be a migration", "warning: WG302"]);
}

#[test]
fn what_is_wrong_with_the_object_is_told_as_well() {
    let mut scene = failed(Some("enforce"));
    scene.object["metadata"]["labels"] = json!({"wavegate.dev/app": "shop"});
    scene.object["spec"]["strategy"] = json!({"type": "Recreate"});
    let (_, text) = explained(&scene, None);
    has(&text, &["WG501", "NEXT 1. WG501 spec.strategy.type"]);
}

#[test]
fn an_image_needs_a_container() {
    let wrong = |object: Value, image: &str| {
        let scene = Seen { object, ..seen(Some("enforce"), vec![], vec![]) };
        explain(&scene, Some(image), &Policy::default(), at(1000)).unwrap_err().to_string()
    };
    has(&wrong(deployment("v1"), "shop/web:v2"), &["wavegate.dev/container: NAME"]);
    has(&wrong(deployment("v1"), "Shop:!"), &["is no image"]);
    let borrowed =
        json!({"metadata": {"name": "shop-api"}, "spec": {"workloadRef": {"name": "x"}}});
    has(&wrong(borrowed, "shop/api:v2"), &["workloadRef"]);
    has(&wrong(json!({"metadata": {"name": "a"}, "spec": 7}), "shop/api:v2"), &["cannot be read"]);
    let scene = seen(Some("enforce"), vec![], vec![]);
    let (explanation, _) = explained(&scene, Some("prom/exporter:2"));
    assert!(explanation.is_admitted(), "the repository tells the container");
}
