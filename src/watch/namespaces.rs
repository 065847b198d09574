//! How many namespaces are guarded, and how: a namespace that nobody labelled is one that nobody guards.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Error};
use tokio::time::{sleep, timeout};

use crate::domain::keys;
use crate::server::Metrics;
use crate::server::metrics::NamespaceMode;

/// How often namespaces are counted: nobody is paged for a label.
const EVERY: Duration = Duration::from_mins(1);

/// How long counting may take.
const BOUND: Duration = Duration::from_secs(20);

/// Namespaces in one page.
const PAGE: u32 = 500;

/// Counts until it is dropped.
pub(super) async fn count(client: Client, metrics: Arc<Metrics>) {
    let namespaces: Api<Namespace> = Api::all(client);
    let mut said = false;
    loop {
        let error = match timeout(BOUND, read(&namespaces)).await {
            Ok(Ok(counts)) => {
                metrics.watch().namespaces(&counts);
                said = false;
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some("the API server does not answer".to_owned()),
        };
        if let Some(error) = error
            && !std::mem::replace(&mut said, true)
        {
            tracing::warn!(error, "namespaces cannot be counted");
        }
        sleep(EVERY).await;
    }
}

/// How many namespaces have which mode. Only metadata is asked for, a page at a time.
async fn read(namespaces: &Api<Namespace>) -> Result<Vec<(NamespaceMode, i64)>, Error> {
    let mut counts: Vec<_> = NamespaceMode::ALL.into_iter().map(|mode| (mode, 0)).collect();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = namespaces.list_metadata(&page).await?;
        for namespace in list.items {
            let labels = namespace.metadata.labels.unwrap_or_default();
            let mode = NamespaceMode::of(labels.get(keys::MODE).map(String::as_str));
            counts.iter_mut().filter(|(of, _)| *of == mode).for_each(|(_, count)| *count += 1);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page.continue_token = Some(token),
            None => return Ok(counts),
        }
    }
}
