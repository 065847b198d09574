//! wavegate's replicas, as the node sees them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{ControlPlane, Kubectl, eventually};
use crate::installation::NAMESPACE;

/// How long a rollout may take.
const BOUND: Duration = Duration::from_mins(2);

/// wavegate's Deployment and its Pods.
pub(crate) struct Replicas<'c>(pub(crate) &'c ControlPlane);

impl Replicas<'_> {
    pub(crate) fn kubectl(&self) -> Kubectl {
        self.0.kubectl().namespace(NAMESPACE)
    }

    /// Waits until all replicas are of the newest template, ready, and alone.
    pub(crate) fn roll_out(&self) {
        let status = ["rollout", "status", "deployment/wavegate", "--timeout=110s"];
        self.kubectl().args(status).within(BOUND).ok();
        eventually("the old replicas are gone", BOUND, || {
            let pods = self.pods();
            (pods.len() == 2).then_some(())
        });
    }

    /// Pods that have not ended, by name and uid.
    pub(crate) fn pods(&self) -> Vec<(String, String)> {
        let selector =
            "--selector=app.kubernetes.io/name=wavegate,app.kubernetes.io/component!=test";
        let list = self.kubectl().args(["get", "pods", selector]).json();
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        let name = |pod: &Value, field: &str| pod["metadata"][field].as_str().map(str::to_owned);
        pods.iter().filter_map(|pod| Some((name(pod, "name")?, name(pod, "uid")?))).collect()
    }

    /// Waits until both replicas are ready and the Service leads to them.
    pub(crate) fn are_ready(&self) {
        eventually("both replicas are ready", BOUND, || {
            let ready = "-o=jsonpath={.status.readyReplicas}";
            let told = self.kubectl().args(["get", "deployment", "wavegate", ready]).run();
            (told.stdout == "2").then_some(())
        });
    }

    /// Ends the server of a Pod at once, as the kernel does that runs out of memory.
    pub(crate) fn kill(uid: &str) {
        let process = server_of(uid).unwrap_or_else(|| panic!("pod {uid} runs no server"));
        let killed = std::process::Command::new("kill").args(["-s", "KILL", &process]).status();
        assert!(killed.expect("kill").success(), "process {process} cannot be killed");
    }
}

/// The process of a Pod that serves, as this machine numbers it.
fn server_of(uid: &str) -> Option<String> {
    let of_pod = |process: &Path| {
        let groups = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        groups.replace('_', "-").contains(uid)
            && line.split(|&b| b == 0).any(|word| word == b"serve")
    };
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let mut found = processes.filter(|process| of_pod(process));
    found.next()?.file_name()?.to_str().map(str::to_owned)
}
