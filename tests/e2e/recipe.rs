//! The recipe: a migration Job, the app, a verification Job.

use std::time::Duration;

use serde_json::json;

use crate::cluster::wavegate::WAITER_IMAGE;
use crate::guard::{codes, enforcing, guarded, verdict};

const MIGRATION: &str = "examples/shop/migration.yaml";
const BOUND: Duration = Duration::from_mins(1);

#[test]
fn the_three_manifests_run_one_after_the_other() {
    let (control_plane, _) = guarded();
    let labels =
        [("wavegate.dev/mode", "enforce"), ("pod-security.kubernetes.io/enforce", "restricted")];
    let namespace = control_plane.namespace("recipe::run", &labels);
    let created = namespace.kubectl().args(["apply", "--filename", MIGRATION]).run();
    assert!(created.status.success(), "{}", created.stderr);
    assert!(created.stderr.contains("wait-for-db was added"), "{}", created.stderr);
    let wait = |what: &str, condition: &str| {
        let wait = ["wait", what, &format!("--for=condition={condition}"), "--timeout=50s"];
        namespace.kubectl().args(wait).within(BOUND).ok();
    };
    wait("job/shop-migrate", "Complete");
    // The pod passed the namespace's restricted Pod Security with the container that was added.
    let pods = namespace.kubectl().args(["get", "pods"]).json();
    let waiter = &pods["items"][0]["spec"]["initContainers"][0];
    assert_eq!(waiter["name"], "wait-for-db");
    assert_eq!(waiter["image"], WAITER_IMAGE);
    assert_eq!(waiter["command"], json!(["/wavegate", "wait-for-db"]));
    assert_eq!(waiter["args"], json!(["--timeout=60s"]));
    assert_eq!(waiter["env"][0]["valueFrom"]["secretKeyRef"]["name"], "shop-database");
    assert_eq!(waiter["resources"]["requests"], waiter["resources"]["limits"]);

    namespace.kubectl().args(["apply", "--filename=examples/shop/app.yaml"]).ok();
    wait("deployment/shop-api", "Available");
    namespace.kubectl().args(["apply", "--filename=examples/shop/verification.yaml"]).ok();
    wait("job/shop-verify", "Complete");
}

#[test]
fn the_same_job_is_applied_again_on_either_side() {
    for (test, side) in
        [("recipe::client", "--server-side=false"), ("recipe::server", "--server-side")]
    {
        let namespace = enforcing(test);
        let apply = || namespace.kubectl().args(["apply", side, "--filename", MIGRATION]).run();
        assert!(apply().status.success());
        let first = namespace.kubectl().args(["get", "job", "shop-migrate"]).json();
        let again = apply();
        assert!(again.status.success(), "{side}: {}", again.stderr);
        let second = namespace.kubectl().args(["get", "job", "shop-migrate"]).json();
        assert_eq!(first["spec"], second["spec"], "{side}");
        assert_eq!(first["metadata"]["labels"], second["metadata"]["labels"], "{side}");
    }
}

#[test]
fn a_finished_job_keeps_its_keys() {
    let namespace = enforcing("recipe::relabel");
    namespace.kubectl().args(["apply", "--filename", MIGRATION]).ok();
    let wait = ["wait", "job/shop-migrate", "--for=condition=Complete", "--timeout=50s"];
    namespace.kubectl().args(wait).within(BOUND).ok();
    let changes = [
        ["label", "wavegate.dev/role=none"],
        ["label", "wavegate.dev/app=billing"],
        ["label", "stamp.wavegate.dev/tracked-"],
        ["label", "stamp.wavegate.dev/verified="],
        ["annotate", "wavegate.dev/release=v2"],
        ["annotate", "stamp.wavegate.dev/creator=nobody"],
    ];
    for [verb, change] in changes {
        let relabel = [verb, "--overwrite", "job/shop-migrate", change];
        let found = verdict(&namespace.kubectl().args(relabel).run());
        assert_eq!(found.denied, codes(&["WG311"]), "{verb} {change}");
    }
    namespace.kubectl().args(["label", "job/shop-migrate", "team=checkout"]).ok();
}
