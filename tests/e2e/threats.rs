//! The threats to admission control that SIG Security lists, as far as they are about wavegate and no other test is.
//! `docs/security.md` has the whole list.

use std::fs;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cluster::wavegate::WAITER_IMAGE;
use crate::cluster::{Namespace, Output, eventually};
use crate::conditions::{SELECTOR, strict_configurations};
use crate::gate::manifests::{REPOSITORY, app, migration, named, workload};
use crate::guard::{codes, enforcing, guarded, verdict};
use crate::records::{create, record};

const BOUND: Duration = Duration::from_mins(1);

fn apply(namespace: &Namespace<'_>, object: &Value) -> Output {
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(object.to_string()).run()
}

/// Marks an object as being deleted, and keeps it by a finalizer.
fn begin_deletion(namespace: &Namespace<'_>, what: &str) {
    let finalizers = r#"{"metadata":{"finalizers":["test.wavegate.dev/hold"]}}"#;
    namespace.kubectl().args(["patch", what, "--type=merge", "--patch", finalizers]).ok();
    namespace.kubectl().args(["delete", what, "--wait=false"]).ok();
}

fn end_deletion(namespace: &Namespace<'_>, what: &str) {
    let finalizers = r#"{"metadata":{"finalizers":null}}"#;
    namespace.kubectl().args(["patch", what, "--type=merge", "--patch", finalizers]).ok();
    eventually("it is gone", BOUND, || {
        let get = ["get", what, "--ignore-not-found", "--output=name"];
        namespace.kubectl().args(get).ok().is_empty().then_some(())
    });
}

/// Threats 3 and 11, bypass by a shortcut (as CVE-2023-34091): a workload that is being deleted is not judged, and its
/// controller does not roll out what is written to it then.
#[test]
fn a_workload_that_is_being_deleted_rolls_nothing_out() {
    let namespace = enforcing("threats::deleted");
    assert!(apply(&namespace, &migration("v1", "succeed")).status.success());
    record(&namespace, "Succeeded");
    assert!(apply(&namespace, &app("v1")).status.success());
    let available = ["wait", "deployment/shop-api", "--for=condition=Available", "--timeout=50s"];
    namespace.kubectl().args(available).ok();
    let image = ["set", "image", "deployment/shop-api", &format!("app={REPOSITORY}:v2")];
    assert_eq!(verdict(&namespace.kubectl().args(image).run()).denied, codes(&["WG302"]));
    begin_deletion(&namespace, "deployment/shop-api");
    namespace.kubectl().args(image).ok();
    // Once the controller has seen that change it has decided what to do about it.
    eventually("the controller has seen the change", BOUND, || {
        let deployment = namespace.kubectl().args(["get", "deployment", "shop-api"]).json();
        let seen = &deployment["status"]["observedGeneration"];
        (*seen == deployment["metadata"]["generation"]).then_some(())
    });
    let sets = namespace.kubectl().args(["get", "replicasets"]).json();
    assert!(!sets.to_string().contains(&format!("{REPOSITORY}:v2")), "{sets}");
    end_deletion(&namespace, "deployment/shop-api");
}

