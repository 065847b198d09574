//! `wavegate why` against a real API server: what it answers is what the webhook then does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use wavegate::check::yaml;

use crate::cluster::{Namespace, Output, chart, eventually};
use crate::gate::manifests::{app, migration, named};
use crate::gate::{becomes_recorded_in, passes_in_time};
use crate::guard::{codes, enforcing, guarded, verdict};

/// Runs `wavegate why` as a user with this kubeconfig.
fn why(kubeconfig: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavegate"));
    command.arg("why").args(arguments).arg("--kubeconfig").arg(kubeconfig);
    let output = command.env_clear().output().expect("wavegate");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn ask(namespace: &Namespace<'_>, arguments: &[&str]) -> Output {
    let (control_plane, _) = guarded();
    why(control_plane.kubeconfig(), &[arguments, &["-n", namespace.name()]].concat())
}

fn apply(namespace: &Namespace<'_>, object: &Value) -> Output {
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(object.to_string()).run()
}

#[track_caller]
fn says(output: &Output, status: i32, parts: &[&str]) {
    assert_eq!(output.status.code(), Some(status), "{}{}", output.stdout, output.stderr);
    let said = format!("{}{}", output.stdout, output.stderr);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(flat.contains(part), "{part:?} is not in {said}");
    }
}

/// v1 migrated and runs, and v2's migration failed.
fn with_a_failed_migration(test: &str) -> Namespace<'static> {
    let namespace = enforcing(test);
    for object in [migration("v1", "succeed"), app("v1")] {
        passes_in_time("v1 is applied", || apply(&namespace, &object));
    }
    becomes_recorded_in(&namespace, &[("v1", "Succeeded")]);
    let next = named(migration("v2", "fail"), "shop-migrate-v2");
    passes_in_time("v2's migration is applied", || apply(&namespace, &next));
    becomes_recorded_in(&namespace, &[("v1", "Succeeded"), ("v2", "Failed")]);
    namespace
}

#[test]
fn a_held_rollout_is_explained_as_the_webhook_holds_it() {
    let namespace = with_a_failed_migration("why::held");
    let name = namespace.name();
    let v2 = ask(&namespace, &["deployment/shop-api", "--image", "example.com/shop/api:v2"]);
    let logs = format!("kubectl logs -n {name} job/shop-migrate-v2");
    let back =
        format!("kubectl set image -n {name} deployment/shop-api app=example.com/shop/api:v1");
    says(
        &v2,
        1,
        &[
            "example.com/shop/api:v2 is held",
            "is labelled wavegate.dev/mode: enforce",
            "both use the image repository example.com/shop/api",
            "shop-migrate-v2 BackoffLimitExceeded; container migrate ended with exit code 1; holds: it must succeed",
            &logs,
            "or go back to a release that is proven: example.com/shop/api:v1",
            &back,
            "as the last resort",
        ],
    );
    let steps = v2.stdout.split("NEXT").nth(1).expect("steps");
    let created =
        steps.split("printf %s '").nth(1).and_then(|text| text.split("' | kubectl").next());
    let created = created.expect("an override, indented as it is printed");
    let create = ["create", "--dry-run=server", "--filename=-"];
    let without = namespace.kubectl().args(create).stdin(created.to_owned()).run();
    assert!(without.stderr.contains("reason"), "{}", without.stderr);
    let reasoned = created.replace("reason: \"\"", "reason: INC-4711");
    namespace.kubectl().args(create).stdin(reasoned).ok();
    assert!(v2.stdout.lines().all(|line| line.len() <= 120), "{}", v2.stdout);
    let held = apply(&namespace, &app("v2"));
    assert_eq!(verdict(&held).denied, codes(&["WG302"]));

    let arguments = ["deploy", "shop-api", "--image", "example.com/shop/api:v2", "-o", "json"];
    let document: Value = serde_json::from_str(&ask(&namespace, &arguments).stdout).expect("JSON");
    let message = document["verdict"]["enforced"]["message"].as_str().expect("a denial");
    assert!(held.stderr.contains(message), "{message} is not what was answered: {}", held.stderr);
    assert_eq!(document["proven"][0]["image"], "example.com/shop/api:v1");
    assert_eq!(document["evidence"][1]["job_exists"], true);

    let v1 = ask(&namespace, &["deployment/shop-api", "--image", "example.com/shop/api:v1"]);
    says(&v1, 0, &["example.com/shop/api:v1 is admitted"]);
    let current = ask(&namespace, &["deployment/shop-api"]);
    says(
        &current,
        0,
        &["applying again what runs always passes", "--image example.com/shop/api:v2"],
    );
}

