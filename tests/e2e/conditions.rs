//! The webhook configurations' matchConditions, evaluated by the real API server on every kind.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use wavegate::check::yaml;

use crate::cluster::{Namespace, eventually};
use crate::guard::{codes, enforcing, guarded, verdict};

/// Label of the namespaces that this module's own configurations are asked about.
pub(crate) const SELECTOR: &str = "test.wavegate.dev/conditions";

/// An Argo Rollout as far as the API server needs to know it.
const ROLLOUTS: &str = r#"{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "rollouts.argoproj.io"},
  "spec": {
    "group": "argoproj.io", "scope": "Namespaced",
    "names": {"kind": "Rollout", "listKind": "RolloutList", "plural": "rollouts", "singular": "rollout"},
    "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
      "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]
  }
}"#;

/// The configurations of one kind, or of all, with each entry failing closed and asked about namespaces with
/// `SELECTOR: value`. A condition that cannot be evaluated then refuses the request, where `Ignore` would hide it.
pub(crate) fn strict_configurations(configurations: &str, kind: &str, selected: &str) -> String {
    let mut text = String::new();
    for document in yaml::documents(configurations).unwrap() {
        let mut value = document.value;
        if !value["kind"].as_str().unwrap().starts_with(kind) {
            continue;
        }
        value["metadata"]["name"] = json!(format!("wavegate-{selected}"));
        let webhooks = value["webhooks"].as_array_mut().unwrap();
        for webhook in webhooks {
            webhook["failurePolicy"] = json!("Fail");
            webhook["namespaceSelector"] = json!({"matchLabels": {SELECTOR: selected}});
            let name = webhook["name"]
                .as_str()
                .unwrap()
                .replace("wavegate.dev", &format!("{selected}.test"));
            webhook["name"] = json!(name);
        }
        text.push_str("---\n");
        text.push_str(&value.to_string());
        text.push('\n');
    }
    text
}

fn pod() -> Value {
    json!({"spec": {"containers": [{"name": "c", "image": "example.com/c:v1"}]}})
}

fn workload(version: &str, kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "subject"}, "spec": spec})
}

/// Every kind that an entry is about, with as few fields as the API server takes.
fn subjects() -> Vec<(&'static str, Value)> {
    let mut template = pod();
    template["metadata"] = json!({"labels": {"app": "c"}});
    let selected = json!({"selector": {"matchLabels": {"app": "c"}}, "template": template});
    let mut job = pod();
    job["spec"]["restartPolicy"] = json!("Never");
    let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "subject"});
    let cron = json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": job}}});
    vec![
        ("deployment", workload("apps/v1", "Deployment", &selected)),
        ("statefulset", workload("apps/v1", "StatefulSet", &selected)),
        ("daemonset", workload("apps/v1", "DaemonSet", &selected)),
        (
            "rollout",
            workload("argoproj.io/v1alpha1", "Rollout", &json!({"workloadRef": reference})),
        ),
        ("job", workload("batch/v1", "Job", &json!({"template": job}))),
        ("cronjob", workload("batch/v1", "CronJob", &cron)),
    ]
}

/// Has the API server know Rollouts; several tests need it, and the first one sees to it.
fn serve_rollouts() {
    static SERVED: OnceLock<()> = OnceLock::new();
    SERVED.get_or_init(|| {
        let (control_plane, _) = guarded();
        control_plane.kubectl().args(["create", "--filename=-"]).stdin(ROLLOUTS).ok();
        let established = "--for=condition=Established";
        let wait = ["wait", established, "crd/rollouts.argoproj.io", "--timeout=30s"];
        control_plane.kubectl().args(wait).ok();
    });
}

fn create(namespace: &Namespace<'_>, object: &Value) {
    namespace.kubectl().args(["create", "--filename=-"]).stdin(object.to_string()).ok();
}

