//! The history of migrations: who is recorded, when, as what, and who may write it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Kubectl, Namespace, eventually};
use crate::guard::{enforcing, guarded};

const BOUND: Duration = Duration::from_mins(1);

/// A migration Job whose pod behaves as these annotations say.
pub(crate) fn migration(name: &str, behaviour: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": {
            "argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-1",
        }},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 600,
            "template": {
                "metadata": {"annotations": behaviour},
                "spec": {"restartPolicy": "Never", "containers": [{
                    "name": "migrate", "image": "shop/api:v1", "command": ["alembic", "upgrade", "head"],
                    "env": [{"name": "DATABASE_URL", "value": "postgres://db.example.com/shop"}],
                }]},
            },
        },
    })
}

/// A pod that runs for ever.
pub(crate) fn runs() -> Value {
    json!({"test.wavegate.dev/outcome": "run"})
}

/// A pod that runs for some seconds.
pub(crate) fn takes(seconds: u32) -> Value {
    json!({"test.wavegate.dev/seconds": seconds.to_string()})
}

pub(crate) fn create(namespace: &Namespace<'_>, object: &Value) -> Value {
    namespace.kubectl().args(["create", "--filename=-"]).stdin(object.to_string()).json()
}

/// The only record of a namespace, once its outcome is this one.
pub(crate) fn record(namespace: &Namespace<'_>, outcome: &str) -> Value {
    eventually(&format!("a record says {outcome} in {namespace}"), BOUND, || {
        let records = records(namespace);
        assert!(records.len() < 2, "one attempt has several records: {records:?}");
        records.into_iter().find(|record| record["status"]["outcome"] == outcome)
    })
}

pub(crate) fn records(namespace: &Namespace<'_>) -> Vec<Value> {
    let mut list = namespace.kubectl().args(["get", "migrationrecords"]).json();
    list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
}

fn delete(namespace: &Namespace<'_>, what: &str) {
    namespace.kubectl().args(["delete", what]).ok();
}

#[test]
fn a_record_appears_with_its_job_completes_with_it_and_outlives_it() {
    let namespace = enforcing("records::life");
    let job = create(&namespace, &migration("shop-migrate-v1", &takes(3)));
    let uid = &job["metadata"]["uid"];
    let running = record(&namespace, "Running");
    assert_eq!(&running["metadata"]["name"], uid);
    assert_eq!(&running["spec"]["job"]["uid"], uid);
    let succeeded = record(&namespace, "Succeeded");
    let spec = &succeeded["spec"];
    assert_eq!(
        (&spec["app"], &spec["migration"]),
        (&json!("docker.io/shop/api"), &json!("shop-migrate"))
    );
    assert_eq!((&spec["release"], &spec["confidence"]), (&json!("v1"), &json!("strong")));
    assert_eq!(spec["job"]["creator"], "kubernetes-admin");
    assert!(succeeded["status"]["startTime"].is_string(), "{succeeded}");
    assert!(succeeded["status"]["completionTime"].is_string(), "{succeeded}");
    assert!(succeeded["metadata"]["ownerReferences"].is_null(), "{succeeded}");
    assert!(succeeded["metadata"]["annotations"].is_null(), "{succeeded}");
    delete(&namespace, "job/shop-migrate-v1");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(records(&namespace), [succeeded]);
}

