//! What wavegate knows about the objects around the one it decides on.
//!
//! [`ClusterState`] is a plain value. Manifests fill it offline and a few lines fill it in a test; nothing
//! in it talks to a cluster.

pub mod pairing;
mod state;

pub use pairing::{Pair, PairReason};
pub use state::{ClusterState, MigrationFacts, ObjectKey, ServiceFacts, Ties, WorkloadFacts};
