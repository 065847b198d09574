//! Admissions without a pause, dry and for real, in an enforcing namespace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::json;

use crate::cluster::{ControlPlane, Kubectl};
use crate::gate::manifests::workload;

/// Objects in one request of a person, each of them an admission.
const OBJECTS: usize = 10;

/// Running until it is stopped.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Told>>,
}

/// What became of the admissions.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) sent: usize,
    /// What was said of those that failed.
    pub(super) failed: Vec<String>,
}

impl Load {
    pub(super) fn start(control_plane: &'static ControlPlane, namespace: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = ["server", "none"].map(|dry_run| {
            let (stop, namespace) = (Arc::clone(&stop), namespace.to_owned());
            thread::spawn(move || {
                let kubectl = || control_plane.kubectl().namespace(&namespace);
                let mut told = Told::default();
                while !stop.load(Ordering::Relaxed) {
                    told.add(kubectl, dry_run);
                }
                told
            })
        });
        Self { stop, threads: threads.into() }
    }

    pub(super) fn stop(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.threads.into_iter().map(|thread| thread.join().expect("the load"));
        told.fold(Told::default(), |mut all, told| {
            all.sent += told.sent;
            all.failed.extend(told.failed);
            all
        })
    }
}

impl Told {
    /// Workloads that are let through, each by wavegate.
    fn add(&mut self, kubectl: impl Fn() -> Kubectl, dry_run: &str) {
        let workloads: Vec<_> = (0..OBJECTS)
            .map(|number| {
                let mut workload =
                    workload(&format!("load-{dry_run}-{number}"), "example.com/load:v1");
                workload["spec"]["replicas"] = json!(0);
                workload
            })
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": workloads});
        let dry_run = format!("--dry-run={dry_run}");
        let create = ["create", &dry_run, "--filename=-"];
        let output = kubectl().args(create).stdin(list.to_string()).run();
        let passed = output.stdout.lines().filter(|line| line.contains("created")).count();
        self.sent += OBJECTS;
        if passed < OBJECTS {
            let lines = output.stderr.lines().filter(|line| !line.starts_with("Warning:"));
            self.failed.extend(lines.map(str::to_owned));
        }
        if dry_run.ends_with("none") {
            let all = ["delete", "deployments", "--all", "--wait=true"];
            kubectl().args(all).ok();
        }
    }
}
