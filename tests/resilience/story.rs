//! The story: one disturbance after the other, under load.

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{ControlPlane, Namespace, Output, eventually, node};
use crate::installation::{self, IMAGE, NAMESPACE};
use crate::load::{Load, Tally};
use crate::replicas::Replicas;

/// How long anything may take.
const BOUND: Duration = Duration::from_mins(2);

/// Load before a disturbance and after it.
const AROUND: Duration = Duration::from_secs(3);

/// Failures that a killed replica may cause come at most so long after it: until the API server knows that its address
/// is gone, connections to it are refused or not answered.
const AFTER_A_KILL: Duration = Duration::from_secs(10);

const ENFORCING: [(&str, &str); 1] = [("wavegate.dev/mode", "enforce")];

#[test]
fn no_admission_is_lost_by_anything_that_is_meant_to_happen() {
    if let Some(obstacle) = node::obstacle() {
        assert!(std::env::var_os("CI").is_none(), "the story must run in CI: {obstacle}");
        println!("the story DID NOT RUN: {obstacle}");
        return;
    }
    let mut cluster = ControlPlane::start_node().unwrap_or_else(|error| panic!("{error}"));
    installation::follow_page(&cluster);
    Replicas(&cluster).roll_out();
    Replicas(&cluster).are_ready();

    undisturbed(&cluster, "a rolling restart", |replicas| {
        replicas.kubectl().args(["rollout", "restart", "deployment/wavegate"]).ok();
        replicas.roll_out();
    });
    undisturbed(&cluster, "an upgrade to another image", |replicas| {
        let upgraded = format!("{IMAGE}-upgraded");
        replicas.0.tag(IMAGE, &upgraded);
        let (_, tag) = upgraded.rsplit_once(':').expect("a tag");
        upgrade(replicas.0, &["--set", &format!("image.tag={tag}")]);
        replicas.roll_out();
    });
    undisturbed(&cluster, "the graceful deletion of one replica, then of the other", |replicas| {
        for (pod, _) in replicas.pods() {
            replicas.kubectl().args(["delete", "pod", &pod]).within(BOUND).ok();
            replicas.roll_out();
        }
    });
    undisturbed(&cluster, "the rotation of the certificate", |replicas| rotate(replicas, "leaf"));
    undisturbed(&cluster, "the rotation of the CA", |replicas| rotate(replicas, "ca"));
    a_killed_replica(&cluster);
    a_restarted_api_server(&mut cluster);
    all_replicas_down(&cluster);
    uninstalled(&cluster);
}

/// Disturbs wavegate under load; not one admission may fail.
fn undisturbed(cluster: &ControlPlane, what: &str, disturb: impl FnOnce(&Replicas<'_>)) {
    let namespace = cluster.namespace("resilience", &ENFORCING);
    let load = Load::start(cluster, namespace.name());
    thread::sleep(AROUND);
    disturb(&Replicas(cluster));
    thread::sleep(AROUND);
    let tally = load.end();
    println!("{what}: {tally}");
    assert_sound(&tally);
    assert!(tally.failures.is_empty(), "{what}:{}", tally.lines());
    assert_eq!(tally.unanswered, 0, "{what}");
}

/// The load was one: every kind of request was sent, many times.
fn assert_sound(tally: &Tally) {
    assert_eq!(tally.sent.len(), 4, "{tally}");
    assert!(tally.sent.values().all(|&sent| sent >= 10), "{tally}");
}

fn upgrade(cluster: &ControlPlane, values: &[&str]) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/wavegate");
    let upgrade =
        ["upgrade", "wavegate", chart, "--reset-then-reuse-values", "--wait", "--timeout=110s"];
    cluster.helm().namespace(NAMESPACE).args(upgrade).args(values).within(BOUND).ok();
}

/// Has a certificate or the CA replaced, as the page about certificates says.
fn rotate(replicas: &Replicas<'_>, what: &str) {
    let request = format!("wavegate.dev/rotate={what}");
    let annotate = ["annotate", "secret", "wavegate-certificates", &request];
    replicas.kubectl().args(annotate).ok();
    eventually("the rotation is done", Duration::from_mins(3), || {
        let request = r"-o=jsonpath={.metadata.annotations.wavegate\.dev/rotate}";
        let told =
            replicas.kubectl().args(["get", "secret", "wavegate-certificates", request]).ok();
        told.is_empty().then_some(())
    });
}

