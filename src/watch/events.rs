//! Events about what was decided: written by one task, together where they are alike, and never a flood.
//!
//! Events are of `v1`, whose count and message may change after creation; those of `events.k8s.io/v1` keep their
//! message for ever (`ValidateEventUpdate` in Kubernetes).

mod series;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::server::Metrics;
use crate::server::announce::{Announce, Occurrence, Regarding};
use crate::server::metrics::EventResult;
use series::{Series, Written};

/// Occurrences that wait for their turn. More are dropped: what is refused that often is seen anyway.
const QUEUE: usize = 1024;

/// How often what has gathered is written.
const GATHER: Duration = Duration::from_secs(5);

/// How long one write may take.
const BOUND: Duration = Duration::from_secs(5);

/// Who reports, in every Event.
const REPORTER: &str = "wavegate";

/// Longest message of an Event that the API server takes.
const LONGEST_NOTE: usize = 1024;

/// Where occurrences are left.
#[derive(Clone)]
pub(super) struct Inbox {
    sender: mpsc::Sender<Occurrence>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Announce for Inbox {
    fn announce(&self, occurrence: Occurrence) {
        if self.sender.try_send(occurrence).is_err() {
            self.metrics.watch().event(EventResult::Dropped);
        }
    }
}

/// Writes Events until it is stopped.
pub(super) struct Events {
    client: Client,
    inbox: mpsc::Receiver<Occurrence>,
    metrics: Arc<Metrics>,
    /// `Some` once the process is about to end: how long what is left still gets.
    stop: watch::Receiver<Option<Duration>>,
    instance: String,
    series: Series,
    /// Whether the log has said why Events cannot be written.
    said: bool,
}

impl Events {
    /// The writer, and where to leave what it is to write.
    pub(super) fn new(
        client: Client,
        metrics: Arc<Metrics>,
        stop: watch::Receiver<Option<Duration>>,
    ) -> (Self, Inbox) {
        let (sender, inbox) = mpsc::channel(QUEUE);
        // A pod's host is named like the pod.
        let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| REPORTER.to_owned());
        let series = Series::default();
        let shared = Arc::clone(&metrics);
        let events = Self { client, inbox, metrics, stop, instance, series, said: false };
        (events, Inbox { sender, metrics: shared })
    }

    pub(super) async fn run(mut self) {
        let mut ticks = interval(GATHER);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.stop.clone();
        let grace = loop {
            let stopping =
                async { stop.wait_for(Option::is_some).await.ok().and_then(|grace| *grace) };
            tokio::select! {
                occurrence = self.inbox.recv() => match occurrence {
                    Some(occurrence) => self.take(occurrence).await,
                    // Nobody can leave anything any more.
                    None => break Duration::ZERO,
                },
                _ = ticks.tick() => self.write_due(Instant::now()).await,
                grace = stopping => break grace.unwrap_or_default(),
            }
        };
        let all = async {
            while let Ok(occurrence) = self.inbox.try_recv() {
                self.take(occurrence).await;
            }
            let end = Instant::now() + series::PAUSE;
            self.write_due(end).await;
        };
        // What is lost here was logged when it was decided.
        let _ = timeout(grace, all).await;
    }

    async fn take(&mut self, mut occurrence: Occurrence) {
        let note = &mut occurrence.note;
        note.truncate(note.floor_char_boundary(LONGEST_NOTE));
        let namespace = &mut occurrence.object.namespace;
        if namespace.is_empty() {
            // Events of what has no namespace are in this one, as the API server wants it.
            "default".clone_into(namespace);
        }
        match self.series.take(occurrence, Instant::now()) {
            series::Turn::Write(written) => self.write(written).await,
            series::Turn::Later => self.metrics.watch().event(EventResult::Gathered),
            series::Turn::Never => self.metrics.watch().event(EventResult::Dropped),
        }
    }

    async fn write_due(&mut self, now: Instant) {
        for written in self.series.due(now) {
            self.write(written).await;
        }
    }

    async fn write(&mut self, written: Written) {
        let outcome = match timeout(BOUND, self.send(&written)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("the API server does not answer".to_owned()),
        };
        match outcome {
            Ok(()) => {
                self.said = false;
                self.metrics.watch().event(EventResult::Written);
            }
            Err(error) => {
                self.series.forget(&written);
                self.metrics.watch().event(EventResult::Failed);
                let Regarding { namespace, name, .. } = &written.occurrence.object;
                if !std::mem::replace(&mut self.said, true) {
                    tracing::warn!(namespace, name, error, "an Event cannot be written");
                }
            }
        }
    }

    async fn send(&self, written: &Written) -> Result<(), Error> {
        let object = &written.occurrence.object;
        let events: Api<Event> = Api::namespaced(self.client.clone(), &object.namespace);
        if written.count > 1 {
            let newer = json!({
                "count": written.count,
                "lastTimestamp": Time(Timestamp::now()),
                "message": written.occurrence.note,
            });
            let patch = Patch::Merge(&newer);
            match events.patch(&written.name, &PatchParams::default(), &patch).await {
                // It has run out, or somebody has removed it.
                Err(Error::Api(status)) if status.code == 404 => {}
                other => return other.map(|_| ()),
            }
        }
        let event = self.event(written);
        events.create(&PostParams::default(), &event).await.map(|_| ())
    }

    fn event(&self, written: &Written) -> Event {
        let Occurrence { object, reason, note } = &written.occurrence;
        let now = Timestamp::now();
        let set = |text: &String| (!text.is_empty()).then(|| text.clone());
        Event {
            metadata: ObjectMeta {
                name: Some(written.name.clone()),
                namespace: Some(object.namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: set(&object.api_version),
                kind: set(&object.kind),
                namespace: set(&object.namespace),
                name: set(&object.name),
                uid: set(&object.uid),
                ..ObjectReference::default()
            },
            type_: Some("Warning".to_owned()),
            reason: Some(reason.name().to_owned()),
            action: Some("Admission".to_owned()),
            message: Some(note.clone()),
            count: Some(i32::try_from(written.count).unwrap_or(i32::MAX)),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(EventSource { component: Some(REPORTER.to_owned()), host: None }),
            reporting_component: Some(REPORTER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}
