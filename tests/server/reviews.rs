//! The real decision behind the real server: what is malformed, and what is not.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use wavegate::policy::Policy;
use wavegate::server::Metrics;
use wavegate::server::webhook::{Cluster, Webhook};

use crate::client::post;
use crate::rig::{NAME, Server, Setting};

async fn server() -> Server {
    let webhook = Webhook::new(Policy::default(), Cluster::default(), Arc::new(Metrics::new()));
    Server::start_with(Setting::default(), webhook).await
}

fn recorded(name: &str) -> Value {
    let body = fs::read(format!("tests/fixtures/reviews/{name}.json")).expect("a recorded review");
    serde_json::from_slice(&body).expect("JSON")
}

const MIGRATION: &str = "argo-ssd-sync/10-mutate-create-jobs";

/// Without a uid nothing can be answered, so each of these is a 400 with a line that says what is wrong.
#[tokio::test]
async fn what_is_no_review_is_400_with_a_reason() {
    let server = server().await;
    let good = recorded(MIGRATION);
    let whole = good.to_string();
    let with = |pointer: &str, value: Value| {
        let mut review = good.clone();
        *review.pointer_mut(pointer).expect("a field") = value;
        review.to_string()
    };
    let cases = [
        (whole[..whole.len() / 2].to_owned(), "EOF"),
        (String::new(), "EOF"),
        ("not JSON".to_owned(), "expected"),
        ("[]".to_owned(), "an AdmissionReview"),
        (whole.clone() + "x", "trailing"),
        (with("/request/uid", json!("")), "no uid"),
        (with("/request/uid", Value::Null), "no uid"),
        (with("/request", Value::Null), "no request"),
        (with("/apiVersion", json!("admission.k8s.io/v1beta1")), "admissionReviewVersions"),
        (with("/kind", json!("Pod")), "want an AdmissionReview"),
        (with("/request/operation", json!("PATCH")), "operation"),
        (with("/request/uid", json!(7)), "string"),
    ];
    for (body, want) in cases {
        let reply = server.ask(&post("/validate/enforce", NAME, body.as_bytes())).await;
        let line = String::from_utf8(reply.body).expect("text");
        assert_eq!(reply.status, 400, "{want}: {line}");
        assert!(line.contains(want) && line.ends_with('\n'), "{want}: {line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
    server.abort();
}

/// What has a uid is answered by a review, whatever the object is.
#[tokio::test]
async fn what_has_a_uid_is_answered_by_a_review() {
    let server = server().await;
    let with = |pointer: &str, value: Value| {
        let mut review = recorded(MIGRATION);
        *review.pointer_mut(pointer).expect("a field") = value;
        review
    };
    let command = json!(["python", "manage.py", "migrate"]);
    let mut image = with("/request/object/spec/template/spec/containers/0/command", command);
    image["request"]["object"]["spec"]["template"]["spec"]["containers"][0]["image"] =
        json!("no image");
    let cases = [
        (with("/request/object/spec/backoffLimit", json!("three")), false, "spec.backoffLimit"),
        (with("/request/object/spec", json!("none")), false, "spec: invalid type"),
        (with("/request/object", json!("a string")), false, "invalid type"),
        (with("/request/kind/kind", json!("Widget")), true, ""),
        (with("/request/object", Value::Null), true, ""),
        (image, false, "`no image` of the migration container is no image reference"),
    ];
    for (review, allowed, want) in cases {
        let reply =
            server.ask(&post("/validate/enforce", NAME, review.to_string().as_bytes())).await;
        assert_eq!(reply.status, 200, "{want}");
        let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
        let response = &answer["response"];
        assert_eq!(response["uid"], review["request"]["uid"]);
        assert_eq!(response["allowed"], allowed, "{want}: {response}");
        let message = response["status"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(want), "{want}: {response}");
        if !allowed {
            assert_eq!(response["status"]["code"], 403);
            assert_eq!(response["status"]["reason"], "Forbidden");
        }
    }
    server.abort();
}

#[tokio::test]
async fn each_endpoint_answers_in_its_own_way() {
    let server = server().await;
    let mut review = recorded(MIGRATION);
    let spec = review.pointer_mut("/request/object/spec").expect("a spec");
    spec["backoffLimit"] = json!(3);
    spec["template"]["spec"]["containers"][0]["command"] =
        json!(["python", "manage.py", "migrate"]);
    spec["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "DATABASE_URL", "value": "x"}]);
    let body = review.to_string();
    let mut answers = Vec::new();
    for path in ["/mutate", "/mutate/warn", "/validate/enforce", "/validate/warn"] {
        let reply = server.ask(&post(path, NAME, body.as_bytes())).await;
        let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
        answers.push(answer["response"].clone());
    }
    let [mutate, mutate_warn, enforce, warn] = answers.as_slice() else { panic!("four answers") };
    assert_eq!((&mutate["allowed"], &mutate["patchType"]), (&json!(true), &json!("JSONPatch")));
    let length = |answer: &Value| answer["patch"].as_str().expect("a patch").len();
    assert!(length(mutate) > length(mutate_warn), "only an enforcing namespace gets the waiter");
    assert_eq!(enforce["allowed"], false);
    assert_eq!(enforce["status"]["details"]["causes"][0]["reason"], "WG101");
    assert_eq!(enforce["status"]["details"]["causes"][0]["field"], "spec.backoffLimit");
    assert_eq!(enforce["auditAnnotations"]["denied"], "WG101,WG310");
    assert_eq!(warn["allowed"], true);
    assert!(warn["warnings"][0].as_str().expect("a warning").starts_with("wavegate: WG101"));
    server.abort();
}
