//! The stages in a server's life that its connections must know.

use tokio::sync::watch;

/// Where the server is on its way to its end. Draining is no stage of its own here: connections are
/// accepted and served meanwhile, see [`Readiness::is_draining`](super::Readiness::is_draining).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Connections are accepted.
    Serving,
    /// No new connections; idle ones end, requests in flight are finished.
    Stopping,
    /// What is still open is cut.
    Aborting,
}

/// The next change of stage. A server that is gone, its future dropped, counts as aborting.
pub(super) async fn next_stage(stages: &mut watch::Receiver<Stage>) -> Stage {
    match stages.changed().await {
        Ok(()) => *stages.borrow_and_update(),
        Err(_) => Stage::Aborting,
    }
}

/// Completes when the server has reached `stage`, or is gone.
pub(super) async fn reached(stages: &mut watch::Receiver<Stage>, stage: Stage) {
    // An error says that the server is gone.
    let _ = stages.wait_for(|current| *current >= stage).await;
}
