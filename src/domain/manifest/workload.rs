//! Deployments, StatefulSets, DaemonSets, Rollouts, CronJobs and Services.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::{JobManifest, Metadata, PodTemplate, StringMap};
use crate::domain::text::{Text, null_as_default};

/// A Deployment, StatefulSet, DaemonSet or Argo Rollout.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct WorkloadManifest<'a> {
    /// Object metadata.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// Specification.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: WorkloadSpec<'a>,
}

/// `spec` of a workload.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct WorkloadSpec<'a> {
    /// How pods are replaced (Deployment, Rollout).
    #[serde(default, deserialize_with = "null_as_default")]
    pub strategy: Strategy<'a>,
    /// The pods. Absent on a Rollout that names its pods by `workloadRef`.
    #[serde(default)]
    pub template: Option<PodTemplate<'a>>,
}

/// `strategy` of a Deployment or Rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct Strategy<'a> {
    /// `RollingUpdate` (default) or `Recreate`, of a Deployment.
    #[serde(default, rename = "type")]
    pub kind: Option<Text<'a>>,
    /// Bounds of a Deployment's rolling update.
    #[serde(default)]
    pub rolling_update: Option<RollingUpdate<'a>>,
    /// Canary strategy of a Rollout.
    #[serde(default)]
    pub canary: Option<CanaryStrategy<'a>>,
}

/// `rollingUpdate` of a Deployment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct RollingUpdate<'a> {
    /// Default 25%.
    #[serde(default)]
    pub max_unavailable: Option<IntOrPercent<'a>>,
}

/// `canary` of a Rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct CanaryStrategy<'a> {
    /// Default 25%.
    #[serde(default)]
    pub max_unavailable: Option<IntOrPercent<'a>>,
}

/// A number of pods or a percentage of the replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntOrPercent<'a> {
    /// Absolute number.
    Int(i64),
    /// As written, such as `25%`.
    Text(Text<'a>),
}

impl IntOrPercent<'_> {
    /// Whether this is nothing of any number of replicas.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Int(number) => *number == 0,
            Self::Text(text) => text.trim_end_matches('%').parse::<i64>() == Ok(0),
        }
    }
}

impl fmt::Display for IntOrPercent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for IntOrPercent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntOrPercentVisitor;

        impl<'de> Visitor<'de> for IntOrPercentVisitor {
            type Value = IntOrPercent<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer or a percentage")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(IntOrPercent::Int(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number).map(IntOrPercent::Int).map_err(E::custom)
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(IntOrPercent::Text(Text::from(text)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                // Only text with JSON escapes arrives here, which no percentage has.
                Err(E::custom(format_args!("{text:?} is neither an integer nor a percentage")))
            }
        }

        deserializer.deserialize_any(IntOrPercentVisitor)
    }
}

/// A `batch/v1` CronJob: its Jobs are those of its template.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct CronJobManifest<'a> {
    /// Object metadata.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// Specification.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: CronJobSpec<'a>,
}

/// `spec` of a CronJob.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct CronJobSpec<'a> {
    /// The Job that is made at each time of the schedule.
    #[serde(default)]
    pub job_template: Option<JobManifest<'a>>,
}

/// A Service, read offline to tell which containers take traffic.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct ServiceManifest<'a> {
    /// Object metadata.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata<'a>,
    /// Specification.
    #[serde(default, deserialize_with = "null_as_default")]
    pub spec: ServiceSpec<'a>,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct ServiceSpec<'a> {
    /// `None` makes the Service headless.
    #[serde(default, rename = "clusterIP")]
    pub cluster_ip: Option<Text<'a>>,
    /// Labels of the pods that it selects.
    #[serde(default, deserialize_with = "null_as_default")]
    pub selector: StringMap<'a>,
    /// Ports.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ports: Vec<ServicePort<'a>>,
}

/// One port of a Service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
pub struct ServicePort<'a> {
    /// Its own number, also the target's where that is absent.
    #[serde(default, deserialize_with = "null_as_default")]
    pub port: i64,
    /// Number or name of the pods' port.
    #[serde(default)]
    pub target_port: Option<IntOrPercent<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int_or_percent_knows_zero() {
        for (json, zero) in [
            ("0", true),
            (r#""0%""#, true),
            ("1", false),
            (r#""25%""#, false),
            (r#""http""#, false),
        ] {
            let value: IntOrPercent<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(value.is_zero(), zero, "{json}");
        }
        assert!(serde_json::from_str::<IntOrPercent<'_>>("1.5").is_err());
        assert!(serde_json::from_str::<IntOrPercent<'_>>("{}").is_err());
    }
}
