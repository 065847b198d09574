//! Installation, upgrade and removal by the real Helm. The nodes play the pods; all else is Kubernetes' own.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::cluster::{ControlPlane, Kubectl, chart, wavegate};
use crate::rig::{objects, serve_foreign};

const UNINSTALL: &str = include_str!("../../docs/uninstall.md");

/// Written by controllers whenever they like, or kept by them for a while, or a shadow of definitions.
const FLEETING: [&str; 7] = [
    "apiservices.apiregistration.k8s.io",
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "componentstatuses",
];

/// Every object of the cluster, as `resource/namespace/name`.
fn inventory(control_plane: &ControlPlane) -> BTreeSet<String> {
    let list = ["api-resources", "--verbs=list", "--output=name", "--cached=false"];
    let resources = control_plane.kubectl().args(list).ok();
    let resources: Vec<_> = resources
        .lines()
        .filter(|name| !FLEETING.contains(name) && !name.ends_with(".metrics.k8s.io"))
        .collect();
    let columns = "--output=custom-columns=K:.kind,NS:.metadata.namespace,NAME:.metadata.name";
    let get = ["get", &resources.join(","), "--all-namespaces", "--no-headers", columns];
    let text = control_plane.kubectl().args(get).ok();
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join("/")).collect()
}

fn helm(control_plane: &ControlPlane, args: &[&str]) -> Kubectl {
    let helm = control_plane.helm().namespace("wavegate").args(args);
    helm.within(Duration::from_secs(150))
}

fn release(control_plane: &ControlPlane, verb: &str, values: &[&str]) {
    let folder = chart::folder();
    let folder = folder.to_str().unwrap();
    let wait = [verb, "wavegate", folder, "--wait", "--timeout=120s"];
    helm(control_plane, &wait).args(values).ok();
}

#[test]
fn nothing_is_left_but_definitions_and_records_and_these_go_by_the_documented_purge() {
    let control_plane = ControlPlane::start().expect("a control plane");
    serve_foreign(&control_plane);
    let kubectl = |args: &[&str]| control_plane.kubectl().namespace("wavegate").args(args);
    kubectl(&["create", "namespace", "wavegate"]).ok();
    kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=50s"]).ok();
    kubectl(&["wait", "--for=create", "configmap/kube-root-ca.crt", "--timeout=50s"]).ok();
    let before = inventory(&control_plane);

    let everything = ["--values", "tests/chart/everything.yaml"];
    release(&control_plane, "install", &everything);
    written_by_the_server(&control_plane);
    // Fewer options, then others: what is no longer rendered goes, what the server wrote stays.
    release(&control_plane, "upgrade", &["--set", "server.replicas=3"]);
    assert_what_the_server_wrote(&control_plane);
    release(&control_plane, "upgrade", &everything);
    assert_what_the_server_wrote(&control_plane);

    let wait = ["uninstall", "wavegate", "--wait", "--timeout=120s"];
    helm(&control_plane, &wait).ok();
    let mut left: BTreeSet<String> = before.clone();
    left.insert("MigrationRecord/wavegate/proof".to_owned());
    for definition in definitions() {
        left.insert(format!("CustomResourceDefinition/<none>/{definition}"));
    }
    until_inventory_is(&control_plane, &left);

    // What was kept is taken up again.
    release(&control_plane, "install", &[]);
    helm(&control_plane, &wait).ok();
    until_inventory_is(&control_plane, &left);

    let script = UNINSTALL.split("```sh\n").nth(2).and_then(|block| block.split("```").next());
    let purge = script.expect("the second block of commands");
    for line in purge.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[0], "kubectl", "{line}");
        control_plane.kubectl().args(&words[1..]).ok();
    }
    until_inventory_is(&control_plane, &before);
}

/// Where the pods are played; on a real node the same commands are followed by the tests that use what they install.
#[test]
fn the_commands_of_the_readme_install_it() {
    let control_plane = ControlPlane::start().expect("a control plane");
    chart::follow(&control_plane, Path::new(env!("CARGO_BIN_EXE_wavegate")), chart::readme());
    let deployment = ["get", "deployment/wavegate", "--namespace=wavegate"];
    let deployment = control_plane.kubectl().args(deployment).json();
    assert_eq!(deployment["status"]["availableReplicas"], 2, "{deployment}");
}

fn definitions() -> Vec<String> {
    let files = std::fs::read_dir("charts/wavegate/files/crds").unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    texts.map(|text| objects(&text)[0]["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// What the server adds to what Helm made, written with the rights of its own account.
fn written_by_the_server(control_plane: &ControlPlane) {
    let kubeconfig = wavegate::own_kubeconfig(control_plane, None);
    let own = |args: &[&str]| control_plane.site().kubectl(&kubeconfig).args(args);
    let mut secret = own(&["get", "secret/wavegate-certificates", "--namespace=wavegate"]).json();
    secret["data"] = json!({"ca.crt": "Q0E="});
    own(&["replace", "--filename=-"]).stdin(secret.to_string()).ok();
    let ca = control_plane.kubectl().args(["config", "view", "--raw"]).json();
    let file = ca["clusters"][0]["cluster"]["certificate-authority"].as_str().unwrap().to_owned();
    let bundle = STANDARD.encode(std::fs::read(file).unwrap());
    for kind in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let configuration = own(&["get", kind, "wavegate"]).json();
        let count = configuration["webhooks"].as_array().unwrap().len();
        let patch: Vec<_> = (0..count)
            .map(|n| json!({"op": "add", "path": format!("/webhooks/{n}/clientConfig/caBundle"), "value": bundle}))
            .collect();
        let patch = serde_json::to_string(&patch).unwrap();
        own(&["patch", kind, "wavegate", "--type=json", "--patch", &patch]).ok();
    }
    let record = json!({
        "apiVersion": "wavegate.dev/v1alpha1", "kind": "MigrationRecord",
        "metadata": {"name": "proof", "namespace": "wavegate"},
        "spec": {"app": "a", "migration": "m", "release": "v1", "image": "a:v1", "phase": "expand",
                 "confidence": "strong",
                 "job": {"name": "j", "uid": "proof", "created": "2026-01-01T00:00:00Z"}},
        "status": {"outcome": "Succeeded"},
    });
    own(&["create", "--filename=-"]).stdin(record.to_string()).ok();
}

fn assert_what_the_server_wrote(control_plane: &ControlPlane) {
    let get = |args: &[&str]| control_plane.kubectl().namespace("wavegate").args(args).json();
    let secret = get(&["get", "secret/wavegate-certificates"]);
    assert_eq!(secret["data"]["ca.crt"], "Q0E=", "{secret}");
    for kind in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
        let configuration = get(&["get", kind, "wavegate"]);
        for webhook in configuration["webhooks"].as_array().unwrap() {
            // An entry that came with the upgrade gets its CA from the server, which watches for that.
            let is_new = webhook["name"].as_str().unwrap().contains(".pinned.");
            let bundle = &webhook["clientConfig"]["caBundle"];
            assert!(is_new || bundle.as_str().is_some_and(|ca| ca.len() > 100), "{webhook}");
        }
    }
}

/// What is deleted with its owner goes a little later.
fn until_inventory_is(control_plane: &ControlPlane, want: &BTreeSet<String>) {
    let mut have = BTreeSet::new();
    let bound = Instant::now() + Duration::from_mins(1);
    while Instant::now() < bound {
        have = inventory(control_plane);
        if have == *want {
            return;
        }
    }
    let (more, less): (Vec<_>, Vec<_>) =
        (have.difference(want).collect(), want.difference(&have).collect());
    panic!("left behind: {more:?}; missing: {less:?}");
}
