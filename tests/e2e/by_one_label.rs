//! A namespace full of running apps goes from warn to enforce by one label, and Argo CD sees no difference.

use serde_json::{Value, json};

use crate::cluster::argocd::{self, Application, Draft, Health, Phase, Refresh, Sync, SyncStatus};
use crate::gate::manifests::{
    REPOSITORY, annotated, files, labelled, migration, named, verification, workload,
};
use crate::guard::guarded;

/// What nobody wrote with wavegate in mind: much of it would be refused if it were new.
fn legacy(tag: &str) -> Vec<(&'static str, String)> {
    let image = format!("{REPOSITORY}:{tag}");
    let mut web = workload("web", &image);
    web["spec"]["strategy"] = json!({"rollingUpdate": {"maxUnavailable": "25%"}});
    let mut worker = labelled(workload("worker", &image), "wavegate.dev/app", "shop");
    worker["spec"]["strategy"] = json!({"type": "Recreate"});
    let mut probeless = labelled(workload("probeless", &image), "wavegate.dev/app", "shop");
    let container = &mut probeless["spec"]["template"]["spec"]["containers"][0];
    container.as_object_mut().expect("a container").remove("readinessProbe");
    files(&[
        ("migration.json", migration(tag, "succeed")),
        ("web.json", web),
        ("worker.json", worker),
        ("probeless.json", probeless),
        ("replaced.json", annotated(workload("replaced", &image), OPTIONS, "Replace=true")),
        ("store.json", stateful_set(&image)),
        ("nightly.json", cron_job(&image)),
        ("verification.json", verification(tag)),
    ])
}

const OPTIONS: &str = "argocd.argoproj.io/sync-options";

fn stateful_set(image: &str) -> Value {
    let mut set = workload("store", image);
    set["kind"] = json!("StatefulSet");
    let spec = set["spec"].as_object_mut().expect("a spec");
    spec.remove("strategy");
    spec.insert("serviceName".to_owned(), json!("store"));
    set
}

/// Migrates every night, whatever is rolled out.
fn cron_job(image: &str) -> Value {
    let container =
        json!({"name": "migrate", "image": image, "command": ["python", "manage.py", "migrate"]});
    let pod = json!({"restartPolicy": "OnFailure", "containers": [container]});
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": "nightly", "labels": {"wavegate.dev/app": "shop"}},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    })
}

/// Another app beside it, which Argo CD syncs and heals by itself, and compares without asking the API server.
fn beside(tag: &str) -> Vec<(&'static str, String)> {
    let image = format!("example.com/cart/api:{tag}");
    let mut job = named(migration(tag, "succeed"), "cart-migrate");
    job["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    let mut cart = labelled(workload("cart-api", &image), "wavegate.dev/app", "cart");
    cart["spec"]["strategy"] = json!({"type": "Recreate"});
    let job = labelled(job, "wavegate.dev/app", "cart");
    files(&[("migration.json", job), ("app.json", cart)])
}

fn draft(test: &str) -> Draft<'static> {
    guarded();
    argocd::shared().application(test)
}

fn synced(applications: &[&Application<'_>]) {
    for application in applications {
        let status = application.becomes(SyncStatus::Synced, Health::Healthy);
        assert!(status.conditions.is_empty(), "{:#?}", status.conditions);
    }
}

#[test]
fn no_application_leaves_synced_when_its_namespace_enforces() {
    let legacy_app = draft("label::legacy")
        .label("wavegate.dev/mode", "warn")
        .server_side_diff()
        .sync_options(&["ServerSideApply=true"])
        .files(legacy("v1"))
        .create();
    let beside_app = draft("label::beside")
        .namespace(legacy_app.namespace())
        .self_heal()
        .files(beside("v1"))
        .create();
    let both = [&legacy_app, &beside_app];
    let operation = legacy_app.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    synced(&both);
    // It would be refused if it were new: the test is about something.
    let (control_plane, wavegate) = guarded();
    for (name, code) in
        [("worker", "WG501"), ("probeless", "WG502"), ("nightly", "WG503"), ("cart-api", "WG501")]
    {
        wavegate.until_decided(legacy_app.namespace(), name, |decisions| {
            decisions.iter().any(|decision| decision["warned"].to_string().contains(code))
        });
    }

    let enforce = "wavegate.dev/mode=enforce";
    let label = ["label", "--overwrite", "namespace", legacy_app.namespace(), enforce];
    control_plane.kubectl().args(label).ok();
    for application in both {
        let status = application.refresh(Refresh::Hard);
        assert_eq!(status.sync, SyncStatus::Synced, "{status:#?}");
        let operation = application.sync(&Sync::full());
        assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    }
    synced(&both);

    // It enforces indeed, and the next release of each passes with all its faults.
    legacy_app.commit(legacy("v2"));
    assert_eq!(legacy_app.refresh(Refresh::Hard).sync, SyncStatus::OutOfSync);
    let operation = legacy_app.sync(&Sync::apply_only());
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    assert!(operation.message.contains("WG302"), "{operation:#?}");
    let operation = legacy_app.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    let revision = beside_app.commit(beside("v2"));
    beside_app.refresh(Refresh::Normal);
    let operation = beside_app.automated(&revision);
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    synced(&both);
}
