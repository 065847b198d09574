//! The one question that a decision may ask of the API server.

use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

use crate::cluster::{Question, Reading};

/// Reads a namespace at the moment of a decision.
///
/// Only asked before a gate denial, and for what only the cluster knows of a migration Job that is created, never
/// for a request that is let through. An implementation answers within a second: the API server waits for us.
pub trait Live: Send + Sync + 'static {
    /// Reads what a question asks for.
    fn read(&self, question: Question) -> LiveReading<'_>;
}

/// What [`Live::read`] returns.
pub type LiveReading<'a> = Pin<Box<dyn Future<Output = Result<Reading, Unread>> + Send + 'a>>;

/// The API server did not tell. The policy's `onUnknown` decides then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unread(pub String);
