//! A watch that goes on for ever: events into what is known, failures into metrics, the log and readiness.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client};
use tokio::sync::{mpsc, watch};

use super::backoff::Backoff;
use super::feed::{AttemptKey, Feed, Source, Told};
use super::known::Known;
use super::policy::Followed;
use super::stored::Stored;
use super::trouble::{self, Fare};
use crate::domain::keys;
use crate::server::metrics::Watched;
use crate::server::webhook::SharedPolicies;
use crate::server::{Metrics, Readiness};

/// Objects in one page of a listing: what a listing takes of memory beside what is kept.
const PAGE: u32 = 100;

/// The API server ends a watch after this time and it is begun anew; a connection that has silently died is
/// noticed a few seconds later.
pub(super) const WATCH_SECONDS: u32 = 60;

/// A CustomResourceDefinition that was missing, or an API server that was away, is noticed within this time.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// What all watches share.
#[derive(Clone)]
pub(super) struct Follow {
    pub(super) client: Client,
    pub(super) known: Known,
    pub(super) policies: SharedPolicies,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    /// Attempts that something was told about.
    pub(super) touched: mpsc::UnboundedSender<AttemptKey>,
    /// Which listings are complete.
    pub(super) listings: watch::Sender<Listings>,
    pub(super) followed: watch::Receiver<Followed>,
}

/// Which listings were complete once. Only then does the absence of a Job mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listings {
    jobs: bool,
    records: bool,
    overrides: bool,
    /// Grows with each listing.
    pub(super) count: u64,
}

impl Listings {
    /// Whether all Jobs and records were listed: the recorder and the pruner ask, whom no override concerns.
    pub(super) const fn complete(self) -> bool {
        self.jobs && self.records
    }

    const fn has(self, source: Source) -> bool {
        match source {
            Source::Jobs => self.jobs,
            Source::Records => self.records,
            Source::Overrides => self.overrides,
        }
    }

    const fn listed(&mut self, source: Source) {
        match source {
            Source::Jobs => self.jobs = true,
            Source::Records => self.records = true,
            Source::Overrides => self.overrides = true,
        }
        self.count = self.count.wrapping_add(1);
    }
}

impl Source {
    const fn watched(self) -> Watched {
        match self {
            Self::Jobs => Watched::Jobs,
            Self::Records => Watched::Records,
            Self::Overrides => Watched::Overrides,
        }
    }

    fn config(self) -> Config {
        let config = Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
        match self {
            Self::Jobs => config.labels(&format!("{}=true", keys::STAMP_TRACKED)),
            Self::Records | Self::Overrides => config,
        }
    }
}

impl Follow {
    /// Watches until it is dropped. Replicas become ready when the first listing is complete; a watch that is lost
    /// later is lost by all replicas alike, and they serve on with what they know.
    ///
    /// Which Jobs are migrations is for the policy to say: they are listed when that was read, and anew where it
    /// changed.
    pub(super) async fn run(mut self, source: Source) {
        // The sender ends only with the process.
        if source == Source::Jobs && self.followed.wait_for(|followed| followed.read).await.is_err()
        {
            return;
        }
        let watched = |client: &Client| {
            let api = Api::<Stored>::all_with(client.clone(), &source.kind().resource());
            watcher(api, source.config())
        };
        let mut detections = self.followed.borrow().detections;
        let mut events = pin!(watched(&self.client));
        let mut feed = Feed::new(source, Arc::clone(&self.policies));
        let mut backoff = Backoff::up_to(LONGEST_DELAY);
        let mut fare = Fare::of(source.name());
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                Ok(()) = self.followed.changed(), if source == Source::Jobs => {
                    let now = self.followed.borrow_and_update().detections;
                    if std::mem::replace(&mut detections, now) != now {
                        events.set(watched(&self.client));
                    }
                    continue;
                }
            };
            let Some(event) = event else { return };
            match event {
                Ok(event) => {
                    // `Init` says that a listing will be asked for, the others that the API server answered.
                    if !matches!(event, Event::Init) {
                        backoff.reset();
                        self.metrics.watch().synced(source.watched(), Timestamp::now().as_second());
                        fare.works();
                    }
                    self.apply(&mut feed, source, event);
                }
                Err(error) => {
                    self.report(source, &error, &mut fare);
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    fn apply(&self, feed: &mut Feed, source: Source, event: Event<Stored>) {
        let (told, attempts) = self.known.change_all(|state| {
            let told = feed.apply(event, state);
            (told, state.attempts().len())
        });
        let metrics = self.metrics.watch();
        metrics.attempts(attempts);
        match told {
            Told::Nothing => {}
            // The recorder ends only with the process.
            Told::Attempt(key) => drop(self.touched.send(key)),
            Told::Listed => self.listed(source),
            Told::Undecodable { object, error, first } => {
                metrics.undecodable(source.watched());
                if first {
                    tracing::warn!(watch = source.name(), object, error, "cannot be read");
                }
            }
        }
    }

    fn listed(&self, source: Source) {
        let first = !self.listings.borrow().has(source);
        self.listings.send_modify(|listings| listings.listed(source));
        if first {
            tracing::info!(watch = source.name(), "listed");
            self.readiness.met(source.name());
        }
    }

    fn report(&self, source: Source, error: &watcher::Error, fare: &mut Fare) {
        self.metrics.watch().lost(source.watched());
        let reason = trouble::watch_reason(source.kind(), error);
        if source == Source::Overrides && trouble::is_missing(error) {
            // Where nobody can create one there is none to wait for, and an older chart knows none.
            self.readiness.met(source.name());
        } else if !self.listings.borrow().has(source) {
            self.readiness.wait_for(source.name(), reason.clone());
        }
        fare.fails(reason, Some(error));
    }
}