#[test]
fn a_job_without_a_time_to_live_is_recorded_with_its_outcome() {
    let namespace = enforcing("records::ttl");
    let mut job = migration("shop-migrate", &json!({}));
    job["spec"]["ttlSecondsAfterFinished"] = json!(0);
    create(&namespace, &job);
    record(&namespace, "Succeeded");
    eventually("the Job is gone", BOUND, || {
        let jobs = namespace.kubectl().args(["get", "jobs"]).json();
        jobs["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    record(&namespace, "Succeeded");
}

#[test]
fn a_failure_and_an_interruption_are_told_apart() {
    let failed = enforcing("records::failed");
    create(&failed, &migration("shop-migrate", &json!({"test.wavegate.dev/outcome": "fail"})));
    assert_eq!(record(&failed, "Failed")["status"]["reason"], "BackoffLimitExceeded");
    let interrupted = enforcing("records::interrupted");
    create(&interrupted, &migration("shop-migrate", &runs()));
    record(&interrupted, "Running");
    delete(&interrupted, "job/shop-migrate");
    assert_eq!(record(&interrupted, "Interrupted")["status"]["reason"], "JobDeleted");
}

#[test]
fn a_record_tells_by_which_container_its_migration_failed() {
    let unreachable = json!({"test.wavegate.dev/outcome": "unreachable"});
    let waited = enforcing("records::waiter");
    create(&waited, &migration("shop-migrate", &unreachable));
    let failure = &record(&waited, "Failed")["status"]["failure"];
    let message = "wait-for-db: no answer of the database";
    assert_eq!(
        *failure,
        json!({"container": "wait-for-db", "exitCode": 1, "reason": "Error", "message": message})
    );
    let wide = waited.kubectl().args(["get", "mr", "--output=wide"]).ok();
    assert!(wide.contains("CONTAINER") && wide.contains(message), "{wide}");

    // An author's own container is named and not quoted, whatever its name: it may have printed a secret.
    let authors = enforcing("records::unquoted");
    let mut job = migration("shop-migrate", &unreachable);
    job["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "wait-for-db",
        "image": "busybox:1.36", "command": ["sh", "-c", "until nc -z db 5432; do sleep 1; done"]}]);
    create(&authors, &job);
    let failure = &record(&authors, "Failed")["status"]["failure"];
    assert_eq!(*failure, json!({"container": "wait-for-db", "exitCode": 1, "reason": "Error"}));

    let failed = enforcing("records::container");
    create(&failed, &migration("shop-migrate", &json!({"test.wavegate.dev/outcome": "fail"})));
    let failure = &record(&failed, "Failed")["status"]["failure"];
    assert_eq!(*failure, json!({"container": "migrate", "exitCode": 1, "reason": "Error"}));
}

#[test]
fn the_image_that_ran_is_read_from_the_pod() {
    let namespace = enforcing("records::image");
    create(&namespace, &migration("shop-migrate", &runs()));
    let image = eventually("the record tells the image", BOUND, || {
        let image = record(&namespace, "Running")["status"]["imageID"].take();
        image.is_string().then_some(image)
    });
    let pods = namespace.kubectl().args(["get", "pods"]).json();
    assert_eq!(pods["items"][0]["status"]["containerStatuses"][0]["imageID"], image);
}

#[test]
fn kubectl_prints_the_history() {
    let namespace = enforcing("records::columns");
    create(&namespace, &migration("shop-migrate-v1", &json!({})));
    record(&namespace, "Succeeded");
    let table = namespace.kubectl().args(["get", "mr"]).ok();
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "APP", "MIGRATION", "RELEASE", "OUTCOME", "DURATION", "AGE"]);
    assert_eq!(rows[1][1..5], ["docker.io/shop/api", "shop-migrate", "v1", "Succeeded"], "{table}");
    let wide = namespace.kubectl().args(["get", "wavegate", "--output=wide"]).ok();
    for word in ["JOB", "IMAGE", "PHASE", "CONFIDENCE", "shop-migrate-v1", "shop/api:v1", "strong"]
    {
        assert!(wide.contains(word), "{word}: {wide}");
    }
    for (selector, rows) in [("status.outcome=Succeeded", 1), ("status.outcome=Failed", 0)] {
        let get = ["get", "mr", "--no-headers", "--field-selector", selector];
        assert_eq!(namespace.kubectl().args(get).ok().lines().count(), rows, "{selector}");
    }
}