#[test]
fn no_condition_fails_on_any_kind() {
    let (control_plane, wavegate) = guarded();
    serve_rollouts();
    let strict = strict_configurations(&wavegate.configurations(control_plane), "", "conditions");
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(strict).ok();
    let labels = [("wavegate.dev/mode", "off"), (SELECTOR, "conditions")];
    let namespace = control_plane.namespace("conditions", &labels);
    let bad = include_str!("../../examples/bad/wg101-no-backoff-limit.yaml");
    eventually("the API server asks the strict entries", Duration::from_secs(30), || {
        let dry_run = ["create", "--dry-run=server", "--filename=-"];
        let output = namespace.kubectl().args(dry_run).stdin(bad).run();
        output.stderr.contains("WG101").then_some(())
    });

    create(
        &namespace,
        &json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "empty"}}),
    );
    let patch = |kind: &str, patch: &str| {
        namespace.kubectl().args(["patch", kind, "subject", "--type=merge", "--patch", patch]).ok();
    };
    for (kind, object) in subjects() {
        create(&namespace, &object);
        // From no maps to maps, from a key to another, and back to none.
        patch(
            kind,
            r#"{"metadata":{"labels":{"a":"b"},"annotations":{"argocd.argoproj.io/x":"1"}}}"#,
        );
        patch(kind, r#"{"metadata":{"annotations":{"argocd.argoproj.io/x":"2"}}}"#);
        patch(kind, r#"{"metadata":{"labels":null,"annotations":null}}"#);
        // On its way to deletion, and held by a finalizer.
        patch(kind, r#"{"metadata":{"finalizers":["test.wavegate.dev/hold"]}}"#);
        namespace.kubectl().args(["delete", kind, "subject", "--wait=false"]).ok();
        patch(kind, r#"{"metadata":{"finalizers":null}}"#);
        eventually("the object is gone", Duration::from_secs(20), || {
            let get = ["get", kind, "subject", "--ignore-not-found", "--output=name"];
            namespace.kubectl().args(get).ok().is_empty().then_some(())
        });
    }
    for configuration in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        control_plane.kubectl().args(["delete", configuration, "wavegate-conditions"]).ok();
    }
}

#[test]
fn a_rollout_is_guarded_like_a_deployment() {
    serve_rollouts();
    let namespace = enforcing("conditions::rollout");
    let rollout = |strategy: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "shop-api", "labels": {"wavegate.dev/app": "shop"}},
            "spec": {"strategy": strategy, "template": {"spec": {"containers": [
                {"name": "api", "image": "example.com/shop/api:v1", "readinessProbe": {"httpGet": {"port": 80}}},
            ]}}},
        })
    };
    for (strategy, denied) in [
        (json!({"canary": {}}), codes(&["WG501"])),
        (json!({"canary": {"maxUnavailable": 0}}), codes(&[])),
    ] {
        let found = eventually("the API server serves Rollouts", Duration::from_secs(30), || {
            let create = ["create", "--dry-run=server", "--filename=-"];
            let output =
                namespace.kubectl().args(create).stdin(rollout(strategy.clone()).to_string()).run();
            (!output.stderr.contains("no matches for kind")).then(|| verdict(&output))
        });
        assert_eq!(found.denied, denied, "{strategy}");
    }
}

/// What Argo CD, controllers and scaling do to admitted objects is not even asked about.
#[test]
fn what_cannot_matter_is_not_sent() {
    let (_, wavegate) = guarded();
    let namespace = enforcing("conditions::unsent");
    let sent = |name: &str| wavegate.decisions(namespace.name(), name).len();

    namespace.kubectl().args(["apply", "--filename=examples/shop/app.yaml"]).ok();
    eventually("one decision on the Deployment", Duration::from_secs(5), || {
        (sent("shop-api") == 1).then_some(())
    });
    namespace.kubectl().args(["scale", "deployment/shop-api", "--replicas=5"]).ok();
    namespace.kubectl().args(["label", "deployment/shop-api", "team=checkout"]).ok();
    namespace.kubectl().args(["annotate", "deployment/shop-api", "note=x"]).ok();
    let status = r#"{"status":{"observedGeneration":1}}"#;
    let status =
        ["patch", "deployment/shop-api", "--subresource=status", "--type=merge", "--patch", status];
    namespace.kubectl().args(status).ok();

    let migration = include_str!("../../examples/shop/migration.yaml");
    let hook = migration.replacen(
        "  annotations:\n",
        "  finalizers: [argocd.argoproj.io/hook-finalizer]\n  annotations:\n",
        1,
    );
    namespace.kubectl().args(["create", "--filename=-"]).stdin(hook).ok();
    let wait = ["wait", "job/shop-migrate", "--for=condition=Complete", "--timeout=50s"];
    namespace.kubectl().args(wait).ok();
    let finalizer = r#"{"metadata":{"finalizers":null}}"#;
    let patch = ["patch", "job/shop-migrate", "--type=merge", "--patch", finalizer];
    namespace.kubectl().args(patch).ok();

    let cron =
        ["create", "--as=system:serviceaccount:kube-system:cronjob-controller", "--filename=-"];
    let by_cron = migration.replacen("name: shop-migrate", "name: shop-nightly", 1);
    namespace.kubectl().args(cron).stdin(by_cron).ok();

    // A change that is asked about, and held, comes last, so that whatever was sent before it has been logged.
    let image = ["set", "image", "deployment/shop-api", "api=registry.example.com/shop/api:v1.5.0"];
    assert_eq!(verdict(&namespace.kubectl().args(image).run()).denied, codes(&["WG302"]));
    eventually("a decision on the new image", Duration::from_secs(5), || {
        (sent("shop-api") == 2).then_some(())
    });
    assert_eq!(sent("shop-nightly"), 0);
    // One by the mutating and one by the validating webhook.
    assert_eq!(
        sent("shop-migrate"),
        2,
        "{:?}",
        wavegate.decisions(namespace.name(), "shop-migrate")
    );
}
