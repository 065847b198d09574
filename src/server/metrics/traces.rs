//! What the delivery of traces counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

/// The metrics of traces. Those of a server without traces stay at zero.
#[derive(Clone, Debug)]
pub struct TraceMetrics {
    dropped: Family<DropLabels, Counter>,
    queue_full: Counter,
    undelivered: Counter,
}

impl Default for TraceMetrics {
    fn default() -> Self {
        let dropped = Family::<DropLabels, Counter>::default();
        let counter = |reason| dropped.get_or_create_owned(&DropLabels { reason });
        Self {
            queue_full: counter("queue_full"),
            undelivered: counter("undelivered"),
            dropped: dropped.clone(),
        }
    }
}

impl TraceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "trace_spans_dropped",
            "Spans that no collector has got, by reason",
            self.dropped.clone(),
        );
    }

    /// A span found no place in the queue.
    pub fn queue_full(&self) {
        self.queue_full.inc();
    }

    /// So many spans could not be delivered.
    pub fn undelivered(&self, spans: usize) {
        self.undelivered.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }
}
