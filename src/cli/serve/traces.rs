//! Arguments about traces.

use clap::Args;

use crate::server::Metrics;
use crate::server::traces::{Collector, Traces, TracesError};

/// Texts until traces are started: an empty one is not given, by the specification of OpenTelemetry of variables; and what
/// refuses an argument quotes it, with a password that may be in it.
#[derive(Debug, Args)]
pub(super) struct Tracing {
    /// Collector that gets traces, as the URL of its OTLP over HTTP, such as `http://collector:4318`. Without one nothing
    /// is traced.
    #[arg(long = "otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    #[arg(hide_env_values = true)]
    endpoint: Option<String>,
    /// PEM file with the CAs of the collector's certificate; without it the system's are trusted.
    #[arg(
        id = "otlp_ca",
        long = "otlp-ca",
        env = "OTEL_EXPORTER_OTLP_CERTIFICATE",
        value_name = "FILE"
    )]
    ca: Option<String>,
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
        let Some(url) = given(self.endpoint.as_ref()) else {
            return Ok(None);
        };
        let collector = Collector {
            url: url.parse()?,
            ca: given(self.ca.as_ref()).map(Into::into),
            sample_ratio: self.sample_ratio,
        };
        Traces::start(&collector, metrics).map(Some)
    }
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ if text.is_empty() => Ok(0.0),
        _ => Err(format!("{text:?} is no number from 0 to 1, such as 0.1 for one request in ten")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share() {
        let shares = [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001), ("", 0.0)];
        for (text, wanted) in shares {
            assert!((ratio(text).unwrap() - wanted).abs() < f64::EPSILON, "{text}");
        }
        for text in ["-0.1", "1.01", "10%", "NaN", "inf"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
