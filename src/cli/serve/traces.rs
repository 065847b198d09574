//! Arguments about traces.

use std::path::PathBuf;

use clap::Args;

use crate::server::Metrics;
use crate::server::traces::{Collector, CollectorUrl, Traces, TracesError, WrongUrl};

#[derive(Debug, Args)]
pub(super) struct Tracing {
    /// Collector that gets traces, as the URL of its OTLP over HTTP, such as `http://collector:4318`. Without one nothing
    /// is traced.
    #[arg(
        long = "otlp-endpoint",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        value_parser = url
    )]
    endpoint: Option<Asked>,
    /// PEM file with the CAs of the collector's certificate; without it the system's are trusted.
    #[arg(
        id = "otlp_ca",
        long = "otlp-ca",
        env = "OTEL_EXPORTER_OTLP_CERTIFICATE",
        value_name = "FILE"
    )]
    ca: Option<PathBuf>,
    /// Share, from 0 to 1, of the requests to trace that the API server does not trace. Where it does, it has decided.
    #[arg(
        long = "otlp-sample-ratio",
        env = "WAVEGATE_OTLP_SAMPLE_RATIO",
        value_name = "RATIO",
        value_parser = ratio,
        default_value = "0"
    )]
    sample_ratio: f64,
}

impl Tracing {
    /// The traces that are asked for. Must be called in the runtime.
    pub(super) fn start(&self, metrics: &Metrics) -> Result<Option<Traces>, TracesError> {
        let Some(Asked(Some(url))) = &self.endpoint else {
            return Ok(None);
        };
        let collector =
            Collector { url: url.clone(), ca: self.ca.clone(), sample_ratio: self.sample_ratio };
        Traces::start(&collector, metrics).map(Some)
    }
}

/// A collector, or none: by the specification of OpenTelemetry an empty variable is one that is not set.
#[derive(Clone, Debug)]
struct Asked(Option<CollectorUrl>);

fn url(text: &str) -> Result<Asked, String> {
    if text.is_empty() {
        return Ok(Asked(None));
    }
    text.parse().map(|url| Asked(Some(url))).map_err(|wrong: WrongUrl| wrong.to_string())
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(format!("{text:?} is no number from 0 to 1, such as 0.1 for one request in ten")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share() {
        for (text, wanted) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)] {
            assert!((ratio(text).unwrap() - wanted).abs() < f64::EPSILON, "{text}");
        }
        for text in ["", "-0.1", "1.01", "10%", "NaN", "inf"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_url_asks_for_no_traces() {
        assert!(url("").unwrap().0.is_none());
        assert!(url("http://collector:4318").unwrap().0.is_some());
        assert!(url("collector").is_err());
    }
}
