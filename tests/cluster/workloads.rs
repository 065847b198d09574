//! Pods behave as `kwok.yaml` says, and the real controllers make of that what they should.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cluster::{self, Ending, Namespace, eventually};

/// Far more than any of this takes, so that a busy machine fails no test.
const BOUND: Duration = Duration::from_mins(1);

#[test]
fn jobs_end_as_their_annotation_says() {
    let namespace = cluster::shared().namespace("workloads::jobs_end", &[]);
    let table = [
        ("done", json!({}), "Complete", "CompletionsReached"),
        ("failed", json!({"test.wavegate.dev/outcome": "fail"}), "Failed", "BackoffLimitExceeded"),
        (
            "other",
            json!({"test.wavegate.dev/outcome": "succeed"}),
            "Complete",
            "CompletionsReached",
        ),
        (
            "not-a-number",
            json!({"test.wavegate.dev/seconds": "x"}),
            "Complete",
            "CompletionsReached",
        ),
    ];
    for (name, annotations, ..) in &table {
        create(&namespace, &job(name, annotations));
    }
    for (name, _, condition, reason) in table {
        let found = eventually(&format!("job {name} is {condition}"), BOUND, || {
            condition_of(&get(&namespace, "job", name), condition)
        });
        assert_eq!(found["reason"], reason, "job {name}");
    }
    let pods = namespace.kubectl().args(["get", "pods", "--selector=job-name=failed"]).json();
    let status = &pods["items"][0]["status"];
    assert_eq!(status["phase"], "Failed");
    assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["exitCode"], 1);
}

#[test]
fn a_job_told_to_run_is_still_active_when_a_later_one_is_complete() {
    let namespace = cluster::shared().namespace("workloads::job_runs", &[]);
    create(&namespace, &job("runs", &json!({"test.wavegate.dev/outcome": "run"})));
    eventually("the job's pod is ready", BOUND, || {
        (get(&namespace, "job", "runs")["status"]["ready"] == 1).then_some(())
    });
    create(&namespace, &job("later", &json!({})));
    eventually("the later job is complete", BOUND, || {
        condition_of(&get(&namespace, "job", "later"), "Complete")
    });
    let status = get(&namespace, "job", "runs")["status"].take();
    assert_eq!(status["active"], 1);
    assert!(status["conditions"].is_null(), "{status}");
}

#[test]
fn a_test_ends_a_job_when_it_wants() {
    let namespace = cluster::shared().namespace("workloads::job_ends", &[]);
    let table = [("succeeds", Ending::Succeed, "Complete"), ("fails", Ending::Fail, "Failed")];
    for (name, ..) in table {
        create(&namespace, &job(name, &json!({"test.wavegate.dev/outcome": "run"})));
    }
    for (name, ending, condition) in table {
        namespace.end_job(name, ending);
        eventually(&format!("job {name} is {condition}"), BOUND, || {
            condition_of(&get(&namespace, "job", name), condition)
        });
    }
}

#[test]
fn a_deployment_is_not_available_while_its_pods_are_not_ready() {
    let namespace = cluster::shared().namespace("workloads::never_ready", &[]);
    let mut deployment = deployment();
    deployment["spec"]["template"]["metadata"]["annotations"] =
        json!({"test.wavegate.dev/ready": "never"});
    create(&namespace, &deployment);
    eventually("both pods run", BOUND, || {
        let pods = namespace.kubectl().args(["get", "pods"]).json();
        let pods = pods["items"].as_array()?;
        let runs = |pod: &&Value| pod["status"]["phase"] == "Running";
        (pods.iter().filter(runs).count() == 2).then_some(())
    });
    let status = get(&namespace, "deployment", "web")["status"].take();
    assert!(status["readyReplicas"].is_null(), "{status}");
}

