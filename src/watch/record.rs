//! Records as they are sent to the API server.

use kube::api::Patch;
use serde_json::{Map, Value, json};

use super::stored::Stored;
use crate::cluster::Attempt;
use crate::domain::record;

/// Label of a record by its app, to select by. It is no key that Argo CD or Helm tracks objects by: records must
/// not be pruned with what they speak of.
const APP_LABEL: &str = "stamp.wavegate.dev/app";

/// The record of an attempt.
pub(super) fn of(attempt: &Attempt) -> Result<Stored, serde_json::Error> {
    let spec = attempt.record_spec();
    let mut labels = Map::new();
    if is_label_value(&spec.app) {
        labels.insert(APP_LABEL.to_owned(), json!(spec.app));
    }
    Stored::new(&json!({
        "apiVersion": format!("{}/{}", record::GROUP, record::VERSION),
        "kind": record::KIND,
        "metadata": {
            "name": attempt.uid,
            "namespace": attempt.facts.key.namespace,
            "labels": labels,
        },
        "spec": spec,
        "status": attempt.record_status(),
    }))
}

/// What moves a record forward to what is known of its attempt. With the version of the record that was compared
/// with, a record that another replica has changed since is left alone.
pub(super) fn progress(
    attempt: &Attempt,
    version: Option<&str>,
) -> Result<Patch<Value>, serde_json::Error> {
    let mut status = serde_json::to_value(attempt.record_status())?;
    if let Some(status) = status.as_object_mut() {
        // The reason belongs to the outcome: that of an earlier one goes with it.
        status.entry("reason").or_insert(Value::Null);
    }
    Ok(Patch::Merge(match version {
        Some(version) => json!({"metadata": {"resourceVersion": version}, "status": status}),
        None => json!({"status": status}),
    }))
}

/// Whether Kubernetes takes a text as a label's value. One that it does not, such as a repository with a slash, is
/// left out; `spec.app` can be selected by as a field.
fn is_label_value(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(inner)
        && ends(text.chars().next())
        && ends(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::sample::Sample;

    #[test]
    fn a_record_is_named_by_its_job_and_carries_no_foreign_key() {
        let record = of(&Sample::new("u-1", "v1").app("shop").succeeded(9).attempt()).unwrap();
        let record: Value = serde_json::from_str(record.json()).unwrap();
        let metadata = json!({"name": "u-1", "namespace": "shop",
            "labels": {"stamp.wavegate.dev/app": "shop"}});
        assert_eq!(record["metadata"], metadata);
        assert_eq!(record["status"]["outcome"], "Succeeded");
        let unlabelled = of(&Sample::new("u-1", "v1").attempt()).unwrap();
        assert!(unlabelled.json().contains(r#""labels":{}"#), "{}", unlabelled.json());
    }

    #[test]
    fn an_outcome_takes_its_reason_along() {
        let attempt = Sample::new("u-1", "v1").succeeded(9).attempt();
        let Ok(Patch::Merge(patch)) = progress(&attempt, Some("7")) else {
            panic!("a merge patch")
        };
        assert_eq!(patch["metadata"], json!({"resourceVersion": "7"}));
        assert_eq!(
            (&patch["status"]["reason"], &patch["status"]["duration"]),
            (&Value::Null, &json!("9s"))
        );
        assert!(patch["status"].get("imageID").is_none(), "{patch}");
    }

    #[test]
    fn labels_hold_what_kubernetes_takes() {
        for (text, want) in [
            ("shop", true),
            ("shop.v1_2-x", true),
            ("shop/api", false),
            ("", false),
            ("-a", false),
            ("a-", false),
        ] {
            assert_eq!(is_label_value(text), want, "{text}");
        }
        assert!(!is_label_value(&"a".repeat(64)));
    }
}
