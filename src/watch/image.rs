//! Which image a migration's container really ran, as the kubelet told it in the pod's status.

use jiff::Timestamp;
use serde::Deserialize;

use super::stored::Stored;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Metadata,
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
    phase: String,
    init_container_statuses: Option<Vec<ContainerStatus>>,
    container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "imageID")]
    image_id: String,
}

/// The image of a container in a Job's pods: of the pod that succeeded, else of the newest. Until the image was
/// pulled there is none.
pub(super) fn image_id(pods: &[Stored], container: &str) -> Option<String> {
    let read = |pod: &Stored| serde_json::from_str::<Pod>(pod.json()).ok();
    let found = pods.iter().filter_map(read).filter_map(|pod| {
        let Status { phase, init_container_statuses, container_statuses } = pod.status;
        let mut containers =
            [init_container_statuses, container_statuses].into_iter().flatten().flatten();
        let own =
            containers.find(|status| status.name == container && !status.image_id.is_empty())?;
        Some((phase == "Succeeded", pod.metadata.creation_timestamp, own.image_id))
    });
    found.max().map(|(_, _, image_id)| image_id)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(phase: &str, created: u8, statuses: &Value) -> Stored {
        Stored::new(&json!({
            "metadata": {"creationTimestamp": format!("2026-11-24T10:00:0{created}Z")},
            "status": {"phase": phase, "containerStatuses": statuses},
        }))
        .unwrap()
    }

    #[test]
    fn the_pod_that_succeeded_tells_the_image() {
        let ran = |image: &str| json!([{"name": "proxy", "imageID": "p@sha256:0"}, {"name": "m", "imageID": image}]);
        let pods = [
            pod("Failed", 1, &ran("m@sha256:1")),
            pod("Succeeded", 2, &ran("m@sha256:2")),
            pod("Pending", 3, &json!(null)),
            pod("Running", 4, &ran("")),
        ];
        assert_eq!(image_id(&pods, "m").as_deref(), Some("m@sha256:2"));
        assert_eq!(image_id(&pods[..1], "m").as_deref(), Some("m@sha256:1"));
        assert_eq!(image_id(&pods[2..], "m"), None);
        assert_eq!(image_id(&pods, "other"), None);
    }
}
