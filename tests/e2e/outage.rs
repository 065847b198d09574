//! The gate when something is away: the API server from wavegate, or wavegate itself between migration and rollout.

use std::time::Duration;

use serde_json::json;

use crate::alone::{alone, proxied, ready, start};
use crate::cluster::wavegate::Wavegate;
use crate::cluster::{ControlPlane, Ending, Namespace, Output, eventually};
use crate::gate::manifests::{app, migration};
use crate::guard::{codes, verdict};
use crate::proxy::Mode;
use crate::records::records;

const BOUND: Duration = Duration::from_mins(1);

/// A wavegate that the API server asks, for as long as this is held. Its control plane is others' afterwards.
struct Registered<'c> {
    control_plane: &'c ControlPlane,
}

impl<'c> Registered<'c> {
    fn of(wavegate: &Wavegate, control_plane: &'c ControlPlane) -> Self {
        let registered = Self { control_plane };
        wavegate.register(control_plane);
        registered
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        for kind in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"] {
            self.control_plane
                .kubectl()
                .args(["delete", kind, "wavegate", "--ignore-not-found"])
                .run();
        }
    }
}

fn apply(namespace: &Namespace<'_>, object: &serde_json::Value) -> Output {
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(object.to_string()).run()
}

/// v1 has migrated and runs.
fn with_v1<'c>(control_plane: &'c ControlPlane, test: &str) -> Namespace<'c> {
    let namespace = control_plane.namespace(test, &[("wavegate.dev/mode", "enforce")]);
    assert!(apply(&namespace, &migration("v1", "succeed")).status.success());
    eventually("v1 is applied", BOUND, || {
        apply(&namespace, &app("v1")).status.success().then_some(())
    });
    namespace.kubectl().args(["delete", "job", "shop-migrate"]).ok();
    namespace
}

#[test]
fn static_rules_go_on_and_the_gate_says_that_it_is_not_the_authors_fault() {
    let (_turn, control_plane) = alone();
    let (proxy, kubeconfig) = proxied(control_plane);
    let wavegate = start(control_plane, "outage", &kubeconfig);
    wavegate.until_ready();
    let _registered = Registered::of(&wavegate, control_plane);
    let namespace = with_v1(control_plane, "outage::away");
    for (mode, words) in
        [(Mode::Off, "not your fault"), (Mode::Silent, "did not answer within 1 s")]
    {
        proxy.set(mode);
        let held = apply(&namespace, &app("v2"));
        assert_eq!(verdict(&held).denied, codes(&["WG302"]), "{}", held.stderr);
        assert!(held.stderr.contains(words), "{words:?} is not in {}", held.stderr);
        // What the watches have told is still known, and what is about the object itself needs nobody.
        assert!(apply(&namespace, &app("v1")).status.success());
        let mut retries = migration("v2", "succeed");
        retries["spec"]["backoffLimit"] = serde_json::json!(3);
        let refused = apply(&namespace, &retries);
        assert_eq!(verdict(&refused).denied, codes(&["WG101"]), "{}", refused.stderr);
    }
    let unconfirmed = wavegate.metric("wavegate_unconfirmed_decisions_total");
    assert!(unconfirmed >= Some(2.0), "{unconfirmed:?}");
    proxy.set(Mode::On);
    let held = apply(&namespace, &app("v2"));
    assert!(held.stderr.contains("no migration ran for it"), "{}", held.stderr);
}

/// kubectl applies a folder faster than a watch may tell of it: what wavegate let through itself it knows at once.
#[test]
fn a_rollout_right_behind_its_migration_is_held_before_the_watch_tells_of_it() {
    let (_turn, control_plane) = alone();
    let (proxy, kubeconfig) = proxied(control_plane);
    let wavegate = start(control_plane, "outage-late", &kubeconfig);
    wavegate.until_ready();
    let _registered = Registered::of(&wavegate, control_plane);
    let namespace = control_plane.namespace("outage::late", &[("wavegate.dev/mode", "enforce")]);
    proxy.delay(Duration::from_millis(150));
    let items = [migration("v1", "run"), app("v1")];
    let folder = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let held = apply(&namespace, &folder);
    assert_eq!(verdict(&held).denied, codes(&["WG302"]), "{}", held.stderr);
    assert!(held.stderr.contains("still runs"), "{}", held.stderr);
    namespace.end_job("shop-migrate", Ending::Succeed);
    eventually("the same folder passes", BOUND, || {
        apply(&namespace, &folder).status.success().then_some(())
    });
}

/// While wavegate is away nothing is let through in silence; when it is back, what happened is read from the Job, and
/// where that is gone too, nobody knows.
#[test]
fn a_wavegate_that_was_killed_between_migration_and_rollout_lets_nothing_through_unseen() {
    let (_turn, control_plane) = alone();
    let mut wavegate = ready(control_plane, "outage-killed");
    let _registered = Registered::of(&wavegate, control_plane);
    let [there, gone] = ["outage::there", "outage::gone"].map(|test| with_v1(control_plane, test));
    for namespace in [&there, &gone] {
        assert!(apply(namespace, &migration("v2", "run")).status.success());
        eventually("the record says that it runs", BOUND, || {
            records(namespace).iter().any(|r| r["status"]["outcome"] == "Running").then_some(())
        });
    }
    wavegate.server_mut().stop().expect("it is killed");
    for namespace in [&there, &gone] {
        namespace.end_job("shop-migrate", Ending::Succeed);
        let wait = ["wait", "job/shop-migrate", "--for=condition=Complete", "--timeout=50s"];
        namespace.kubectl().args(wait).ok();
        let away = apply(namespace, &app("v2"));
        assert!(away.stderr.contains("failed calling webhook"), "{}", away.stderr);
    }
    gone.kubectl().args(["delete", "job", "shop-migrate"]).ok();

    let wavegate = ready(control_plane, "outage-killed");
    // It serves at another address now.
    wavegate.register(control_plane);
    let passed = apply(&there, &app("v2"));
    assert!(passed.status.success(), "{}", passed.stderr);
    let held = apply(&gone, &app("v2"));
    assert_eq!(verdict(&held).denied, codes(&["WG302"]), "{}", held.stderr);
    assert!(held.stderr.contains("nobody saw how it ended"), "{}", held.stderr);
}
