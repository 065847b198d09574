//! What a failed request means, in a few words for the person who reads them.

use kube::Error;
use kube::runtime::watcher;

use super::stored::Kind;
use crate::domain::record;

/// How a watch fares, told when that changes: a failure once, until another one follows or it works again.
pub(super) struct Fare {
    watch: &'static str,
    trouble: String,
}

impl Fare {
    pub(super) const fn of(watch: &'static str) -> Self {
        Self { watch, trouble: String::new() }
    }

    /// It failed. `detail` is for whoever looks closer than the reason.
    pub(super) fn fails(&mut self, reason: String, detail: Option<&watcher::Error>) {
        if self.trouble != reason {
            let detail = detail.map(tracing::field::display);
            tracing::warn!(watch = self.watch, reason, detail, "the watch failed");
            self.trouble = reason;
        }
    }

    /// It brought something.
    pub(super) fn works(&mut self) {
        if !std::mem::take(&mut self.trouble).is_empty() {
            tracing::info!(watch = self.watch, "the watch works again");
        }
    }
}

/// Why the API server did not do what it was asked.
pub(super) fn reason(verb: &str, kind: Kind, error: &Error) -> String {
    let what = kind.plural();
    match error {
        Error::Api(status) if status.code == 403 => {
            format!(
                "wavegate may not {verb} {what} (forbidden): install the chart's ClusterRole wavegate"
            )
        }
        Error::Api(status) if status.code == 401 => {
            "the API server does not know wavegate's credentials (unauthorized)".to_owned()
        }
        Error::Api(status) if status.code == 404 && kind.is_defined_by_wavegate() => format!(
            "the CustomResourceDefinition {what}.{} is not installed: apply charts/wavegate/files/crds/{what}.yaml",
            record::GROUP
        ),
        Error::Api(status) => {
            let said = status.message.lines().next().unwrap_or_default();
            format!("the API server answered {} to {verb} {what}: {said}", status.code)
        }
        Error::SerdeError(_) => format!("the API server's answer to {verb} {what} cannot be read"),
        _ => "the API server does not answer".to_owned(),
    }
}

/// Whether a watch brings nothing since the cluster does not know the kind.
pub(super) fn is_missing(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => {
            matches!(error, Error::Api(status) if status.code == 404)
        }
        watcher::Error::WatchError(status) => status.code == 404,
        watcher::Error::NoResourceVersion => false,
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
