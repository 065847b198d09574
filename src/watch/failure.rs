//! By which container a Job failed, as the kubelet told it in the pod's status.
//!
//! What a container said last may hold anything, a password too, and whoever may read records is not whoever may read
//! logs. So only wavegate's own waiter is quoted, which never prints credentials.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Deserialize;

use super::stored::Stored;
use crate::domain::manifest::PodSpec;
use crate::domain::record::RecordFailure;
use crate::domain::text::null_as_default;
use crate::domain::waiter::own;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Pod<'a> {
    #[serde(default, deserialize_with = "null_as_default")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_as_default")]
    spec: PodSpec<'a>,
    #[serde(default, deserialize_with = "null_as_default")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    creation_timestamp: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    init_container_statuses: Option<Vec<ContainerStatus>>,
    container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    state: Option<State>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    terminated: Option<Terminated>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i32,
    reason: Option<String>,
    message: Option<String>,
}

/// The container by which a Job's newest pod failed: an init container, else the migration's, else another, and a
/// native sidecar last, which is killed where others fail. `None` where no pod tells, such as one that was deleted.
pub(super) fn failure(pods: &[Stored], migration: Option<&str>) -> Option<RecordFailure> {
    let mut pods: Vec<Pod<'_>> =
        pods.iter().filter_map(|pod| serde_json::from_str(pod.json()).ok()).collect();
    pods.sort_by_key(|pod| Reverse(pod.metadata.creation_timestamp));
    pods.iter().find_map(|pod| pod.failure(migration))
}

impl Pod<'_> {
    fn failure(&self, migration: Option<&str>) -> Option<RecordFailure> {
        let is_sidecar = |name: &str| {
            let mut containers = self.spec.init_containers.iter();
            containers
                .any(|c| c.name.as_str() == name && c.restart_policy.as_deref() == Some("Always"))
        };
        let init = self.status.init_container_statuses.iter().flatten();
        let init = init.map(|status| (if is_sidecar(&status.name) { 3 } else { 0 }, status));
        let regular = self.status.container_statuses.iter().flatten();
        let regular = regular
            .map(|status| (if migration == Some(status.name.as_str()) { 1 } else { 2 }, status));
        let failed = init.chain(regular).filter_map(|(rank, status)| {
            let terminated = status.state.as_ref()?.terminated.as_ref()?;
            (terminated.exit_code != 0).then_some((rank, status.name.as_str(), terminated))
        });
        // The first of those that rank alike.
        let (_, name, terminated) = failed.min_by_key(|(rank, ..)| *rank)?;
        let mut own = self.spec.init_containers.iter().filter(|c| own::is_own(c));
        let message =
            terminated.message.as_deref().filter(|_| own.any(|c| c.name.as_str() == name));
        Some(RecordFailure::new(name, terminated.exit_code, terminated.reason.as_deref(), message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(created: u8, spec: &Value, init: &Value, regular: &Value) -> Stored {
        Stored::new(&json!({
            "metadata": {"creationTimestamp": format!("2026-11-24T10:00:0{created}Z")},
            "spec": spec,
            "status": {"phase": "Failed", "initContainerStatuses": init, "containerStatuses": regular},
        }))
        .unwrap()
    }

    fn ended(name: &str, code: i32, message: &str) -> Value {
        json!({"name": name, "state": {"terminated": {
            "exitCode": code, "reason": "Error", "message": message}}})
    }

    fn waits() -> Value {
        json!({"initContainers": [
            {"name": "proxy", "image": "p:1", "restartPolicy": "Always"},
            {"name": "wait-for-db", "image": "w:1", "command": ["/wavegate", "wait-for-db"], "args": ["--timeout=60s"]},
            {"name": "seed", "image": "a:1", "command": ["sh", "-c", "wait-for-it db:5432 -- /seed"]},
        ]})
    }

    #[test]
    fn our_own_waiter_is_quoted_and_nobody_else() {
        let killed = ended("proxy", 137, "hunter2");
        let waiting = json!({"name": "m", "state": {"waiting": {"reason": "PodInitializing"}}});
        let own = ended("wait-for-db", 1, "waiting\ndb:5432 did not answer\n\n");
        let found = |init: &Value, regular: &Value| {
            let failure = failure(&[pod(1, &waits(), init, regular)], Some("m"))?;
            Some((failure.container, failure.exit_code, failure.message))
        };
        assert_eq!(
            found(&json!([killed, own]), &json!([waiting])),
            Some(("wait-for-db".to_owned(), 1, Some("db:5432 did not answer".to_owned())))
        );
        let done = ended("wait-for-db", 0, "ready");
        let seed = ended("seed", 2, "hunter2");
        assert_eq!(
            found(&json!([killed, done, seed]), &json!([waiting])),
            Some(("seed".to_owned(), 2, None))
        );
        let regular = json!([ended("proxy2", 1, "hunter2"), ended("m", 3, "hunter2")]);
        assert_eq!(found(&json!([killed, done]), &regular), Some(("m".to_owned(), 3, None)));
        let beside = json!([ended("log", 143, "hunter2"), ended("m", 0, "")]);
        assert_eq!(found(&json!([killed, done]), &beside), Some(("log".to_owned(), 143, None)));
        assert_eq!(found(&json!([killed]), &json!(null)), Some(("proxy".to_owned(), 137, None)));
        assert_eq!(found(&json!(null), &json!([waiting])), None);
    }

    #[test]
    fn the_newest_pod_that_tells_counts() {
        let none = json!({});
        let pods = [
            pod(1, &none, &json!([]), &json!([ended("m", 1, "")])),
            pod(3, &none, &json!([]), &json!(null)),
            pod(2, &none, &json!([]), &json!([ended("m", 2, "")])),
            Stored::new(&json!({"metadata": null, "spec": null, "status": null})).unwrap(),
        ];
        assert_eq!(failure(&pods, Some("m")).map(|failure| failure.exit_code), Some(2));
        assert_eq!(failure(&[], Some("m")), None);
    }

    /// The name alone makes no container wavegate's.
    #[test]
    fn a_name_is_no_evidence() {
        let spec = json!({"initContainers": [{"name": "wait-for-db", "image": "w:1", "command": ["sh", "-c", "echo $PGPASSWORD; exit 1"]}]});
        let pods = [pod(1, &spec, &json!([ended("wait-for-db", 1, "hunter2")]), &json!([]))];
        assert_eq!(failure(&pods, None).and_then(|failure| failure.message), None);
    }
}
