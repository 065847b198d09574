//! The gate without Argo CD: kubectl and Helm.

use std::fs;

use super::manifests::{app, migration, release};
use super::{becomes_recorded_in, passes_in_time};
use crate::cluster::Namespace;
use crate::guard::{codes, enforcing, guarded, verdict};

fn apply(namespace: &Namespace<'_>, object: &serde_json::Value) -> crate::cluster::Output {
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(object.to_string()).run()
}

/// A plain apply of a folder creates Job and Deployment at once: the gate holds the Deployment until the Job has
/// completed, and the same command then passes.
#[test]
fn a_folder_is_held_until_its_job_has_completed() {
    let namespace = enforcing("tools::folder");
    let (control_plane, _) = guarded();
    let write = |tag: &str, outcome: &str| {
        let folder = control_plane.directory().join(format!("folder-{tag}-{outcome}"));
        fs::create_dir_all(&folder).expect("a folder");
        for (file, text) in release(tag, outcome).into_iter().take(2) {
            // The Job comes first, as kubectl takes files in the order of their names.
            let file = if file == "app.json" { "2-app.json" } else { "1-migration.json" };
            fs::write(folder.join(file), text).expect("a file");
        }
        format!("--filename={}", folder.display())
    };
    let first = write("v1", "run");
    let held = namespace.kubectl().args(["apply", &first]).run();
    assert_eq!(verdict(&held).denied, codes(&["WG302"]), "{}", held.stderr);
    assert!(held.stderr.contains("still runs"), "{}", held.stderr);
    namespace.end_job("shop-migrate", crate::cluster::Ending::Succeed);
    let wait = ["wait", "job/shop-migrate", "--for=condition=Complete", "--timeout=50s"];
    namespace.kubectl().args(wait).ok();
    passes_in_time("the same folder passes", || namespace.kubectl().args(["apply", &first]).run());
    becomes_recorded_in(&namespace, &[("v1", "Succeeded")]);
}

#[test]
fn a_dry_run_warns_of_what_a_real_apply_is_held_for() {
    let namespace = enforcing("tools::dry_run");
    for object in [migration("v1", "succeed"), app("v1")] {
        passes_in_time("v1 is applied", || apply(&namespace, &object));
    }
    becomes_recorded_in(&namespace, &[("v1", "Succeeded")]);
    let next = app("v2").to_string();
    let dry = ["apply", "--dry-run=server", "--filename=-"];
    let found = verdict(&namespace.kubectl().args(dry).stdin(next.clone()).run());
    assert_eq!((found.denied, found.warned.contains("WG302")), (codes(&[]), true));
    let diff = namespace.kubectl().args(["diff", "--filename=-"]).stdin(next).run();
    assert_eq!(diff.status.code(), Some(1), "there is a difference, and no error: {}", diff.stderr);
    assert_eq!(verdict(&apply(&namespace, &app("v2"))).denied, codes(&["WG302"]));
}

/// What a migration needs and is not there keeps its pod from starting; the author is told.
#[test]
fn a_missing_service_account_is_told() {
    let namespace = enforcing("tools::reference");
    let mut job = migration("v1", "succeed");
    job["spec"]["template"]["spec"]["serviceAccountName"] = serde_json::json!("shop-migrator");
    let create = ["create", "--dry-run=server", "--filename=-"];
    let warned = || {
        let output = namespace.kubectl().args(create).stdin(job.to_string()).run();
        (verdict(&output).warned.contains("WG601"), output.stderr)
    };
    let (told, stderr) = warned();
    assert!(told && stderr.contains("ServiceAccount shop-migrator"), "{stderr}");
    namespace.kubectl().args(["create", "serviceaccount", "shop-migrator"]).ok();
    let (told, stderr) = warned();
    assert!(!told, "{stderr}");
}

/// Helm's rollback runs no pre-upgrade hook and goes back to an image that has migrated.
#[test]
fn a_helm_rollback_is_let_through() {
    let namespace = enforcing("tools::helm");
    let (control_plane, _) = guarded();
    let chart = control_plane.directory().join("helm-chart");
    fs::create_dir_all(chart.join("templates")).expect("a folder");
    let mut job = migration("{{ .Values.tag }}", "{{ .Values.outcome }}");
    job["metadata"]["annotations"] = serde_json::json!({
        "helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation",
    });
    let write = |file: &str, text: &str| fs::write(chart.join(file), text).expect("a file");
    write("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
    write("values.yaml", "tag: v1\noutcome: succeed\n");
    write("templates/migration.yaml", &job.to_string());
    write("templates/app.yaml", &app("{{ .Values.tag }}").to_string());
    let chart = chart.display().to_string();
    let helm = |arguments: &[&str]| namespace.helm().args(arguments.iter().copied()).run();
    let release = |tag: &str, outcome: &str| {
        let (tag, outcome) = (format!("tag={tag}"), format!("outcome={outcome}"));
        helm(&["upgrade", "--install", "shop", &chart, "--set", &tag, "--set", &outcome])
    };
    for tag in ["v1", "v2"] {
        let output = release(tag, "succeed");
        assert!(output.status.success(), "{tag}: {}", output.stderr);
    }
    let back = helm(&["rollback", "shop", "1"]);
    assert!(back.status.success(), "{}", back.stderr);
    let deployment = namespace.kubectl().args(["get", "deployment", "shop-api"]).json();
    assert!(deployment.to_string().contains("api:v1"), "{deployment}");
    // A migration that fails ends the upgrade before the Deployment is touched.
    let failed = release("v3", "fail");
    assert!(!failed.status.success(), "{}", failed.stdout);
    let no_hooks = helm(&["upgrade", "shop", &chart, "--set", "tag=v3", "--no-hooks"]);
    assert!(no_hooks.stderr.contains("WG302"), "{}", no_hooks.stderr);
}

/// A release is a release whatever runs it.
#[test]
fn stateful_sets_and_daemon_sets_are_gated_alike() {
    let namespace = enforcing("tools::kinds");
    let of_kind = |kind: &str, tag: &str| {
        let mut object = app(tag);
        object["kind"] = serde_json::json!(kind);
        object["metadata"]["name"] = serde_json::json!(format!("shop-{}", kind.to_lowercase()));
        let spec = object["spec"].as_object_mut().expect("a spec");
        spec.remove("strategy");
        if kind == "DaemonSet" {
            spec.remove("replicas");
        }
        object
    };
    assert!(apply(&namespace, &migration("v1", "succeed")).status.success());
    becomes_recorded_in(&namespace, &[("v1", "Succeeded")]);
    for kind in ["StatefulSet", "DaemonSet"] {
        let first = apply(&namespace, &of_kind(kind, "v1"));
        assert!(first.status.success(), "{kind}: {}", first.stderr);
        let held = apply(&namespace, &of_kind(kind, "v2"));
        assert_eq!(verdict(&held).denied, codes(&["WG302"]), "{kind}: {}", held.stderr);
    }
}
