//! Reviews made of what the cluster told, as its API server would send them.

use serde_json::{Value, json};

use super::WhyError;
use crate::admission::{Admission, Subject, decode};
use crate::domain::image::ImageRef;
use crate::domain::manifest::PodSpec;
use crate::domain::workload::{Workload, WorkloadKind};

/// The body of a review about a workload: its creation, or an update of what runs now.
pub(super) fn review(
    kind: WorkloadKind,
    namespace: &str,
    new: &Value,
    old: Option<&Value>,
) -> String {
    let group = if kind == WorkloadKind::Rollout { "argoproj.io" } else { "apps" };
    let version = if kind == WorkloadKind::Rollout { "v1alpha1" } else { "v1" };
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "wavegate-why",
            "kind": {"group": group, "version": version, "kind": kind.name()},
            "name": new.pointer("/metadata/name"),
            "namespace": namespace,
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": {"username": ""},
            "object": new,
            "oldObject": old,
        },
    })
    .to_string()
}

/// Decodes a review about a workload.
pub(super) fn admission<'b>(body: &'b str, object: &str) -> Result<Admission<'b>, WhyError> {
    let admission = decode(body.as_bytes())?;
    match &admission.subject {
        Subject::Unreadable(reason) => {
            Err(WhyError::Unreadable { object: object.to_owned(), reason: reason.clone() })
        }
        _ => Ok(admission),
    }
}

/// The names of the containers that an image is for: those that carry the app's, else the only one of the image's
/// own repository.
pub(super) fn containers_for(
    workload: &Workload<'_>,
    of_app: &[String],
    image: &ImageRef,
    object: &str,
) -> Result<Vec<String>, WhyError> {
    let Some(pod) = workload.pod() else {
        let hint = ": it takes its pods from another workload by workloadRef; ask about that one";
        return Err(WhyError::NoContainers { object: object.to_owned(), hint: hint.to_owned() });
    };
    if !of_app.is_empty() {
        return Ok(of_app.to_vec());
    }
    match of_repository(pod, image).as_slice() {
        [only] => Ok(vec![only.clone()]),
        _ if pod.containers.is_empty() => {
            Err(WhyError::NoContainers { object: object.to_owned(), hint: String::new() })
        }
        _ => Err(WhyError::Ambiguous { object: object.to_owned() }),
    }
}

fn of_repository(pod: &PodSpec<'_>, image: &ImageRef) -> Vec<String> {
    let same = |text: &str| ImageRef::parse(text).is_ok_and(|own| own.same_repository(image));
    let containers = pod.all_containers().filter(|(_, container)| same(&container.image));
    containers.map(|(_, container)| container.name.as_str().to_owned()).collect()
}

/// The object with another image in these containers.
pub(super) fn with_image(object: &Value, containers: &[String], image: &str) -> Value {
    let mut object = object.clone();
    for list in ["containers", "initContainers"] {
        let list = object.pointer_mut(&format!("/spec/template/spec/{list}"));
        for container in list.and_then(Value::as_array_mut).into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if containers.iter().any(|wanted| wanted == name)
                && let Some(container) = container.as_object_mut()
            {
                container.insert("image".to_owned(), image.into());
            }
        }
    }
    object
}
