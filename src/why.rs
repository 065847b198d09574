//! Why a rollout is held, for the person who has to get it going again.
//!
//! Nothing is decided here: a question becomes a review, the engine answers it, and the gate accounts for its verdict.
//! What comes out is one value, which is printed as text or as JSON.

mod bearing;
mod explain;
mod mode;
mod next;
mod replay;
mod request;
mod said;
mod selector;
mod target;
mod text;

use thiserror::Error;

pub use explain::{Explanation, Seen, explain};
pub use mode::{Mode, NamespaceMode, Registration};
pub use replay::{Replay, question, replay};
pub use selector::Configuration;
pub use target::{Target, TargetError};

use crate::admission::DecodeError;

/// Why it cannot be told.
#[derive(Debug, Error)]
pub enum WhyError {
    /// What was recorded is no review, or what the cluster told makes none.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The object does not have the fields of its kind.
    #[error("{object} cannot be read: {reason}")]
    Unreadable {
        /// Kind, namespace and name.
        object: String,
        /// Which field, and why.
        reason: String,
    },
    /// An image was asked about, and where it goes is not known.
    #[error(
        "{object} has several containers, and nothing tells which of them carries the app's image: annotate it with wavegate.dev/container: NAME"
    )]
    Ambiguous {
        /// Kind, namespace and name.
        object: String,
    },
    /// An image was asked about, and the workload has no containers of its own.
    #[error("{object} has no containers of its own{hint}")]
    NoContainers {
        /// Kind, namespace and name.
        object: String,
        /// What to ask about instead.
        hint: String,
    },
    /// A text that is no image.
    #[error("{text:?} is no image: {reason}")]
    Image {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Version of the JSON documents. It changes when a field changes its meaning or goes away.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
