use serde_json::{Value, json};

use jiff::Timestamp;

use super::*;
use crate::admission::{self, decode};
use crate::policy::{Effect, Finding, Severity, rules};

/// A migration Job as an API server sends it, declared so that recognition plays no part.
fn job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": "shop-migrate", "namespace": "shop",
            "labels": {"wavegate.dev/role": "migration"},
            "annotations": {"argocd.argoproj.io/hook": "PreSync"},
        },
        "spec": {
            "backoffLimit": 0, "activeDeadlineSeconds": 300, "futureField": {"kept": true},
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "migrate", "image": "example.com/shop/api:v1", "command": ["/app/prepare"],
                    "env": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}],
                    "futureField": 1,
                }],
            }},
        },
    })
}

fn deployment(max_unavailable: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop", "labels": {"wavegate.dev/app": "shop"}},
        "spec": {
            "strategy": {"rollingUpdate": {"maxUnavailable": max_unavailable}},
            "template": {"spec": {"containers": [
                {"name": "api", "image": "example.com/shop/api:v1", "readinessProbe": {"httpGet": {"port": 80}}},
            ]}},
        },
    })
}

struct Request {
    operation: &'static str,
    object: Value,
    old: Value,
    dry_run: bool,
    field_manager: &'static str,
}

impl Request {
    fn create(object: Value) -> Self {
        Self { operation: "CREATE", object, old: Value::Null, dry_run: false, field_manager: "x" }
    }

    fn update(old: Value, object: Value) -> Self {
        Self { operation: "UPDATE", old, ..Self::create(object) }
    }

    fn body(&self) -> Vec<u8> {
        let group = self.object["apiVersion"].as_str().unwrap().split('/').next().unwrap();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": self.operation, "namespace": "shop",
                "kind": {"group": group, "version": "v1", "kind": self.object["kind"]},
                "name": self.object["metadata"]["name"],
                "userInfo": {"username": "alice"},
                "object": self.object, "oldObject": self.old, "dryRun": self.dry_run,
                "options": {"fieldManager": self.field_manager},
            },
        });
        serde_json::to_vec(&review).unwrap()
    }

    fn decide(&self, mode: Mode) -> Vec<String> {
        self.decide_by(&Policy::default(), mode)
    }

    fn decide_by(&self, policy: &Policy, mode: Mode) -> Vec<String> {
        let body = self.body();
        let admission = decode(&body).unwrap();
        let (state, now) = (ClusterState::default(), Timestamp::UNIX_EPOCH);
        let decision = evaluate(&admission, &state, policy, mode, now);
        let line = |finding: &Finding| format!("{} {}", finding.effect().name(), finding.code());
        let found: Vec<String> = decision.findings.iter().map(line).collect();
        let denies = found.iter().any(|line| line.starts_with("deny"));
        assert_eq!(decision.is_allowed(), !denies);
        found
    }
}

/// What the mutating webhook makes of a Job, and the object after it.
fn mutated(object: &Value, mode: Mode) -> (Mutation, Value) {
    mutated_by(&Policy::default(), object, mode)
}

fn mutated_by(policy: &Policy, object: &Value, mode: Mode) -> (Mutation, Value) {
    let body = Request::create(object.clone()).body();
    let mutation = mutate(&decode(&body).unwrap(), policy, mode);
    let mut after = object.clone();
    json_patch::patch(&mut after, &mutation.patch).unwrap();
    (mutation, after)
}

fn changed(mut object: Value, pointer: &str, value: Value) -> Value {
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

#[test]
fn a_mutated_job_is_clean_and_mutating_it_again_changes_nothing() {
    let (mutation, after) = mutated(&job(), Mode::Enforce);
    assert_eq!(mutation.notices.len(), 1, "{:?}", mutation.notices);
    assert_eq!(
        after.pointer("/spec/template/spec/initContainers/0/name"),
        Some(&json!("wait-for-db"))
    );
    assert_eq!(after.pointer("/spec/futureField/kept"), Some(&json!(true)));
    assert_eq!(
        after.pointer("/spec/template/spec/containers"),
        job().pointer("/spec/template/spec/containers")
    );
    let (again, _) = mutated(&after, Mode::Enforce);
    assert!(again.patch.0.is_empty(), "{:?}", again.patch);
    assert_eq!(Request::create(after).decide(Mode::Enforce), [""; 0]);
}

#[test]
fn warn_mode_stamps_and_does_not_inject() {
    let (_, after) = mutated(&job(), Mode::Warn);
    assert_eq!(after.pointer("/spec/template/spec/initContainers"), None);
    assert_eq!(after.pointer("/metadata/labels/stamp.wavegate.dev~1tracked"), Some(&json!("true")));
    assert_eq!(Request::create(after).decide(Mode::Warn), ["warn WG107"]);
}

#[test]
fn only_jobs_that_are_created_are_mutated() {
    let update = Request::update(job(), job()).body();
    let create = Request::create(deployment("0")).body();
    for body in [update, create] {
        let mutation = mutate(&decode(&body).unwrap(), &Policy::default(), Mode::Enforce);
        assert!(mutation.patch.0.is_empty());
    }
}

#[test]
fn forged_stamps_are_overwritten_or_taken_away() {
    let mut forged = job();
    forged["metadata"]["annotations"]["stamp.wavegate.dev/creator"] = json!("mallory");
    forged["metadata"]["annotations"]["stamp.wavegate.dev/verified"] = json!("yes");
    let (_, after) = mutated(&forged, Mode::Enforce);
    let annotations = &after["metadata"]["annotations"];
    assert_eq!(annotations["stamp.wavegate.dev/creator"], "alice");
    assert_eq!(annotations.get("stamp.wavegate.dev/verified"), None);

    let unrelated = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "report", "labels": {"stamp.wavegate.dev/tracked": "true"}},
        "spec": {"template": {"spec": {"containers": [{"name": "report", "image": "a:1"}]}}},
    });
    assert_eq!(Request::create(unrelated.clone()).decide(Mode::Enforce), ["deny WG310"]);
    let (_, after) = mutated(&unrelated, Mode::Enforce);
    assert_eq!(after["metadata"]["labels"], json!({}));
}