/// What was under way in it fails, and what the API server still sends to its address; then nothing.
fn a_killed_replica(cluster: &ControlPlane) {
    let replicas = Replicas(cluster);
    let namespace = cluster.namespace("resilience", &ENFORCING);
    let load = Load::start(cluster, namespace.name());
    thread::sleep(AROUND);
    let (_, uid) = replicas.pods().into_iter().next().expect("a replica");
    let killed = Instant::now();
    Replicas::kill(&uid);
    thread::sleep(AFTER_A_KILL);
    replicas.are_ready();
    thread::sleep(AROUND);
    let tally = load.end();
    let late: Vec<_> = tally.failures.iter().map(|failure| failure.to - killed).collect();
    let last = late.iter().max().copied().unwrap_or_default();
    println!("a replica that is killed: {tally}, the last {last:.1?} after it");
    assert_sound(&tally);
    assert!(last <= AFTER_A_KILL, "{}", tally.lines());
}

fn a_restarted_api_server(cluster: &mut ControlPlane) {
    // Not held by a value: the cluster changes meanwhile.
    let namespace = "resilience-restart";
    cluster.kubectl().args(["create", "namespace", namespace]).ok();
    let enforce = ["label", "namespace", namespace, "wavegate.dev/mode=enforce"];
    cluster.kubectl().args(enforce).ok();
    let load = Load::start(cluster, namespace);
    thread::sleep(AROUND);
    let before = load.tally().failures.len();
    cluster.restart_api_server();
    let ready = Instant::now();
    thread::sleep(AROUND * 3);
    let tally = load.end();
    println!("an API server that restarts: {tally}");
    assert_sound(&tally);
    assert!(tally.unanswered > 0, "the load did not meet the restart: {tally}");
    let after: Vec<_> = tally.failures.iter().filter(|failure| failure.from > ready).collect();
    assert!(before == 0 && after.is_empty(), "{}", tally.lines());
}

fn apply(namespace: &Namespace<'_>, manifest: &str) -> Output {
    let file = format!("--filename={manifest}");
    namespace.kubectl().args(["create", &file]).run()
}

const MIGRATION: &str = "examples/shop/migration.yaml";
const APP: &str = "examples/shop/app.yaml";
const BAD: &str = "examples/bad/wg101-backoff-limit-3.yaml";

/// Enforcing namespaces refuse what they cannot have judged, and say why; everything else goes on.
fn all_replicas_down(cluster: &ControlPlane) {
    let enforcing = cluster.namespace("resilience", &ENFORCING);
    let warning = cluster.namespace("resilience", &[("wavegate.dev/mode", "warn")]);
    let replicas = Replicas(cluster);
    replicas.kubectl().args(["scale", "deployment/wavegate", "--replicas=0"]).ok();
    eventually("all replicas are gone", BOUND, || replicas.pods().is_empty().then_some(()));
    for (manifest, entry) in [(MIGRATION, "migrations"), (APP, "workloads")] {
        let output = apply(&enforcing, manifest);
        let told = format!("failed calling webhook \"{entry}.enforce.wavegate.dev\"");
        assert!(!output.status.success() && output.stderr.contains(&told), "{}", output.stderr);
    }
    // Pods, ConfigMaps and whatever else nobody asks wavegate about.
    enforcing.kubectl().args(["create", "configmap", "unasked"]).ok();
    for manifest in [BAD, APP] {
        let output = apply(&warning, manifest);
        assert!(output.status.success(), "{}", output.stderr);
    }
    replicas.kubectl().args(["scale", "deployment/wavegate", "--replicas=2"]).ok();
    replicas.roll_out();
    replicas.are_ready();
    let output = apply(&enforcing, BAD);
    assert!(output.stderr.contains("WG101"), "{}", output.stderr);
    println!(
        "all replicas down: enforcing namespaces refuse, the others go on, and it ends with them"
    );
}

/// Nothing of wavegate holds anything any more.
fn uninstalled(cluster: &ControlPlane) {
    let enforcing = cluster.namespace("resilience", &ENFORCING);
    let uninstall = ["uninstall", "wavegate", "--wait", "--timeout=110s"];
    cluster.helm().namespace(NAMESPACE).args(uninstall).within(BOUND).ok();
    for manifest in [BAD, APP] {
        let output = apply(&enforcing, manifest);
        assert!(output.status.success(), "{}", output.stderr);
        assert!(output.stderr.is_empty(), "{}", output.stderr);
    }
    println!("after an uninstall nothing is held");
}
