//! What a failed request means, in a few words for the person who reads them.

use kube::Error;
use kube::runtime::watcher;

use super::stored::Kind;
use crate::domain::record;

/// Why the API server did not do what it was asked.
pub(super) fn reason(verb: &str, kind: Kind, error: &Error) -> String {
    let what = kind.plural();
    match error {
        Error::Api(status) if status.code == 403 => {
            format!("wavegate may not {verb} {what} (forbidden): apply deploy/rbac.yaml")
        }
        Error::Api(status) if status.code == 401 => {
            "the API server does not know wavegate's credentials (unauthorized)".to_owned()
        }
        Error::Api(status) if status.code == 404 && matches!(kind, Kind::Record | Kind::Policy) => {
            format!(
                "the CustomResourceDefinition {what}.{} is not installed: apply charts/wavegate/files/crds/{what}.yaml",
                record::GROUP
            )
        }
        Error::Api(status) => {
            let said = status.message.lines().next().unwrap_or_default();
            format!("the API server answered {} to {verb} {what}: {said}", status.code)
        }
        Error::SerdeError(_) => format!("the API server's answer to {verb} {what} cannot be read"),
        _ => "the API server does not answer".to_owned(),
    }
}

/// Why a watch brings nothing.
pub(super) fn watch_reason(kind: Kind, error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => reason("list", kind, error),
        watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
            reason("watch", kind, error)
        }
        watcher::Error::WatchError(status) => reason("watch", kind, &Error::Api(status.clone())),
        watcher::Error::NoResourceVersion => {
            format!("the API server lists {} without a resourceVersion", kind.plural())
        }
    }
}
