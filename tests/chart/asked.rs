//! What the API server really asks, in every mode and about every kind: once, and at the mode's own endpoint.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Namespace, chart, eventually, wavegate::Wavegate};
use crate::rig::registered;

/// One object of each kind, a Job with a hook and one without.
fn subjects(name: &str) -> Value {
    let pod = json!({"containers": [{"name": "c", "image": "example.com/c:v1"}]});
    let mut once = pod.clone();
    once["restartPolicy"] = json!("Never");
    let selected = json!({
        "selector": {"matchLabels": {"app": "c"}}, "serviceName": "c",
        "template": {"metadata": {"labels": {"app": "c"}}, "spec": pod},
    });
    let mut unnamed = selected.clone();
    unnamed.as_object_mut().unwrap().remove("serviceName");
    let job = json!({"template": {"spec": once}});
    let cron = json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}});
    let reference =
        json!({"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "c"}});
    let object = |version: &str, kind: &str, suffix: &str, spec: &Value| json!({"apiVersion": version, "kind": kind, "metadata": {"name": format!("{name}-{suffix}")}, "spec": spec});
    let mut hook = object("batch/v1", "Job", "hook", &job);
    hook["metadata"]["annotations"] = json!({"argocd.argoproj.io/hook": "PreSync"});
    let items = [
        object("apps/v1", "Deployment", "deployment", &unnamed),
        object("apps/v1", "StatefulSet", "statefulset", &selected),
        object("apps/v1", "DaemonSet", "daemonset", &unnamed),
        object("argoproj.io/v1alpha1", "Rollout", "rollout", &reference),
        object("batch/v1", "Job", "job", &job),
        object("batch/v1", "CronJob", "cronjob", &cron),
        hook,
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

const WORKLOADS: [&str; 5] = ["deployment", "statefulset", "daemonset", "rollout", "cronjob"];

/// The endpoints that were asked about an object.
fn asked(wavegate: &Wavegate, namespace: &str, name: &str) -> Vec<String> {
    let mut asked: Vec<_> = wavegate
        .decisions(namespace, name)
        .iter()
        .map(|decision| decision["endpoint"].as_str().unwrap().to_owned())
        .filter(|endpoint| endpoint != "/validate/unknown-mode")
        .collect();
    asked.sort_unstable();
    asked
}

fn endpoints(mode: &str) -> (Vec<&str>, Vec<&str>) {
    match mode {
        "enforce" => (vec!["/validate/enforce"], vec!["/mutate", "/validate/enforce"]),
        "warn" => (vec!["/validate/warn"], vec!["/mutate/warn", "/validate/warn"]),
        _ => (vec![], vec![]),
    }
}

fn create(namespace: &Namespace<'_>, objects: &Value) -> String {
    let create = ["create", "--dry-run=server", "--filename=-"];
    namespace.kubectl().args(create).stdin(objects.to_string()).run().stderr
}

#[test]
fn every_kind_is_asked_about_once_in_the_mode_of_its_namespace() {
    let (control_plane, wavegate) = registered();
    let labelled = |name: &str, mode: &[(&str, &str)]| control_plane.namespace(name, mode);
    let mode = |value| [("wavegate.dev/mode", value)];
    let pinned = labelled("asked::pinned", &mode("off"));
    let plain = labelled("asked::plain", &[]);
    let others = [
        (labelled("asked::enforce", &mode("enforce")), Some("enforce")),
        (labelled("asked::warn", &mode("warn")), Some("warn")),
        (labelled("asked::off", &mode("off")), Some("off")),
        (labelled("asked::misspelt", &mode("enforced")), None),
    ];
    let values = wavegate.elsewhere();
    let pin = format!("pinnedNamespaces={{{}}}", pinned.name());
    let bad = include_str!("../../examples/bad/wg101-no-backoff-limit.yaml");
    for default in ["warn", "enforce", "off"] {
        let default_value = format!("defaultMode={default}");
        let mut values: Vec<_> = values.iter().map(String::as_str).collect();
        values.extend([&*default_value, &*pin]);
        let rendered = chart::render(control_plane, &["webhooks"], &values);
        control_plane.kubectl().args(["apply", "--filename=-"]).stdin(rendered).ok();
        // Both configurations are in force: the one that validates says so, the one that mutates stamps.
        eventually(default, Duration::from_secs(30), || {
            let create = ["create", "--dry-run=server", "--filename=-", "--output=json"];
            let output = plain.kubectl().args(create).stdin(bad).run();
            let stamped = output.stdout.contains("stamp.wavegate.dev/");
            match default {
                "enforce" => output.stderr.contains("denied the request"),
                "warn" => stamped && output.stderr.contains("Warning: "),
                _ => !stamped && output.stderr.is_empty(),
            }
            .then_some(())
        });
        let mut expected = vec![(&pinned, "enforce"), (&plain, default)];
        expected
            .extend(others.iter().map(|(namespace, mode)| (namespace, mode.unwrap_or(default))));
        for (namespace, _) in &expected {
            create(namespace, &subjects(default));
        }
        // The log is written in order: what is not there before this line was not asked.
        let marker = format!("{default}-marker-hook");
        create(&others[0].0, &subjects(&format!("{default}-marker")));
        eventually("the log has come to its end", Duration::from_secs(10), || {
            (asked(wavegate, others[0].0.name(), &marker).len() == 2).then_some(())
        });
        for (namespace, mode) in expected {
            let (workload, job) = endpoints(mode);
            for kind in WORKLOADS {
                let found = asked(wavegate, namespace.name(), &format!("{default}-{kind}"));
                assert_eq!(found, workload, "default {default}: {kind} in {namespace}");
            }
            for kind in ["job", "hook"] {
                let found = asked(wavegate, namespace.name(), &format!("{default}-{kind}"));
                assert_eq!(found, job, "default {default}: {kind} in {namespace}");
            }
        }
    }
}

/// Whoever mistypes a mode learns it from kubectl, before the first rollout is not guarded.
#[test]
fn a_mode_that_does_not_exist_is_told_where_it_is_written() {
    let (control_plane, _) = registered();
    let namespace = control_plane.namespace("asked::typo", &[]);
    let label = |value: &str| {
        let label = format!("wavegate.dev/mode={value}");
        let args = ["label", "--overwrite", "namespace", namespace.name(), &label];
        control_plane.kubectl().args(args).run()
    };
    let told = format!("Warning: wavegate: namespace {namespace} has a label wavegate.dev/mode");
    let output = label("enforced");
    assert!(output.status.success() && output.stderr.contains(&told), "{}", output.stderr);
    // Not of a label that exists, and not of another one beside it.
    assert_eq!(label("enforce").stderr, "");
    label("enforced");
    let other = ["label", "namespace", namespace.name(), "team=checkout"];
    assert_eq!(control_plane.kubectl().args(other).run().stderr, "");
}
