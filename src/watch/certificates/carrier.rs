//! The two webhook configurations, as far as they carry the CAs that API servers trust.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use kube::Resource;
use rustls::pki_types::CertificateDer;
use serde_json::json;

use super::store::certificates;

/// A configuration's webhooks carry one bundle each.
pub(super) trait Carrier: Resource {
    /// The webhooks' bundles, in their order.
    fn bundles(&self) -> Vec<Option<&ByteString>>;
}

impl Carrier for ValidatingWebhookConfiguration {
    fn bundles(&self) -> Vec<Option<&ByteString>> {
        let webhooks = self.webhooks.iter().flatten();
        webhooks.map(|webhook| webhook.client_config.ca_bundle.as_ref()).collect()
    }
}

impl Carrier for MutatingWebhookConfiguration {
    fn bundles(&self) -> Vec<Option<&ByteString>> {
        let webhooks = self.webhooks.iter().flatten();
        webhooks.map(|webhook| webhook.client_config.ca_bundle.as_ref()).collect()
    }
}

/// What a configuration carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Carried {
    version: String,
    bundles: Vec<Vec<u8>>,
}

impl Carried {
    pub(super) fn by(configuration: &impl Carrier) -> Self {
        let bundles = configuration.bundles();
        Self {
            version: configuration.meta().resource_version.clone().unwrap_or_default(),
            bundles: bundles
                .into_iter()
                .map(|b| b.map(|b| b.0.clone()).unwrap_or_default())
                .collect(),
        }
    }

    /// Whether each webhook carries exactly this bundle.
    pub(super) fn carries(&self, bundle: &[u8]) -> bool {
        self.bundles.iter().all(|carried| carried == bundle)
    }

    /// The CAs of each webhook.
    pub(super) fn cas(&self) -> impl Iterator<Item = Vec<CertificateDer<'static>>> {
        self.bundles.iter().map(|bundle| certificates(bundle))
    }

    /// The patch that makes each webhook carry this bundle: none where they do.
    ///
    /// It is bound to the version that was read. So it meets the webhooks that it was made for, and one who was held up
    /// for long undoes nothing that another has published since.
    ///
    /// A JSON patch, not an apply. Who applies a field of a list's item owns the item too, and then a chart that removes
    /// a webhook leaves its name and CA behind, which the API server refuses: no upgrade would go through. Who patches
    /// owns the field alone, and it goes with the item (`structured-merge-diff`, `Updater.prune`).
    pub(super) fn patch(&self, bundle: &[u8]) -> Option<json_patch::Patch> {
        let bundle_value = ByteString(bundle.to_vec());
        let add = self.bundles.iter().enumerate().filter(|(_, carried)| *carried != bundle).map(
            |(index, _)| {
                let path = format!("/webhooks/{index}/clientConfig/caBundle");
                json!({"op": "add", "path": path, "value": bundle_value})
            },
        );
        let mut operations: Vec<_> = add.collect();
        if operations.is_empty() {
            return None;
        }
        let version =
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": self.version});
        operations.insert(0, version);
        serde_json::from_value(operations.into()).ok()
    }
}