#[test]
fn what_cannot_be_told_says_what_to_do() {
    let namespace = with_a_failed_migration("why::untold");
    let name = namespace.name();
    let unknown = ask(&namespace, &["deployment/nobody"]);
    says(
        &unknown,
        2,
        &["there is no Deployment nobody in namespace", "kubectl get deployments -n"],
    );
    let (control_plane, _) = guarded();
    let nowhere = why(control_plane.kubeconfig(), &["deploy/x", "-n", "no-such-namespace"]);
    says(&nowhere, 2, &["there is no namespace no-such-namespace"]);

    let limited = limited_kubeconfig(&namespace);
    let forbidden = why(&limited, &["deployment/shop-api", "-n", name]);
    says(&forbidden, 2, &["you may not list jobs in namespace", "kubectl auth can-i list jobs"]);
    let allow = |groups: &[&str], resource: &str| {
        let rule = json!({"apiGroups": groups, "resources": [resource], "verbs": ["list"]});
        let patch = json!([{"op": "add", "path": "/rules/-", "value": rule}]).to_string();
        let patch = ["patch", "role", "limited", "--type=json", "--patch", &patch];
        namespace.kubectl().args(patch).ok();
    };
    allow(&["batch", "apps"], "*");
    allow(&["wavegate.dev"], "migrationrecords");
    eventually("only overrides may not be listed", Duration::from_secs(30), || {
        let output = why(&limited, &["deployment/shop-api"]);
        assert_eq!(output.status.code(), Some(2), "{}", output.stdout);
        output.stderr.contains("you may not list gateoverrides in namespace").then_some(())
    });
    allow(&["wavegate.dev"], "*");
    passes_in_time("the namespace itself need not be read", || {
        let output = why(&limited, &["deployment/shop-api"]);
        assert!(!output.status.success() || output.stdout.contains("you may not get namespaces"));
        assert!(!output.status.success() || output.stdout.contains("may not be read by you"));
        output
    });

    let dead = rewritten(control_plane.kubeconfig(), "dead", |kubeconfig| {
        kubeconfig["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    });
    says(
        &why(&dead, &["deploy/x", "-n", name]),
        2,
        &["https://127.0.0.1:1 does not answer", "refused"],
    );
}

#[test]
fn the_mode_is_that_of_what_is_registered() {
    let (control_plane, wavegate) = guarded();
    let labels = [("wavegate.dev/mode", "off")];
    let pinned = control_plane.namespace("why::pinned", &labels);
    let plain = control_plane.namespace("why::plain", &[]);
    let mut values = wavegate.elsewhere().to_vec();
    values.extend([
        "defaultMode=enforce".to_owned(),
        format!("pinnedNamespaces={{{}}}", pinned.name()),
    ]);
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let rendered = chart::render(control_plane, &["webhooks"], &values);
    let rendered = yaml::documents(&rendered).expect("YAML");
    let mut registered = rendered
        .into_iter()
        .map(|document| document.value)
        .find(|object| object["kind"] == "ValidatingWebhookConfiguration")
        .expect("the validating one");
    registered["metadata"]["name"] = json!("wavegate-why");
    for webhook in registered["webhooks"].as_array_mut().expect("entries") {
        // It is there to be read, and asks about no object of the other tests.
        webhook["objectSelector"] = json!({"matchLabels": {"nobody": "has-this"}});
    }
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(registered.to_string()).ok();
    for namespace in [&pinned, &plain] {
        namespace.kubectl().args(["apply", "--filename=-"]).stdin(app("v1").to_string()).ok();
    }
    let asked = |namespace: &Namespace<'_>, name: &str| {
        ask(namespace, &["deployment/shop-api", "--webhook-configuration", name, "-o", "json"])
    };
    let mode = |namespace: &Namespace<'_>, name: &str| {
        let output = asked(namespace, name);
        let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let text = |field: &str| document["mode"][field].as_str().expect("a text").to_owned();
        (text("mode"), text("reason"))
    };
    let cases = [
        (&pinned, "wavegate-why", "enforce", "is enforced by name (pinned)"),
        (&plain, "wavegate-why", "enforce", "this cluster's default is enforce"),
        (&pinned, "wavegate", "off", "is labelled wavegate.dev/mode: off"),
        (&plain, "wavegate", "warn", "this cluster's default is warn"),
        (&plain, "wavegate-nowhere", "unknown", "wavegate is not registered"),
    ];
    for (namespace, name, want, words) in cases {
        let (told, reason) = mode(namespace, name);
        assert_eq!(told, want, "{name}: {reason}");
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
    }
    let delete = ["delete", "validatingwebhookconfiguration", "wavegate-why"];
    control_plane.kubectl().args(delete).ok();
}

/// A kubeconfig of an account that may get Deployments, whose context names the namespace.
fn limited_kubeconfig(namespace: &Namespace<'_>) -> PathBuf {
    let kubectl = || namespace.kubectl();
    kubectl().args(["create", "serviceaccount", "limited"]).ok();
    kubectl()
        .args(["create", "role", "limited", "--verb=get,list", "--resource=deployments.apps"])
        .ok();
    let account = format!("--serviceaccount={}:limited", namespace.name());
    kubectl().args(["create", "rolebinding", "limited", "--role=limited", &account]).ok();
    let token = kubectl().args(["create", "token", "limited"]).ok();
    let (control_plane, _) = guarded();
    rewritten(control_plane.kubeconfig(), namespace.name(), |kubeconfig| {
        kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
        kubeconfig["contexts"][0]["context"]["namespace"] = json!(namespace.name());
    })
}

/// A kubeconfig with a change, in a file of its own.
fn rewritten(kubeconfig: &Path, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
    let (control_plane, _) = guarded();
    let text = std::fs::read(kubeconfig).expect("a kubeconfig");
    let mut kubeconfig: Value = serde_json::from_slice(&text).expect("JSON");
    change(&mut kubeconfig);
    let path = control_plane.directory().join(format!("why-{name}.kubeconfig"));
    std::fs::write(&path, kubeconfig.to_string()).expect("a file");
    path
}
