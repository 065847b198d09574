//! What wavegate knows about the objects around the one it decides on.
//!
//! [`ClusterState`] is a plain value. Watchers fill it in the cluster, manifests fill it offline and a few lines
//! fill it in a test; nothing in it talks to a cluster.

mod attempt;
mod attempts;
mod let_through;
mod overrides;
pub mod pairing;
mod reading;
pub mod retention;
#[cfg(test)]
pub(crate) mod sample;
mod shared;
mod sightings;
mod state;
mod tie;

pub use crate::domain::reference::{Reference, ReferenceKind};
pub use attempt::{Attempt, AttemptError};
pub use attempts::{Attempts, Gone, Sighting};
pub use overrides::{Override, OverrideError, Overrides};
pub use pairing::{Pair, PairReason, PairedAttempt, PairedWorkload};
pub use reading::{Confirmation, Question, Reading, Revision};
pub use shared::Shared;
pub use state::{ClusterState, MigrationFacts, ObjectKey, ServiceFacts, Ties, WorkloadFacts};
