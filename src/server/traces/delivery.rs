//! From the end of a span to the collector: a bounded queue before the SDK's batches, and what is told of both.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use crate::server::metrics::TraceMetrics;

/// How many ended spans may wait, those on their way included. Some kilobytes each.
const QUEUE: usize = 2048;

/// How many are sent together.
const BATCH: usize = 512;

/// What both ends of the queue know.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Spans that ended and are neither delivered nor given up.
    waiting: AtomicUsize,
    /// Whether it was told that spans get lost.
    failing: AtomicBool,
    /// Why the last request to the collector failed; the exporter keeps only that it did.
    reason: Mutex<Option<String>>,
    metrics: TraceMetrics,
}

impl Delivery {
    pub(super) const fn new(metrics: TraceMetrics) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            reason: Mutex::new(None),
            metrics,
        }
    }

    /// Takes a place in the queue, if there is one.
    fn enters(&self) -> bool {
        let more = |waiting| (waiting < QUEUE).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok() {
            return true;
        }
        self.metrics.queue_full();
        self.tell("the collector does not keep up");
        false
    }

    /// Remembers why a request to the collector failed.
    pub(super) fn failed_by(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Spans left the queue in this way.
    fn left(&self, spans: usize, result: &OTelSdkResult) {
        let waiting = self.waiting.fetch_sub(spans, Ordering::Relaxed).saturating_sub(spans);
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        match result {
            // A collector that is too slow succeeds too, and must not be told in turns with the failures.
            Ok(()) if waiting < QUEUE / 2 => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("traces are delivered again");
                }
            }
            Ok(()) => {}
            Err(error) => {
                self.metrics.undelivered(spans);
                self.tell(&reason.unwrap_or_else(|| error.to_string()));
            }
        }
    }

    fn tell(&self, reason: &str) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason, "traces get lost");
        }
    }

    /// The end: what still waits is given up.
    pub(super) fn ended(&self) {
        let spans = self.waiting.load(Ordering::Relaxed);
        if spans > 0 {
            self.metrics.undelivered(spans);
            tracing::warn!(spans, "spans were not delivered before the end");
        }
    }
}

/// Hands ended spans to the SDK's thread, as many as there are places. It never blocks.
///
/// The SDK drops too where its own queue is full, but keeps the number to itself. Its queue is as long as this one, and
/// what waits there waits here, so it is never full.
#[derive(Debug)]
pub(super) struct Queue {
    next: BatchSpanProcessor,
    delivery: Arc<Delivery>,
}

impl Queue {
    pub(super) fn new<E: SpanExporter + 'static>(exporter: E, delivery: Arc<Delivery>) -> Self {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .build();
        let told = Told { next: exporter, delivery: Arc::clone(&delivery) };
        let next = BatchSpanProcessor::builder(told).with_batch_config(config).build();
        Self { next, delivery }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.delivery.enters() {
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// An exporter whose successes and failures are counted and told.
#[derive(Debug)]
struct Told<E> {
    next: E,
    delivery: Arc<Delivery>,
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.next.export(batch).await;
        self.delivery.left(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::server::Metrics;

    fn dropped(metrics: &Metrics, reason: &str) -> u64 {
        let series = format!("wavegate_trace_spans_dropped_total{{reason=\"{reason}\"}} ");
        let text = metrics.encode().unwrap();
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
    }

    #[test]
    fn what_finds_no_place_is_counted_and_places_come_back() {
        let metrics = Metrics::new();
        let delivery = Delivery::new(metrics.traces().clone());
        assert!((0..QUEUE).all(|_| delivery.enters()));
        assert!(!delivery.enters());
        assert!(delivery.failing.load(Ordering::Relaxed));
        delivery.left(1, &Ok(()));
        assert!(delivery.failing.load(Ordering::Relaxed), "the collector is still behind");
        assert!(delivery.enters());
        delivery.left(QUEUE, &Err(OTelSdkError::AlreadyShutdown));
        assert_eq!(dropped(&metrics, "queue_full"), 1);
        assert_eq!(dropped(&metrics, "undelivered"), u64::try_from(QUEUE).unwrap());
        assert!(delivery.enters());
        delivery.left(1, &Ok(()));
        assert!(!delivery.failing.load(Ordering::Relaxed), "it works again");
    }

    #[test]
    fn what_waits_at_the_end_is_counted() {
        let metrics = Metrics::new();
        let delivery = Delivery::new(metrics.traces().clone());
        assert!(delivery.enters());
        delivery.ended();
        assert_eq!(dropped(&metrics, "undelivered"), 1);
    }
}
