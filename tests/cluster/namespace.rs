//! A namespace for one test.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;

use serde_json::json;

use super::ControlPlane;
use super::kubectl::Kubectl;

/// Kubernetes takes namespaces of at most 63 characters; this leaves room for the number.
const NAME_LENGTH: usize = 52;

/// A namespace that one test has for itself. When it is dropped its deletion is started, and if the
/// test is failing its objects and events are printed before.
#[derive(Debug)]
pub struct Namespace<'a> {
    cluster: &'a ControlPlane,
    name: String,
}

impl<'a> Namespace<'a> {
    pub(super) fn create(
        cluster: &'a ControlPlane,
        test: &str,
        number: u32,
        labels: &[(&str, &str)],
    ) -> Self {
        let name = format!("{}-{number}", slug(test));
        let labels: BTreeMap<_, _> = labels.iter().copied().collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "labels": labels },
        });
        cluster.kubectl().args(["create", "--filename=-"]).stdin(object.to_string()).ok();
        let namespace = Self { cluster, name };
        // Pods are refused until the controller manager has made it.
        namespace
            .kubectl()
            .args(["wait", "--for=create", "serviceaccount/default", "--timeout=50s"])
            .ok();
        namespace
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// kubectl for this namespace.
    pub fn kubectl(&self) -> Kubectl {
        self.cluster.kubectl().namespace(&self.name)
    }

    /// Helm for this namespace, as cluster administrator; bounded in time as kubectl is.
    pub fn helm(&self) -> Kubectl {
        self.cluster.helm().namespace(&self.name)
    }

    fn print_state(&self) {
        eprintln!("state of namespace {}:", self.name);
        let commands: [&[&str]; 2] = [
            &["get", "deployments,jobs,pods", "--output=wide"],
            &["get", "events", "--sort-by=.metadata.creationTimestamp"],
        ];
        for command in commands {
            match self.kubectl().args(command).try_run() {
                Ok(output) => eprintln!("{}{}", output.stdout, output.stderr),
                Err(error) => eprintln!("kubectl {}: {error}", command.join(" ")),
            }
        }
    }
}

impl fmt::Display for Namespace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print_state();
        }
        let delete = ["delete", "namespace", &self.name, "--wait=false"];
        if let Err(error) = self.cluster.kubectl().args(delete).try_run() {
            eprintln!("kubectl {}: {error}", delete.join(" "));
        }
    }
}

/// The name of a test (`gate::holds_new_code`) as the beginning of a DNS label.
pub(super) fn slug(test: &str) -> String {
    let mut slug = String::from("test-");
    for char in test.chars().map(|char| char.to_ascii_lowercase()) {
        let char = if char.is_ascii_alphanumeric() { char } else { '-' };
        if slug.len() < NAME_LENGTH && !(char == '-' && slug.ends_with('-')) {
            slug.push(char);
        }
    }
    slug.trim_end_matches('-').to_owned()
}