/// Argo CD's account may do everything by RBAC; so may the administrator.
#[test]
fn nobody_else_writes_records() {
    let namespace = enforcing("records::guard");
    create(&namespace, &migration("shop-migrate", &json!({})));
    let mut record = record(&namespace, "Succeeded");
    let argocd = "--as=system:serviceaccount:argocd:argocd-application-controller";
    let (control_plane, _) = guarded();
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "argocd-may-do-everything"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "argocd-application-controller", "namespace": "argocd"}],
    });
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(binding.to_string()).ok();
    let name = record["metadata"]["name"].as_str().expect("a name").to_owned();
    record["metadata"] = json!({"name": "forged", "namespace": namespace.name()});
    record["spec"]["job"]["uid"] = json!("forged");
    let patch = r#"--patch={"metadata":{"labels":{"a":"b"}}}"#;
    for user in [&[][..], &[argocd]] {
        let attempts = [
            namespace.kubectl().args(["create", "--filename=-"]).stdin(record.to_string()),
            namespace.kubectl().args(["patch", "mr", &name, "--type=merge", patch]),
            namespace.kubectl().args(["delete", "mr", &name]),
            namespace.kubectl().args(["delete", "mr", "--all"]),
        ];
        for (number, kubectl) in attempts.into_iter().enumerate() {
            let output = kubectl.args(user).run();
            assert!(!output.status.success(), "{user:?} {number}");
            assert!(output.stderr.contains("only wavegate writes"), "{user:?} {}", output.stderr);
        }
    }
}

#[test]
fn a_namespace_goes_with_its_records() {
    let (control_plane, _) = guarded();
    let namespace = enforcing("records::namespace");
    create(&namespace, &migration("shop-migrate", &runs()));
    record(&namespace, "Running");
    let name = namespace.name().to_owned();
    drop(namespace);
    eventually("the namespace is gone", BOUND, || {
        let output = control_plane.kubectl().args(["get", "namespace", &name]).run();
        output.stderr.contains("NotFound").then_some(())
    });
}

/// wavegate's own account may write, but not against the order of outcomes.
#[test]
fn not_even_wavegate_takes_an_outcome_back() {
    let namespace = enforcing("records::forward");
    create(&namespace, &migration("shop-migrate", &json!({})));
    let record = record(&namespace, "Succeeded");
    let name = record["metadata"]["name"].as_str().expect("a name");
    let patched = |patch: &Value| {
        as_wavegate(namespace.kubectl())
            .args(["patch", "mr", name, "--type=merge", &format!("--patch={patch}")])
            .run()
    };
    let cases = [
        (json!({"status": {"outcome": "Running"}}), "only moves forward"),
        (json!({"status": {"outcome": "Failed"}}), "only moves forward"),
        (json!({"status": {"reason": "Other"}}), "nothing of that changes"),
        (json!({"status": null}), "status: Required value"),
        (json!({"spec": {"release": "v2"}}), "never changes"),
        (json!({"status": {"outcome": "Great"}}), "Unsupported value"),
    ];
    for (patch, why) in cases {
        let output = patched(&patch);
        assert!(!output.status.success() && output.stderr.contains(why), "{patch}: {output:?}");
    }
    // The image may be read late, once.
    let mut late = record.clone();
    late["metadata"] = json!({"name": "late"});
    late["spec"]["job"]["uid"] = json!("late");
    late["status"].as_object_mut().expect("a status").remove("imageID");
    let create = ["create", "--filename=-"];
    as_wavegate(namespace.kubectl()).args(create).stdin(late.to_string()).ok();
    for (image, taken) in [("shop/api@sha256:1", true), ("shop/api@sha256:2", false)] {
        let patch = json!({"status": {"imageID": image}});
        let patch = ["patch", "mr", "late", "--type=merge", &format!("--patch={patch}")];
        let output = as_wavegate(namespace.kubectl()).args(patch).run();
        assert_eq!(output.status.success(), taken, "{image}: {}", output.stderr);
    }
}

fn as_wavegate(kubectl: Kubectl) -> Kubectl {
    kubectl.args(["--as=system:serviceaccount:wavegate:wavegate"])
}
