//! The recorder: brings every attempt's record to what is known of it, sooner or later.
//!
//! What is to be written is never kept here, only whose turn it is: each try takes what is known at that moment. An
//! attempt stays known until its record says all of it, so no outcome is lost while the process lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::feed::AttemptKey;
use super::follow::Listings;
use super::known::Known;
use super::writer::{Failure, Writer};
use crate::server::Metrics;
use crate::server::metrics::RecordWrite;

/// The longest delay between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// Writes records until it is stopped.
pub(super) struct Recorder {
    pub(super) writer: Arc<Writer>,
    pub(super) known: Known,
    pub(super) metrics: Arc<Metrics>,
    pub(super) touched: mpsc::UnboundedReceiver<AttemptKey>,
    pub(super) listings: watch::Receiver<Listings>,
    /// `Some` once the process is about to end: how long what is pending still gets.
    pub(super) stop: watch::Receiver<Option<Duration>>,
}

/// Attempts whose record is being written. One at a time for each attempt: what happens meanwhile is written
/// afterwards.
#[derive(Default)]
struct Turns {
    active: FuturesUnordered<BoxFuture<'static, AttemptKey>>,
    again: HashMap<AttemptKey, bool>,
}

impl Recorder {
    pub(super) async fn run(mut self) {
        let mut turns = Turns::default();
        let mut stop = self.stop.clone();
        let grace = loop {
            let stopping =
                async { stop.wait_for(Option::is_some).await.ok().and_then(|grace| *grace) };
            tokio::select! {
                Some(key) = self.touched.recv() => self.take(&mut turns, key),
                Some(key) = turns.active.next(), if !turns.active.is_empty() => {
                    self.end(&mut turns, key);
                }
                Ok(()) = self.listings.changed() => self.sweep(&mut turns),
                grace = stopping => break grace.unwrap_or_default(),
            }
            self.metrics.watch().pending(turns.again.len());
        };
        self.flush(&mut turns, grace).await;
    }

    async fn flush(mut self, turns: &mut Turns, grace: Duration) {
        while let Ok(key) = self.touched.try_recv() {
            self.take(turns, key);
        }
        let all = async {
            while let Some(key) = turns.active.next().await {
                self.end(turns, key);
            }
        };
        if timeout(grace, all).await.is_err() {
            let records = turns.again.len();
            tracing::warn!(
                records,
                "records were not written in time; a replica or the next start will"
            );
        }
    }

    fn take(&self, turns: &mut Turns, key: AttemptKey) {
        if let Some(again) = turns.again.get_mut(&key) {
            *again = true;
            return;
        }
        turns.again.insert(key.clone(), false);
        turns.active.push(self.turn(key));
    }

    fn end(&self, turns: &mut Turns, key: AttemptKey) {
        if turns.again.remove(&key) == Some(true) {
            self.take(turns, key);
        }
    }

    /// All is listed: what has no record, or one that says less than is known, gets its turn.
    fn sweep(&self, turns: &mut Turns) {
        if !self.listings.borrow().complete() {
            return;
        }
        let state = self.known.read();
        let behind = state.attempts().iter().filter(|sighting| !sighting.is_recorded());
        let behind: Vec<_> = behind.map(|sighting| AttemptKey::of(sighting.attempt())).collect();
        drop(state);
        for key in behind {
            self.take(turns, key);
        }
    }

    /// One attempt's turn: tries until its record says what is known, or never can.
    fn turn(&self, key: AttemptKey) -> BoxFuture<'static, AttemptKey> {
        let (writer, metrics) = (Arc::clone(&self.writer), Arc::clone(&self.metrics));
        let mut stop = self.stop.clone();
        Box::pin(async move {
            let mut backoff = Backoff::up_to(LONGEST_DELAY);
            let mut said = false;
            loop {
                match writer.settle(&key).await {
                    Ok(()) => return key,
                    Err(Failure::Never(reason)) => {
                        metrics.watch().wrote(RecordWrite::Abandoned);
                        let AttemptKey { namespace, uid } = &key;
                        tracing::info!(namespace, uid, reason, "a record is not written");
                        return key;
                    }
                    Err(Failure::Later(reason)) => {
                        metrics.watch().wrote(RecordWrite::Failed);
                        let AttemptKey { namespace, uid } = &key;
                        if !std::mem::replace(&mut said, true) {
                            tracing::warn!(namespace, uid, reason, "a record waits to be written");
                        }
                    }
                }
                let delay = backoff.next();
                // The last chance comes at once.
                let stopping = stop.borrow().is_some();
                tokio::select! {
                    () = sleep(delay) => {}
                    _ = stop.wait_for(Option::is_some), if !stopping => backoff.reset(),
                }
            }
        })
    }
}
