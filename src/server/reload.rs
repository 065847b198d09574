//! Following the certificate files.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::{MissedTickBehavior, interval};

use super::metrics::{Metrics, ReloadResult};
use super::readiness::Readiness;
use super::tls::{CurrentTls, Files, Loaded, ManagedPair, TlsError, TlsSource};

/// The name under which readiness waits for a certificate that holds.
const CONDITION: &str = "certificate";

/// Looks at the files for as long as the server lives, and serves what is good.
pub(super) struct Reload {
    source: Arc<TlsSource>,
    current: Arc<CurrentTls>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// What was read last, good or not.
    seen: Result<Files, String>,
    /// What is wrong with it, until it has been said.
    complaint: Option<String>,
}

impl Reload {
    /// Reads and checks the files for the first time. An expired certificate is served all the same, since
    /// its successor may be on its way; until then the server is not ready.
    pub(super) fn start(
        source: TlsSource,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Result<(Self, Arc<CurrentTls>), TlsError> {
        let (seen, loaded) = match Files::read(&source) {
            Err(error @ TlsError::NotYet) => (Err(error.to_string()), None),
            files => {
                let files = files?;
                let loaded = Loaded::check(&files, &source)?;
                (Ok(files), Some(loaded))
            }
        };
        let current = Arc::new(CurrentTls::new(loaded.as_ref()));
        let reload = Self {
            source: Arc::new(source),
            current: Arc::clone(&current),
            metrics,
            readiness,
            seen,
            complaint: None,
        };
        let Some(loaded) = loaded else {
            reload.readiness.wait_for(CONDITION, TlsError::NotYet.to_string());
            return Ok((reload, current));
        };
        if let Some(reason) = loaded.not_valid_at(SystemTime::now()) {
            reload.readiness.wait_for(CONDITION, reason);
        }
        tracing::info!(certificate = %loaded, "serving certificate");
        reload.tell(&loaded);
        Ok((reload, current))
    }

    /// Never ends; drop it to stop.
    pub(super) async fn follow(mut self) -> Infallible {
        let mut ticks = interval(self.source.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut managed = self.source.managed.clone();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = changed(managed.as_mut()) => {}
            }
            let source = Arc::clone(&self.source);
            // A file system can block; the worker threads have requests to answer.
            let Ok(files) = tokio::task::spawn_blocking(move || Files::read(&source)).await else {
                continue;
            };
            self.look(files);
        }
    }

    /// A pair that does not fit together may be half of a change: the old one stays, and a complaint is made
    /// only where the next look finds the same.
    fn look(&mut self, files: Result<Files, TlsError>) {
        let files = files.map_err(|error| error.to_string());
        if files == self.seen {
            self.complain();
            return;
        }
        let loaded = files.as_ref().map_err(Clone::clone).and_then(|files| {
            Loaded::check(files, &self.source).map_err(|error| error.to_string())
        });
        self.seen = files;
        match loaded {
            Ok(loaded) => {
                self.current.replace(&loaded);
                self.complaint = None;
                self.metrics.reloaded(ReloadResult::Ok);
                tracing::info!(certificate = %loaded, "serving new certificate");
                self.tell(&loaded);
            }
            Err(error) => self.complaint = Some(error),
        }
    }

    fn complain(&mut self) {
        if let Some(error) = self.complaint.take() {
            self.metrics.reloaded(ReloadResult::Failed);
            tracing::warn!(
                error,
                "the new certificate cannot be served; the old one stays until the files are right"
            );
        }
    }

    fn tell(&self, loaded: &Loaded) {
        if let Some(not_after) = loaded.not_after() {
            self.metrics.certificate_expires(not_after);
        }
        match loaded.not_valid_at(SystemTime::now()) {
            Some(reason) => tracing::warn!(reason, "clients will refuse this certificate"),
            None => self.readiness.met(CONDITION),
        }
    }
}

/// Completes when a certificate that is in no file was replaced.
async fn changed(managed: Option<&mut ManagedPair>) {
    if let Some(ManagedPair(pair)) = managed
        && pair.changed().await.is_ok()
    {
        return;
    }
    // There is none, or who keeps it is gone: what it kept last stays.
    std::future::pending::<()>().await;
}