#[test]
fn a_migration_that_was_not_stamped_is_refused_before_it_runs() {
    let (_, stamped) = mutated(&job(), Mode::Enforce);
    let cases = [
        job(),
        changed(stamped.clone(), "/metadata/annotations/stamp.wavegate.dev~1template", json!("0")),
        changed(
            stamped.clone(),
            "/metadata/annotations/stamp.wavegate.dev~1confidence",
            json!("weak"),
        ),
        // Another webhook swapped the image after ours.
        changed(
            stamped.clone(),
            "/spec/template/spec/containers/0/image",
            json!("example.com/shop/api:v2"),
        ),
    ];
    for object in cases {
        let found = Request::create(object).decide(Mode::Enforce);
        assert!(found.contains(&"deny WG310".to_owned()), "{found:?}");
    }
    assert_eq!(Request::create(stamped).decide(Mode::Enforce), [""; 0]);
}

#[test]
fn wg310_tells_a_webhook_that_was_not_asked_from_stamps_of_somebody_else() {
    let said = |object: Value| {
        let body = Request::create(object).body();
        let (state, now) = (ClusterState::default(), Timestamp::UNIX_EPOCH);
        let admission = decode(&body).unwrap();
        let decision = evaluate(&admission, &state, &Policy::default(), Mode::Enforce, now);
        let found = decision.findings.iter().find(|finding| finding.code() == "WG310").unwrap();
        (found.path().to_owned(), found.message().to_owned(), found.help().to_owned())
    };
    let (path, message, help) = said(job());
    assert_eq!(path, "metadata.labels[stamp.wavegate.dev/tracked]");
    assert!(message.contains("was not asked about this Job, or did not answer in time"));
    assert_eq!(help, "create the Job again");
    let mut copied = job();
    copied["metadata"]["annotations"]["stamp.wavegate.dev/template"] = json!("0");
    let (_, message, help) = said(copied);
    assert!(message.starts_with("is not what wavegate computes"), "{message}");
    assert!(help.contains("without stamp.wavegate.dev/ keys"), "{help}");
}

#[test]
fn stamps_survive_what_storage_adds() {
    let (_, stamped) = mutated(&job(), Mode::Enforce);
    let mut stored = stamped;
    stored["spec"]["template"]["metadata"] =
        json!({"labels": {"job-name": "shop-migrate", "batch.kubernetes.io/controller-uid": "1"}});
    assert_eq!(Request::create(stored).decide(Mode::Enforce), [""; 0]);
}

