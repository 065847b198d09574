//! The recipe's objects for a release, as values to be varied.

use serde_json::{Value, json};

pub(crate) const REPOSITORY: &str = "example.com/shop/api";

/// A migration Job: a `PreSync` hook on the app's own image. `outcome` is what becomes of its pod.
pub(crate) fn migration(tag: &str, outcome: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "shop-migrate",
            "annotations": {
                "argocd.argoproj.io/hook": "PreSync",
                "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
            },
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 300,
            "template": {
                "metadata": {"annotations": {"test.wavegate.dev/outcome": outcome}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{
                        "name": "migrate",
                        "image": format!("{REPOSITORY}:{tag}"),
                        "command": ["python", "manage.py", "migrate"],
                    }],
                },
            },
        },
    })
}

/// The app.
pub(crate) fn app(tag: &str) -> Value {
    workload("shop-api", &format!("{REPOSITORY}:{tag}"))
}

/// A Deployment of one image.
pub(crate) fn workload(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "app",
                    "image": image,
                    "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                }]},
            },
        },
    })
}

/// The verification: a `PostSync` hook.
pub(crate) fn verification(tag: &str) -> Value {
    let mut job = migration(tag, "succeed");
    job["metadata"]["name"] = json!("shop-verify");
    job["metadata"]["annotations"]["argocd.argoproj.io/hook"] = json!("PostSync");
    job["spec"]["template"]["spec"]["containers"][0]["command"] =
        json!(["python", "manage.py", "migrate", "--check"]);
    job
}

/// All three, as the files of an Application.
pub(crate) fn release(tag: &str, outcome: &str) -> Vec<(&'static str, String)> {
    files(&[
        ("migration.json", migration(tag, outcome)),
        ("app.json", app(tag)),
        ("verification.json", verification(tag)),
    ])
}

/// Objects as files.
pub(crate) fn files(objects: &[(&'static str, Value)]) -> Vec<(&'static str, String)> {
    objects.iter().map(|(path, object)| (*path, object.to_string())).collect()
}

/// The object with a label.
pub(crate) fn labelled(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["labels"][key] = json!(value);
    object
}

/// The object with an annotation.
pub(crate) fn annotated(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["annotations"][key] = json!(value);
    object
}

/// The object under another name.
pub(crate) fn named(mut object: Value, name: &str) -> Value {
    object["metadata"]["name"] = json!(name);
    object
}
