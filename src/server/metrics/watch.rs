//! What the watchers and the recorder count.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Jobs that carry the tracking stamp.
    Jobs,
    /// Records of attempts.
    Records,
    /// What persons say against the gate.
    Overrides,
}

/// How a write of a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordWrite {
    /// A record was created.
    Created,
    /// A record was moved forward.
    Updated,
    /// Another replica had written as much or more.
    Known,
    /// It failed and is tried again.
    Failed,
    /// It can never succeed, as in a namespace that is being deleted.
    Abandoned,
    /// A record was pruned.
    Pruned,
}

/// What became of something that is worth an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventResult {
    /// An Event was created or brought up to date.
    Written,
    /// It adds to an Event and is written with others.
    Gathered,
    /// It was one too many.
    Dropped,
    /// Its Event could not be written.
    Failed,
}

impl EventResult {
    const ALL: [Self; 4] = [Self::Written, Self::Gathered, Self::Dropped, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Gathered => "gathered",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// How a namespace is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamespaceMode {
    /// Findings deny.
    Enforce,
    /// Findings warn.
    Warn,
    /// Nobody is asked.
    Off,
    /// Without a label.
    Unlabelled,
    /// With a mode that does not exist.
    Unknown,
}

impl NamespaceMode {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Enforce, Self::Warn, Self::Off, Self::Unlabelled, Self::Unknown];

    /// What a namespace's label says.
    pub fn of(label: Option<&str>) -> Self {
        match label {
            Some("enforce") => Self::Enforce,
            Some("warn") => Self::Warn,
            Some("off") => Self::Off,
            Some(_) => Self::Unknown,
            None => Self::Unlabelled,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Off => "off",
            Self::Unlabelled => "unlabelled",
            Self::Unknown => "unknown",
        }
    }
}

impl Watched {
    const ALL: [Self; 3] = [Self::Jobs, Self::Records, Self::Overrides];

    const fn label(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Records => "records",
            Self::Overrides => "overrides",
        }
    }
}

impl RecordWrite {
    const ALL: [Self; 6] =
        [Self::Created, Self::Updated, Self::Known, Self::Failed, Self::Abandoned, Self::Pruned];

    const fn label(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Known => "known",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Pruned => "pruned",
        }
    }
}

macro_rules! label_value {
    ($type:ty) => {
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&self.label(), encoder)
            }
        }
    };
}

label_value!(Watched);
label_value!(RecordWrite);
label_value!(EventResult);
label_value!(NamespaceMode);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    resource: Watched,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    result: RecordWrite,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabels {
    mode: NamespaceMode,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    result: EventResult,
}

/// The metrics of the watchers and the recorder. Those of a server without a cluster stay at zero.
#[derive(Debug, Default)]
pub struct WatchMetrics {
    connected: Family<WatchLabels, Gauge>,
    last_sync: Family<WatchLabels, Gauge>,
    errors: Family<WatchLabels, Counter>,
    undecodable: Family<WatchLabels, Counter>,
    attempts: Gauge,
    writes: Family<WriteLabels, Counter>,
    pending: Gauge,
    events: Family<EventLabels, Counter>,
    namespaces: Family<NamespaceLabels, Gauge>,
}

impl WatchMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        for resource in Watched::ALL {
            let labels = WatchLabels { resource };
            drop(self.connected.get_or_create(&labels));
            drop(self.last_sync.get_or_create(&labels));
            drop(self.errors.get_or_create(&labels));
            drop(self.undecodable.get_or_create(&labels));
        }
        for result in RecordWrite::ALL {
            drop(self.writes.get_or_create(&WriteLabels { result }));
        }
        for result in EventResult::ALL {
            drop(self.events.get_or_create(&EventLabels { result }));
        }
        registry.register(
            "events",
            "Occurrences that are worth an Event, by what became of them",
            self.events.clone(),
        );
        registry.register(
            "namespaces",
            "Namespaces by the label wavegate.dev/mode, counted once a minute",
            self.namespaces.clone(),
        );
        registry.register(
            "watch_connected",
            "Whether the watch works: 0 until the first listing and after an error",
            self.connected.clone(),
        );
        registry.register_with_unit(
            "watch_last_sync_timestamp",
            "When the watch last brought a listing or a change, in Unix time",
            Unit::Seconds,
            self.last_sync.clone(),
        );
        registry.register("watch_errors", "Failures of the watch", self.errors.clone());
        registry.register(
            "watch_undecodable",
            "Objects that the watch brought and that could not be read",
            self.undecodable.clone(),
        );
        registry.register("attempts", "Attempts at migrations in view", self.attempts.clone());
        registry.register("record_writes", "Writes of records, by result", self.writes.clone());
        registry.register(
            "record_writes_pending",
            "Attempts whose record is being written, or waits to be",
            self.pending.clone(),
        );
    }

    /// The watch brought a listing or a change at `now`, in Unix seconds.
    pub fn synced(&self, resource: Watched, now: i64) {
        self.connected.get_or_create(&WatchLabels { resource }).set(1);
        self.last_sync.get_or_create(&WatchLabels { resource }).set(now);
    }

    /// The watch failed.
    pub fn lost(&self, resource: Watched) {
        self.connected.get_or_create(&WatchLabels { resource }).set(0);
        self.errors.get_or_create(&WatchLabels { resource }).inc();
    }

    /// The watch brought an object that cannot be read.
    pub fn undecodable(&self, resource: Watched) {
        self.undecodable.get_or_create(&WatchLabels { resource }).inc();
    }

    /// How many attempts are in view.
    pub fn attempts(&self, count: usize) {
        self.attempts.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A write of a record ended.
    pub fn wrote(&self, result: RecordWrite) {
        self.writes.get_or_create(&WriteLabels { result }).inc();
    }

    /// What became of something that is worth an Event.
    pub fn event(&self, result: EventResult) {
        self.events.get_or_create(&EventLabels { result }).inc();
    }

    /// How many namespaces have which mode.
    pub fn namespaces(&self, counts: &[(NamespaceMode, i64)]) {
        for &(mode, count) in counts {
            self.namespaces.get_or_create(&NamespaceLabels { mode }).set(count);
        }
    }

    /// How many attempts wait for their record to be written.
    pub fn pending(&self, count: usize) {
        self.pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn a_watch_is_seen_to_work_and_to_fail() {
        let metrics = WatchMetrics::default();
        let mut registry = Registry::with_prefix("wavegate");
        metrics.register(&mut registry);
        metrics.synced(Watched::Jobs, 1_800_000_000);
        metrics.lost(Watched::Records);
        metrics.wrote(RecordWrite::Created);
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("a String takes any text");
        for line in [
            r#"wavegate_watch_connected{resource="jobs"} 1"#,
            r#"wavegate_watch_connected{resource="records"} 0"#,
            r#"wavegate_watch_last_sync_timestamp_seconds{resource="jobs"} 1800000000"#,
            r#"wavegate_watch_errors_total{resource="records"} 1"#,
            r#"wavegate_watch_undecodable_total{resource="jobs"} 0"#,
            r#"wavegate_record_writes_total{result="created"} 1"#,
            r#"wavegate_record_writes_total{result="pruned"} 0"#,
            "wavegate_record_writes_pending 0",
        ] {
            assert!(out.lines().any(|have| have == line), "no line {line:?} in\n{out}");
        }
    }
}