#[test]
fn a_job_keeps_its_keys_after_its_creation() {
    let (_, stamped) = mutated(&job(), Mode::Enforce);
    let without = |pointer: &str, key: &str| {
        let mut object = stamped.clone();
        object.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
        object
    };
    let with = |field: &str, key: &str, value: &str| {
        let mut object = stamped.clone();
        object["metadata"][field][key] = json!(value);
        object
    };
    let refused = [
        with("labels", "wavegate.dev/role", "none"),
        with("annotations", "wavegate.dev/app", "shop"),
        with("annotations", "stamp.wavegate.dev/creator", "bob"),
        without("/metadata/labels", "stamp.wavegate.dev/tracked"),
        without("/metadata/labels", "wavegate.dev/role"),
    ];
    let deleted = |mut object: Value| {
        object["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
        object
    };
    for object in refused.clone().into_iter().chain(refused.map(deleted)) {
        let request = Request::update(stamped.clone(), object);
        assert_eq!(request.decide(Mode::Enforce), ["deny WG311"]);
        assert_eq!(request.decide(Mode::Warn), ["warn WG311"]);
    }
    for object in [with("labels", "team", "x"), deleted(stamped.clone())] {
        assert_eq!(Request::update(stamped.clone(), object).decide(Mode::Enforce), [""; 0]);
    }
}

#[test]
fn a_workload_is_held_to_what_it_changes() {
    let (bad, good) = (deployment("25%"), deployment("0"));
    // Nothing of the app has ever run, which its first install is warned of.
    let created = Request::create(bad.clone());
    assert_eq!(created.decide(Mode::Enforce), ["deny WG501", "warn WG302"]);
    assert_eq!(created.decide(Mode::Warn), ["warn WG302", "warn WG501"]);
    assert_eq!(Request::update(bad.clone(), bad.clone()).decide(Mode::Enforce), ["warn WG501"]);
    assert_eq!(Request::update(good.clone(), bad.clone()).decide(Mode::Enforce), ["deny WG501"]);
    assert_eq!(Request::update(bad.clone(), good).decide(Mode::Enforce), [""; 0]);
    // Another finding than the old object's denies, the old one still warns.
    let worse = changed(bad.clone(), "/spec/template/spec/containers/0/image", json!("a/b:latest"));
    let found = Request::update(bad, worse).decide(Mode::Enforce);
    assert_eq!(found, ["deny WG303", "warn WG501"]);
}

#[test]
fn opting_in_and_out_is_read_on_both_objects() {
    let mut out = deployment("25%");
    out["metadata"]["labels"] = json!({});
    assert_eq!(Request::create(out.clone()).decide(Mode::Enforce), [""; 0]);
    // Whoever opts in is told at once.
    assert_eq!(Request::update(out, deployment("25%")).decide(Mode::Enforce), ["deny WG501"]);
}

#[test]
fn argo_cd_server_side_diff_is_never_denied_a_workload() {
    let diff = Request {
        dry_run: true,
        field_manager: "argocd-controller",
        ..Request::update(deployment("0"), deployment("25%"))
    };
    assert_eq!(diff.decide(Mode::Enforce), ["warn WG501"]);
    let kubectl = Request { field_manager: "kubectl-client-side-apply", ..diff };
    assert_eq!(kubectl.decide(Mode::Enforce), ["deny WG501"]);
}

#[test]
fn a_deleted_workload_passes() {
    let mut deleted = deployment("25%");
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
    assert_eq!(Request::update(deployment("0"), deleted).decide(Mode::Enforce), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_refused_where_wavegate_enforces() {
    let broken = changed(job(), "/spec/backoffLimit", json!("three"));
    let body = Request::create(broken).body();
    let admission = decode(&body).unwrap();
    let decide = |mode| {
        evaluate(
            &admission,
            &ClusterState::default(),
            &Policy::default(),
            mode,
            Timestamp::UNIX_EPOCH,
        )
    };
    assert!(!decide(Mode::Enforce).is_allowed());
    assert!(decide(Mode::Warn).is_allowed());
    let message = admission::denial_message(&admission, &decide(Mode::Enforce), &Policy::default());
    assert!(message.contains("spec.backoffLimit: invalid type: string \"three\""), "{message}");
}

#[test]
fn a_denial_is_one_line_with_every_code_and_within_its_bound() {
    let mut worst = job();
    worst["metadata"]["annotations"] = json!({"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "map[x]\nabc"});
    worst["spec"]["backoffLimit"] = json!(3);
    worst["spec"]["suspend"] = json!(true);
    worst["spec"]["parallelism"] = json!(2);
    worst["spec"]["completionMode"] = json!("Indexed");
    worst["spec"].as_object_mut().unwrap().remove("activeDeadlineSeconds");
    worst["spec"]["template"]["spec"]["restartPolicy"] = json!("OnFailure");
    worst["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a/b:latest");
    let (_, worst) = mutated(&worst, Mode::Enforce);
    let body = Request::create(worst).body();
    let admission = decode(&body).unwrap();
    let policy = Policy::default();
    let decision = evaluate(
        &admission,
        &ClusterState::default(),
        &policy,
        Mode::Enforce,
        Timestamp::UNIX_EPOCH,
    );
    let message = admission::denial_message(&admission, &decision, &policy);
    assert!(message.len() <= 500, "{} {message}", message.len());
    assert!(message.starts_with("Job shop/shop-migrate (migration: is declared"), "{message}");
    assert!(!message.contains('\n') && !message.contains("map["), "{message}");
    for code in ["WG101", "WG102", "WG103", "WG104", "WG105", "WG202", "WG303"] {
        assert!(message.contains(code), "{code} is not in {message}");
    }
    assert!(message.ends_with("See https://wavegate.dev/rules/WG101"), "{message}");
}

#[test]
fn severities_follow_the_policy() {
    let mut policy = Policy::default();
    let rule = rules::find("WG501").unwrap();
    let body = Request::create(deployment("25%")).body();
    let admission = decode(&body).unwrap();
    for (severity, want) in [
        (Severity::Deny, Some(Effect::Deny)),
        (Severity::Warn, Some(Effect::Warn)),
        (Severity::Off, None),
    ] {
        policy.set_severity(rule.code, severity);
        let decision = evaluate(
            &admission,
            &ClusterState::default(),
            &policy,
            Mode::Enforce,
            Timestamp::UNIX_EPOCH,
        );
        let found = decision.findings.iter().find(|finding| finding.code() == rule.code);
        assert_eq!(found.map(Finding::effect), want);
    }
}

mod fixes;
mod gate;
mod overrides;
mod promises;
mod waiter;