#[test]
fn containers_tell_the_digests_of_their_images() {
    let namespace = cluster::shared().namespace("workloads::digests", &[]);
    let digest = format!("sha256:{}", "12".repeat(32));
    let table = [
        ("registry.example.com:5000/team/app", Value::Null, None),
        ("registry.example.com:5000/team/app:v1", Value::Null, None),
        (
            "registry.example.com:5000/team/app:v2",
            json!({"test.wavegate.dev/digest": digest}),
            Some(&digest),
        ),
        (&*format!("registry.example.com:5000/team/app:v3@{digest}"), Value::Null, Some(&digest)),
    ];
    for (number, (image, annotations, expected)) in table.into_iter().enumerate() {
        let name = format!("job-{number}");
        let mut job = job(&name, &annotations);
        let spec = &mut job["spec"]["template"]["spec"];
        for container in ["containers", "initContainers"] {
            spec[container][0]["image"] = image.into();
        }
        create(&namespace, &job);
        eventually(&format!("job {name} is complete"), BOUND, || {
            condition_of(&get(&namespace, "job", &name), "Complete")
        });
        let selector = format!("--selector=job-name={name}");
        let pods = namespace.kubectl().args(["get", "pods", &selector]).json();
        let status = &pods["items"][0]["status"];
        let found = status["containerStatuses"][0]["imageID"].as_str().expect("an image id");
        assert_eq!(status["initContainerStatuses"][0]["imageID"], found, "{image}");
        let of_the_text = format!("sha256:{}", hex(&Sha256::digest(image)));
        let expected = expected.unwrap_or(&of_the_text);
        assert_eq!(found, format!("registry.example.com:5000/team/app@{expected}"), "{image}");
    }
}

#[test]
fn jobs_take_the_seconds_they_are_given() {
    let namespace = cluster::shared().namespace("workloads::job_seconds", &[]);
    let table = [("slow", "succeed", "Complete"), ("slow-failure", "fail", "Failed")];
    let start = Instant::now();
    for (name, outcome, _) in table {
        let annotations =
            json!({"test.wavegate.dev/seconds": "3", "test.wavegate.dev/outcome": outcome});
        create(&namespace, &job(name, &annotations));
    }
    for (name, _, condition) in table {
        eventually(&format!("job {name} is {condition}"), BOUND, || {
            condition_of(&get(&namespace, "job", name), condition)
        });
        assert!(start.elapsed() >= Duration::from_secs(3), "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn a_deployment_with_init_containers_becomes_available() {
    let namespace = cluster::shared().namespace("workloads::deployment", &[]);
    let mut deployment = deployment();
    deployment["spec"]["template"]["spec"]["initContainers"] = json!([
        {"name": "wait", "image": "example.com/wait:1"},
        {"name": "proxy", "image": "example.com/proxy:1", "restartPolicy": "Always"},
    ]);
    create(&namespace, &deployment);
    namespace
        .kubectl()
        .args(["wait", "--for=condition=Available", "deployment/web", "--timeout=50s"])
        .ok();
    let pods = namespace.kubectl().args(["get", "pods"]).json();
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(2));
    let init = &pods["items"][0]["status"]["initContainerStatuses"];
    assert_eq!(init[0]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(init[1]["started"], true);
}

#[test]
fn pod_security_is_enforced() {
    let labels = [("pod-security.kubernetes.io/enforce", "restricted")];
    let namespace = cluster::shared().namespace("workloads::pod_security", &labels);
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "root", "image": "example.com/root:1"}]},
    });
    let create = namespace.kubectl().args(["create", "--filename=-"]).stdin(pod.to_string());
    let output = create.run();
    assert!(!output.status.success());
    assert!(output.stderr.contains(r#"violates PodSecurity "restricted:latest""#), "{output:?}");
}

#[test]
fn a_dropped_namespace_goes_away_with_all_that_runs_in_it() {
    let cluster = cluster::shared();
    let namespace = cluster.namespace("workloads::Dropped namespace", &[]);
    let name = namespace.name().to_owned();
    assert!(name.starts_with("test-workloads-dropped-namespace-"), "{name}");
    create(&namespace, &deployment());
    create(&namespace, &job("runs", &json!({"test.wavegate.dev/outcome": "run"})));
    eventually("the job's pod is ready", BOUND, || {
        (get(&namespace, "job", "runs")["status"]["ready"] == 1).then_some(())
    });
    drop(namespace);
    eventually("the namespace is gone", BOUND, || {
        let output = cluster.kubectl().args(["get", "namespace", &name]).run();
        output.stderr.contains("NotFound").then_some(())
    });
}

fn job(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {
                    "restartPolicy": "Never",
                    "initContainers": [{"name": "wait", "image": "example.com/wait:1"}],
                    "containers": [{"name": "migrate", "image": "example.com/migrate:1"}],
                },
            },
        },
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
    })
}

fn create(namespace: &Namespace<'_>, object: &Value) {
    namespace.kubectl().args(["create", "--filename=-"]).stdin(object.to_string()).ok();
}

fn get(namespace: &Namespace<'_>, kind: &str, name: &str) -> Value {
    namespace.kubectl().args(["get", kind, name]).json()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The condition of this type, if it is true.
fn condition_of(object: &Value, kind: &str) -> Option<Value> {
    let mut conditions = object["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == kind && condition["status"] == "True").cloned()
}
