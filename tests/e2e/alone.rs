//! A control plane where no other wavegate writes records: what one that is killed, cut off or alone leaves behind.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::wavegate::{Wavegate, install, own_kubeconfig};
use crate::cluster::{ControlPlane, Namespace, eventually};
use crate::proxy::{Mode, Proxy};
use crate::records::{create, migration, record, records, runs, takes};

const BOUND: Duration = Duration::from_mins(1);

/// The control plane, for one test at a time: whoever runs here records what happens in every namespace. It is as it was
/// installed, whatever a test that failed took away, and what the tests before made is gone: a Job that ends because its
/// namespace is deleted would be recorded as well.
pub(crate) fn alone() -> (MutexGuard<'static, ()>, &'static ControlPlane) {
    static TURN: Mutex<()> = Mutex::new(());
    static CONTROL_PLANE: OnceLock<ControlPlane> = OnceLock::new();
    let turn = TURN.lock();
    let undone = turn.is_err();
    let turn = turn.unwrap_or_else(PoisonError::into_inner);
    let control_plane = CONTROL_PLANE.get_or_init(|| {
        let control_plane = ControlPlane::start().unwrap_or_else(|error| panic!("{error}"));
        install(&control_plane);
        control_plane
    });
    if undone {
        install(control_plane);
        TURN.clear_poison();
    }
    eventually("what the tests before made is gone", BOUND, || {
        let left = ["get", "jobs,migrationrecords", "--all-namespaces", "--output=json"];
        let left = control_plane.kubectl().args(left).json();
        left["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    (turn, control_plane)
}

pub(crate) fn start(control_plane: &ControlPlane, name: &str, kubeconfig: &Path) -> Wavegate {
    let binary = Path::new(env!("CARGO_BIN_EXE_wavegate"));
    Wavegate::launch(control_plane, binary, name, kubeconfig, &[])
}

pub(crate) fn ready(control_plane: &ControlPlane, name: &str) -> Wavegate {
    let wavegate = start(control_plane, name, &own_kubeconfig(control_plane, None));
    wavegate.until_ready();
    wavegate
}

pub(crate) fn proxied(control_plane: &ControlPlane) -> (Proxy, PathBuf) {
    let kubeconfig = std::fs::read(control_plane.kubeconfig()).expect("a kubeconfig");
    let kubeconfig: Value = serde_json::from_slice(&kubeconfig).expect("JSON");
    let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().expect("a URL");
    let proxy = Proxy::to(server);
    let kubeconfig = own_kubeconfig(control_plane, Some(&proxy.address()));
    (proxy, kubeconfig)
}

/// A Job as the webhook leaves it; there is none here.
fn stamped(name: &str, behaviour: &Value) -> Value {
    let mut job = migration(name, behaviour);
    job["metadata"]["labels"] = json!({"stamp.wavegate.dev/tracked": "true"});
    job
}

fn complete(namespace: &Namespace<'_>, job: &str) {
    let wait = ["wait", "--for=condition=Complete", "--timeout=50s", job];
    namespace.kubectl().args(wait).ok();
}

fn remove(namespace: &Namespace<'_>, job: &str) {
    namespace.kubectl().args(["delete", job]).ok();
}

#[test]
fn two_replicas_write_one_record_per_attempt() {
    const JOBS: usize = 12;
    let (_turn, control_plane) = alone();
    let replicas = ["replica-a", "replica-b"].map(|name| ready(control_plane, name));
    let namespace = control_plane.namespace("alone::two", &[]);
    let jobs: Vec<Value> =
        (0..JOBS).map(|number| stamped(&format!("migrate-{number}"), &json!({}))).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": jobs});
    namespace.kubectl().args(["create", "--filename=-"]).stdin(list.to_string()).ok();
    let all = eventually("each has a record that says how it ended", BOUND, || {
        let all = records(&namespace);
        let done = all.iter().filter(|r| r["status"]["outcome"] == "Succeeded").count();
        (done == JOBS).then_some(all)
    });
    assert_eq!(all.len(), JOBS);
    for replica in &replicas {
        eventually("the replica has nothing left to write", BOUND, || {
            (replica.metric("wavegate_record_writes_pending") == Some(0.0)).then_some(())
        });
    }
    let created = replicas
        .iter()
        .filter_map(|replica| replica.metric("wavegate_record_writes_total{result=\"created\"}"))
        .sum::<f64>();
    assert!((created - 12.0).abs() < 0.1, "{created} creations");
}

#[test]
fn what_a_killed_wavegate_missed_is_read_from_the_job_or_unknown() {
    let (_turn, control_plane) = alone();
    let mut wavegate = ready(control_plane, "killed");
    let finished = control_plane.namespace("alone::finished", &[]);
    let vanished = control_plane.namespace("alone::vanished", &[]);
    create(&finished, &stamped("migrate", &takes(4)));
    create(&vanished, &stamped("migrate", &runs()));
    record(&finished, "Running");
    record(&vanished, "Running");
    wavegate.server_mut().stop().expect("it is killed");
    complete(&finished, "job/migrate");
    remove(&vanished, "job/migrate");
    let _wavegate = ready(control_plane, "killed");
    record(&finished, "Succeeded");
    record(&vanished, "Unknown");
}

#[test]
fn nothing_that_happens_while_the_api_server_is_away_is_lost() {
    let (_turn, control_plane) = alone();
    let (proxy, kubeconfig) = proxied(control_plane);
    let wavegate = start(control_plane, "cut-off", &kubeconfig);
    wavegate.until_ready();
    let before = control_plane.namespace("alone::before", &[]);
    let deleted = control_plane.namespace("alone::deleted", &[]);
    let during = control_plane.namespace("alone::during", &[]);
    create(&before, &stamped("migrate", &takes(3)));
    create(&deleted, &stamped("migrate", &runs()));
    record(&before, "Running");
    record(&deleted, "Running");
    proxy.set(Mode::Off);
    eventually("the watches are known to be lost", BOUND, || {
        let lost =
            |what| wavegate.metric(&format!("wavegate_watch_connected{{resource={what:?}}}"));
        (lost("jobs") == Some(0.0) && lost("records") == Some(0.0)).then_some(())
    });
    assert!(wavegate.get("/readyz").starts_with("HTTP/1.1 200"), "ready with what it knows");
    create(&during, &stamped("migrate", &json!({})));
    complete(&before, "job/migrate");
    complete(&during, "job/migrate");
    remove(&deleted, "job/migrate");
    proxy.set(Mode::On);
    record(&before, "Succeeded");
    record(&during, "Succeeded");
    record(&deleted, "Interrupted");
}

/// Takes wavegate's right to write records and gives it back.
fn may_write(control_plane: &ControlPlane, may: bool) {
    let verbs = if may {
        json!(["get", "list", "watch", "create", "patch", "delete"])
    } else {
        json!(["get", "list", "watch"])
    };
    let mut role = control_plane.kubectl().args(["get", "clusterrole", "wavegate"]).json();
    for rule in role["rules"].as_array_mut().expect("rules") {
        if rule["resources"] == json!(["migrationrecords"]) {
            rule["verbs"] = verbs.clone();
        }
    }
    let replace = ["replace", "--filename=-"];
    control_plane.kubectl().args(replace).stdin(role.to_string()).ok();
    let can = [
        "auth",
        "can-i",
        "create",
        "migrationrecords.wavegate.dev",
        "--as=system:serviceaccount:wavegate:wavegate",
    ];
    eventually("the right is changed", BOUND, || {
        let output = control_plane.kubectl().args(can).run();
        (output.status.success() == may).then_some(())
    });
}

/// Both Jobs are gone by the time that their records can be written.
#[test]
fn an_outcome_that_cannot_be_written_yet_is_kept_and_written_at_the_latest_when_wavegate_ends() {
    let (_turn, control_plane) = alone();
    let mut wavegate = ready(control_plane, "pending");
    let again = control_plane.namespace("alone::again", &[]);
    let last = control_plane.namespace("alone::last", &[]);
    for (namespace, ends) in [(&again, false), (&last, true)] {
        may_write(control_plane, false);
        create(namespace, &stamped("migrate", &json!({})));
        complete(namespace, "job/migrate");
        remove(namespace, "job/migrate");
        eventually("the record waits", BOUND, || {
            (wavegate.metric("wavegate_record_writes_pending") == Some(1.0)).then_some(())
        });
        // Long enough for the delays to grow, so that the end cannot be the next try by chance.
        thread::sleep(Duration::from_secs(if ends { 8 } else { 0 }));
        assert_eq!(records(namespace), Vec::<Value>::new());
        may_write(control_plane, true);
        if ends {
            wavegate.server_mut().signal("TERM").expect("it runs");
            let status = eventually("it ends", BOUND, || {
                wavegate.server_mut().try_wait().expect("its state")
            });
            assert!(status.success(), "{status}");
            let records = records(namespace);
            assert_eq!(records.len(), 1);
            assert_eq!(records[0]["status"]["outcome"], "Succeeded");
        } else {
            record(namespace, "Succeeded");
        }
    }
}

#[test]
fn a_missing_definition_is_told_and_its_installation_noticed() {
    let (_turn, control_plane) = alone();
    let crd = "customresourcedefinition/migrationrecords.wavegate.dev";
    control_plane.kubectl().args(["delete", crd]).ok();
    let kubeconfig = own_kubeconfig(control_plane, None);
    let wavegate = start(control_plane, "no-definition", &kubeconfig);
    let told = "records: the CustomResourceDefinition migrationrecords.wavegate.dev is not installed: apply charts/wavegate/files/crds/migrationrecords.yaml";
    let answer = eventually("readiness tells what is missing", BOUND, || {
        let answer = wavegate.get("/readyz");
        // Jobs are listed once the policy was looked for, which may be a moment after the records were.
        (answer.contains(told) && !answer.contains("jobs:")).then_some(answer)
    });
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let namespace = control_plane.namespace("alone::definition", &[]);
    create(&namespace, &stamped("migrate", &json!({})));
    complete(&namespace, "job/migrate");
    install(control_plane);
    wavegate.until_ready();
    record(&namespace, "Succeeded");
    let warnings = wavegate.server().log().matches("is not installed").count();
    assert!(warnings < 20, "said {warnings} times");
}

/// A record as wavegate writes it, of an attempt in that minute.
fn past(uid: &str, release: &str, minute: u32, outcome: &str, phase: &str) -> Value {
    let at = |second: u32| format!("2026-01-01T00:{minute:02}:{second:02}Z");
    json!({
        "apiVersion": "wavegate.dev/v1alpha1",
        "kind": "MigrationRecord",
        "metadata": {"name": uid},
        "spec": {
            "app": "docker.io/shop/api", "migration": format!("shop-{phase}"), "release": release,
            "image": format!("shop/api:{release}"), "phase": phase, "confidence": "strong",
            "job": {"name": format!("job-{uid}"), "uid": uid, "created": at(0)},
        },
        "status": {"outcome": outcome, "startTime": at(1), "completionTime": at(2)},
    })
}

/// The policy of the cluster for as long as this is held; none afterwards.
struct StoredPolicy<'c>(&'c ControlPlane);

impl<'c> StoredPolicy<'c> {
    fn store(control_plane: &'c ControlPlane, spec: &Value) -> Self {
        let policy = json!({
            "apiVersion": "wavegate.dev/v1alpha1", "kind": "RolloutPolicy",
            "metadata": {"name": "default"}, "spec": spec,
        });
        let stored = Self(control_plane);
        control_plane.kubectl().args(["apply", "--filename=-"]).stdin(policy.to_string()).ok();
        stored
    }
}

impl Drop for StoredPolicy<'_> {
    fn drop(&mut self) {
        self.0.kubectl().args(["delete", "rolloutpolicies", "--all"]).run();
    }
}

#[test]
fn records_that_nobody_can_ask_for_are_pruned_by_one_replica() {
    let (_turn, control_plane) = alone();
    let namespace = control_plane.namespace("alone::pruned", &[]);
    let mut history: Vec<Value> = (1..=8)
        .map(|n| past(&format!("s{n}"), &format!("v{n}"), n, "Succeeded", "expand"))
        .collect();
    history.push(past("c4", "v4", 10, "Succeeded", "contract"));
    history.extend((1..=3).map(|n| past(&format!("f{n}"), "v9", 20 + n, "Failed", "expand")));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": history});
    let create = ["create", "--filename=-", "--as=system:serviceaccount:wavegate:wavegate"];
    namespace.kubectl().args(create).stdin(list.to_string()).ok();
    // v3 runs and v2 may be rolled back to.
    for image in ["shop/api:v2", "shop/api:v3"] {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"},
            "spec": {"selector": {"matchLabels": {"app": "api"}}, "template": {
                "metadata": {"labels": {"app": "api"}},
                "spec": {"containers": [{"name": "api", "image": image}]},
            }},
        });
        namespace.kubectl().args(["apply", "--filename=-"]).stdin(deployment.to_string()).ok();
        namespace.kubectl().args(["rollout", "status", "deployment/api", "--timeout=50s"]).ok();
    }
    let _few =
        StoredPolicy::store(control_plane, &json!({"retention": {"successes": 2, "failures": 1}}));
    let often = ["--prune-every=1s"];
    let kubeconfig = own_kubeconfig(control_plane, None);
    let binary = Path::new(env!("CARGO_BIN_EXE_wavegate"));
    let replicas = ["pruner-a", "pruner-b"]
        .map(|name| Wavegate::launch(control_plane, binary, name, &kubeconfig, &often));
    let names = || {
        let names = records(&namespace).into_iter();
        names
            .map(|r| r["metadata"]["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    let stay = ["c4", "f3", "s1", "s2", "s3", "s4", "s7", "s8"];
    eventually("what nobody needs is gone", BOUND, || (names() == stay).then_some(()));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(names(), stay);
    let pruned = "wavegate_record_writes_total{result=\"pruned\"}";
    let pruned: Vec<_> = replicas.iter().filter_map(|replica| replica.metric(pruned)).collect();
    assert!(pruned == [4.0, 0.0] || pruned == [0.0, 4.0], "{pruned:?}");
    let lease = control_plane
        .kubectl()
        .namespace("wavegate")
        .args(["get", "lease", "wavegate-pruning"])
        .json();
    assert!(lease["spec"]["holderIdentity"].is_string(), "{lease}");
}
