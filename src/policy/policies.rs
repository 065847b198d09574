//! The settings of every namespace.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::Policy;
use super::exemption::{Exemption, Standing};

/// The settings of a cluster: those that hold anywhere, and those of namespaces that have their own. Compiled once;
/// to pick one costs a look-up.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    cluster: Policy,
    by_namespace: HashMap<String, Policy>,
    generation: i64,
}

impl Policies {
    /// Settings with those of some namespaces.
    pub fn new(cluster: Policy, by_namespace: BTreeMap<String, Policy>) -> Self {
        Self { cluster, by_namespace: by_namespace.into_iter().collect(), generation: 0 }
    }

    /// The settings that were compiled from this generation of a stored policy.
    #[must_use]
    pub fn of_generation(self, generation: i64) -> Self {
        Self { generation, ..self }
    }

    /// Generation of the stored policy that these settings are of; 0 for those that are built in or of a file.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    /// The settings of a namespace.
    pub fn of(&self, namespace: &str) -> &Policy {
        self.by_namespace.get(namespace).unwrap_or(&self.cluster)
    }

    /// The settings of namespaces without their own.
    pub fn cluster(&self) -> &Policy {
        &self.cluster
    }

    /// Whether the same Jobs are migrations by these settings as by others.
    pub fn detects_as(&self, other: &Self) -> bool {
        let mut namespaces = self.by_namespace.keys().chain(other.by_namespace.keys());
        self.cluster.detection == other.cluster.detection
            && namespaces.all(|name| self.of(name).detection == other.of(name).detection)
    }

    /// How many namespaces have settings of their own, or exemptions.
    pub fn namespaces(&self) -> usize {
        self.by_namespace.len()
    }

    /// Every exemption, by namespace.
    pub fn exemptions(&self) -> impl Iterator<Item = &Exemption> {
        let mut namespaces: Vec<_> = self.by_namespace.iter().collect();
        namespaces.sort_by_key(|(name, _)| *name);
        namespaces.into_iter().flat_map(|(_, policy)| &policy.exemptions)
    }

    /// How many exemptions stand so.
    pub fn count(&self, standing: Standing, now: Timestamp) -> usize {
        self.exemptions().filter(|exemption| exemption.standing(now) == standing).count()
    }
}

impl From<Policy> for Policies {
    fn from(cluster: Policy) -> Self {
        Self { cluster, ..Self::default() }
    }
}