/// The same of evidence: a Job that a finalizer keeps is made no migration, and what deletes it goes on.
#[test]
fn a_job_that_is_being_deleted_becomes_no_evidence() {
    let namespace = enforcing("threats::relabelled");
    let mut job = named(migration("v1", "succeed"), "report");
    job["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["report", "--daily"]);
    create(&namespace, &job);
    begin_deletion(&namespace, "job/report");
    for key in ["wavegate.dev/role=migration", "stamp.wavegate.dev/tracked=true"] {
        let output = namespace.kubectl().args(["label", "job/report", key]).run();
        assert_eq!(verdict(&output).denied, codes(&["WG311"]), "{key}: {}", output.stderr);
    }
    end_deletion(&namespace, "job/report");
}

/// Threat 2, costly payloads: an object with as many faults as containers is answered in time, in one short line. That
/// nobody waits for one whose commands take longer to read is tested where requests are routed.
#[test]
fn an_object_with_a_thousand_faults_is_answered_in_time_and_in_short() {
    let namespace = enforcing("threats::costly");
    let mut object = app("latest");
    object["metadata"]["labels"] = json!({"wavegate.dev/app": "shop"});
    let one =
        json!({"image": "example.com/x:latest", "command": ["sh", "-c", "alembic upgrade head"]});
    let containers: Vec<_> = (0..1000)
        .map(|number| {
            let mut container = one.clone();
            container["name"] = json!(format!("c{number}"));
            container
        })
        .collect();
    object["spec"]["template"]["spec"]["containers"] = json!(containers);
    let create = ["create", "--dry-run=server", "--validate=false", "--filename=-"];
    let output = namespace.kubectl().args(create).stdin(object.to_string()).run();
    // That it is wavegate who refuses shows the time too: the API server would have given up after its timeout.
    assert!(verdict(&output).denied.contains("WG503"), "{}", output.stderr);
    assert!(output.stderr.len() < 6000, "{} bytes: {}", output.stderr.len(), output.stderr);
}

/// Threat 10, mutation used to gain privilege: an author chooses neither image nor rights of what is added.
#[test]
fn what_is_injected_is_the_operators_image_without_any_right() {
    let namespace = enforcing("threats::injected");
    let mut job = migration("v1", "succeed");
    job["metadata"]["annotations"]["wavegate.dev/database"] = json!("db.example.com:5432");
    for key in ["wavegate.dev/waiter-image", "wavegate.dev/image", "stamp.wavegate.dev/waiter"] {
        job["metadata"]["annotations"][key] = json!("evil.example.com/root:latest");
    }
    let pod = &mut job["spec"]["template"]["spec"];
    pod["containers"][0]["securityContext"] = json!({"privileged": true, "runAsUser": 0});
    create(&namespace, &job);
    let job = namespace.kubectl().args(["get", "job", "shop-migrate"]).json();
    let added = &job["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(added["image"], WAITER_IMAGE, "{added:#}");
    let rights = &added["securityContext"];
    assert_eq!(rights["allowPrivilegeEscalation"], false, "{added:#}");
    assert_eq!(rights["capabilities"], json!({"drop": ["ALL"]}), "{added:#}");
    assert_eq!(rights["readOnlyRootFilesystem"], true, "{added:#}");
    assert_eq!(rights["privileged"], false, "{added:#}");
    assert_eq!(rights["runAsNonRoot"], true, "{added:#}");
    assert!(added["volumeMounts"].is_null() && added["env"].is_null(), "{added:#}");
}

/// Threat 12, containers that a rule forgets: an image that only an init container runs is a release as well.
#[test]
fn an_init_container_carries_a_release() {
    let namespace = enforcing("threats::init");
    assert!(apply(&namespace, &migration("v1", "succeed")).status.success());
    record(&namespace, "Succeeded");
    let with = |tag: &str| {
        let mut object = workload("shop-api", "example.com/proxy:1");
        object["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "assets", "image": format!("{REPOSITORY}:{tag}"), "command": ["copy"]}]);
        object["metadata"]["annotations"]["wavegate.dev/container"] = json!("assets");
        object
    };
    let output = apply(&namespace, &with("v1"));
    assert_eq!(verdict(&output).denied, codes(&[]), "{}", output.stderr);
    let output = apply(&namespace, &with("v2"));
    assert_eq!(verdict(&output).denied, codes(&["WG302"]), "{}", output.stderr);
}

/// Threat 13, weak string matching: other spellings of an image are the same image, and lookalikes are not.
#[test]
fn spelling_proves_nothing() {
    let namespace = enforcing("threats::spelling");
    let mut job = migration("v1", "succeed");
    job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("localhost:5000/shop/api:v1");
    create(&namespace, &job);
    record(&namespace, "Succeeded");
    let floating = apply(&namespace, &workload("floating", "localhost:5000/shop/api"));
    assert!(verdict(&floating).denied.contains("WG303"), "{}", floating.stderr);
    for image in [
        "localhost:5000/shop/api:V1",
        "localhost:5000/shop/api:v1.0",
        "localhost:5000/shop/api:v1-",
    ] {
        let output = apply(&namespace, &workload("other", image));
        assert!(!verdict(&output).denied.is_empty(), "{image}: {}", output.stderr);
    }
    let output = apply(&namespace, &workload("same", "localhost:5000/shop/api:v1"));
    assert_eq!(verdict(&output).denied, codes(&[]), "{}", output.stderr);
}

/// Threat 14, other versions of an API: each entry is asked about an object whatever version it is written in.
#[test]
fn every_entry_matches_equivalent_versions() {
    let (control_plane, _) = guarded();
    for kind in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let configuration = control_plane.kubectl().args(["get", kind, "wavegate"]).json();
        let webhooks = configuration["webhooks"].as_array().expect("webhooks");
        assert!(!webhooks.is_empty());
        assert!(webhooks.iter().all(|it| it["matchPolicy"] == "Equivalent"), "{configuration:#}");
    }
}

/// Threats 7 to 9, a server in the middle: the API server takes no answer of one that another CA vouches for.
#[test]
fn an_impostor_is_not_believed() {
    let (control_plane, wavegate) = guarded();
    let labels = [("wavegate.dev/mode", "off"), (SELECTOR, "impostor")];
    let namespace = control_plane.namespace("threats::impostor", &labels);
    let folder = control_plane.directory().join("impostor");
    let certs = ["certs", "--ip", "127.0.0.1", "--directory"];
    let made = Command::new(env!("CARGO_BIN_EXE_wavegate")).args(certs).arg(&folder).output();
    assert!(made.expect("wavegate certs").status.success());
    let other = STANDARD.encode(fs::read(folder.join("ca.crt")).expect("a CA"));
    let strict =
        strict_configurations(&wavegate.configurations(control_plane), "Validating", "impostor");
    let forged: String = strict
        .lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(mut object) => {
                for webhook in object["webhooks"].as_array_mut().expect("webhooks") {
                    webhook["clientConfig"]["caBundle"] = json!(other);
                }
                format!("{object}\n")
            }
            Err(_) => format!("{line}\n"),
        })
        .collect();
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(forged).ok();
    let good = include_str!("../../examples/shop/migration.yaml");
    eventually("the API server refuses", Duration::from_secs(30), || {
        let create = ["create", "--dry-run=server", "--filename=-"];
        let output = namespace.kubectl().args(create).stdin(good).run();
        (!output.status.success() && output.stderr.contains("x509")).then_some(())
    });
    control_plane
        .kubectl()
        .args(["delete", "validatingwebhookconfiguration", "wavegate-impostor"])
        .ok();
}

/// Threat 18, exfiltration: what a manifest holds of secrets is in nothing that wavegate says.
#[test]
fn a_secret_in_a_manifest_is_told_nowhere() {
    const PLANTED: &str = "pl4nted-w0rd";
    let (_, wavegate) = guarded();
    let namespace = enforcing("threats::secret");
    let url = format!("postgres://shop:{PLANTED}@db.example.com/shop?password={PLANTED}");
    let plant = |mut job: Value| {
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["env"] =
            json!([{"name": "DATABASE_URL", "value": url}, {"name": "TOKEN", "value": PLANTED}]);
        container["args"] = json!([format!("--password={PLANTED}")]);
        job
    };
    let mut bad = plant(named(migration("v2", "succeed"), "bad-migrate"));
    bad["spec"]["backoffLimit"] = json!(3);
    let refused = apply(&namespace, &bad);
    assert!(verdict(&refused).denied.contains("WG101"), "{}", refused.stderr);
    let failed = apply(&namespace, &plant(migration("v1", "fail")));
    assert!(failed.status.success(), "{}", failed.stderr);
    let record = record(&namespace, "Failed");
    let held = apply(&namespace, &app("v1"));
    assert!(verdict(&held).denied.contains("WG302"), "{}", held.stderr);
    let events = eventually("an Event tells of the refusal", BOUND, || {
        let events = namespace.kubectl().args(["get", "events"]).json().to_string();
        (events.contains("WG302") && events.contains("WG101")).then_some(events)
    });
    let said = [
        refused.stderr,
        failed.stderr,
        held.stderr,
        record.to_string(),
        events,
        wavegate.get("/metrics"),
        wavegate.server().log(),
    ];
    for text in said {
        assert!(!text.is_empty());
        // kubectl itself shows the object that it could not apply; that is not wavegate's.
        let lines = text.lines().filter(|line| !line.starts_with("Name: "));
        for line in lines {
            assert!(!line.contains(PLANTED), "{line}");
        }
    }
}
