//! The one wavegate that the tests share, and what is installed around it.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use wavegate::check::yaml;

use crate::cluster::{ControlPlane, Kubectl, chart, shared, wavegate::Wavegate};

/// Values with every option on.
pub(crate) const EVERYTHING: [&str; 2] = ["--values", "tests/chart/everything.yaml"];

/// Kinds of others that the chart makes or asks about, as far as an API server needs to know them.
const FOREIGN: [(&str, &str, &str); 4] = [
    ("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
    ("cert-manager.io/v1", "Certificate", "certificates"),
    ("argoproj.io/v1alpha1", "Rollout", "rollouts"),
];

/// The control plane with the chart's account, rights, definitions and guards, the foreign kinds, and a wavegate that
/// is ready and not registered yet.
pub(crate) fn installed() -> (&'static ControlPlane, &'static Wavegate) {
    static INSTALLED: OnceLock<Wavegate> = OnceLock::new();
    let control_plane = shared();
    let wavegate = INSTALLED.get_or_init(|| {
        serve_foreign(control_plane);
        Wavegate::start(control_plane, Path::new(env!("CARGO_BIN_EXE_wavegate")))
    });
    (control_plane, wavegate)
}

/// Like [`installed`], with the API server asking wavegate. Tests may register it otherwise, but so that enforcing
/// namespaces stay guarded.
pub(crate) fn registered() -> (&'static ControlPlane, &'static Wavegate) {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    let (control_plane, wavegate) = installed();
    REGISTERED.get_or_init(|| wavegate.register(control_plane));
    (control_plane, wavegate)
}

/// Has an API server know what is not Kubernetes' own.
pub(crate) fn serve_foreign(control_plane: &ControlPlane) {
    let definitions = FOREIGN.map(|(version, kind, plural)| {
        let (group, version) = version.split_once('/').unwrap();
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
                "versions": [{"name": version, "served": true, "storage": true,
                              "schema": {"openAPIV3Schema": anything}}],
            },
        })
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    control_plane.kubectl().args(["create", "--filename=-"]).stdin(list.to_string()).ok();
    for (version, _, plural) in FOREIGN {
        let crd = format!("crd/{plural}.{}", version.split_once('/').unwrap().0);
        let wait = ["wait", "--for=condition=Established", &crd, "--timeout=30s"];
        control_plane.kubectl().args(wait).within(Duration::from_secs(40)).ok();
    }
}

/// `helm template` with these values.
pub(crate) fn template(values: &[&str]) -> Kubectl {
    chart::template(installed().0, values)
}

/// The objects of a rendered chart.
pub(crate) fn objects(rendered: &str) -> Vec<Value> {
    yaml::documents(rendered).unwrap().into_iter().map(|document| document.value).collect()
}

/// The only object of a kind.
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    object
}
