//! What the keeping of certificates counts.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What was made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// A server certificate of the same CA.
    Leaf,
    /// The CA, with a server certificate.
    Ca,
    /// Something that was damaged.
    Repair,
}

impl Rotation {
    const ALL: [Self; 3] = [Self::Leaf, Self::Ca, Self::Repair];
}

impl EncodeLabelValue for Rotation {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let label = match self {
            Self::Leaf => "leaf",
            Self::Ca => "ca",
            Self::Repair => "repair",
        };
        EncodeLabelValue::encode(&label, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RotationLabels {
    kind: Rotation,
    result: &'static str,
}

/// The metrics of self-managed certificates. Those of a server with files stay at zero.
#[derive(Debug, Default)]
pub struct CertificateMetrics {
    ca_not_after: Gauge,
    rotations: Family<RotationLabels, Counter>,
    bundle_current: Gauge,
    leader: Gauge,
}

impl CertificateMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for kind in Rotation::ALL {
            for result in ["ok", "failed"] {
                drop(self.rotations.get_or_create(&RotationLabels { kind, result }));
            }
        }
        registry.register_with_unit(
            "ca_not_after_timestamp",
            "When the CA that signs self-managed certificates expires, in Unix time; 0 without one",
            Unit::Seconds,
            self.ca_not_after.clone(),
        );
        registry.register(
            "certificate_rotations",
            "Self-managed certificates made by this replica, by kind and result",
            self.rotations.clone(),
        );
        registry.register(
            "ca_bundle_current",
            "Whether both webhook configurations carry the CAs of the self-managed certificates",
            self.bundle_current.clone(),
        );
        registry.register(
            "certificates_leader",
            "Whether this replica keeps the self-managed certificates",
            self.leader.clone(),
        );
    }

    /// The CA that signs ends at this Unix time.
    pub fn ca_ends(&self, at: i64) {
        self.ca_not_after.set(at);
    }

    /// Whether both webhook configurations carry our CAs.
    pub fn bundle_is_current(&self, current: bool) {
        self.bundle_current.set(current.into());
    }

    /// Whether this replica keeps the certificates.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Something was made anew, or could not be.
    pub fn rotated(&self, kind: Rotation, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.rotations.get_or_create(&RotationLabels { kind, result }).inc();
    }
}
