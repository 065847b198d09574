//! What is counted of the policy and its exemptions.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::policy::exemption::Standing;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StandingLabel(Standing);

impl EncodeLabelValue for StandingLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.0.name(), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    state: StandingLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

/// The metrics of the policy.
#[derive(Debug, Default)]
pub struct PolicyMetrics {
    generation: Gauge,
    loaded: Gauge,
    invalid: Gauge,
    exemptions: Family<StandingLabels, Gauge>,
    exempted: Family<CodeLabels, Counter>,
}

impl PolicyMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for standing in Standing::ALL {
            drop(self.exemptions.get_or_create(&StandingLabels { state: StandingLabel(standing) }));
        }
        registry.register(
            "policy_generation",
            "Generation of the RolloutPolicy that is in force; 0 where the built-in defaults are",
            self.generation.clone(),
        );
        registry.register(
            "policy_loaded",
            "Whether the API server has told which RolloutPolicy there is",
            self.loaded.clone(),
        );
        registry.register(
            "policy_invalid",
            "Whether the stored RolloutPolicy is wrong, so that an older one or the defaults are in force",
            self.invalid.clone(),
        );
        registry.register(
            "exemptions",
            "Exemptions of the policy in force, by where they are in their time",
            self.exemptions.clone(),
        );
        registry.register(
            "exempted",
            "Findings that only warned because of an exemption, by rule code",
            self.exempted.clone(),
        );
    }

    /// The API server has told what there is, or that there is nothing.
    pub fn loaded(&self, loaded: bool) {
        self.loaded.set(i64::from(loaded));
    }

    /// These settings are in force, and the stored ones are wrong or not.
    pub fn in_force(&self, generation: i64, invalid: bool) {
        self.generation.set(generation);
        self.invalid.set(i64::from(invalid));
    }

    /// How many exemptions stand so.
    pub fn exemptions(&self, standing: Standing, count: usize) {
        let labels = StandingLabels { state: StandingLabel(standing) };
        self.exemptions.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A finding only warned because of an exemption.
    pub fn exempted(&self, code: &'static str) {
        self.exempted.get_or_create(&CodeLabels { code }).inc();
    }
}
