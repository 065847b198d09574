//! What wavegate may fill in where the author of a migration Job left it out.
//!
//! The API server fills its defaults in before admission, so a default that is written and one that is left out are the
//! same here.

use super::job::{DEFAULT_BACKOFF_LIMIT, Job};

/// Annotations of a pod that keep node autoscalers from evicting it: Karpenter's and the cluster autoscaler's.
pub const DO_NOT_EVICT: [(&str, &str); 2] = [
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
];

/// Value of `podReplacementPolicy` with which a pod is replaced only once it has ended.
pub const REPLACE_FAILED: &str = "Failed";

/// Kubernetes' default for an absent `podReplacementPolicy`.
const REPLACE_EARLY: &str = "TerminatingOrFailed";

/// One thing that may be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// `backoffLimit` 0.
    NoRetries,
    /// A deadline of the Job.
    Deadline,
    /// `podReplacementPolicy: Failed`, so that no second pod runs while the first one ends.
    ReplaceFailedOnly,
    /// Annotations of the pod template, see [`DO_NOT_EVICT`].
    DoNotEvict,
}

impl Fix {
    /// Every fix, in the order in which they are told.
    pub const ALL: [Self; 4] =
        [Self::NoRetries, Self::Deadline, Self::ReplaceFailedOnly, Self::DoNotEvict];

    /// The policy's field below `fixes` that asks for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRetries => "noRetries",
            Self::Deadline => "deadlineSeconds",
            Self::ReplaceFailedOnly => "replaceFailedOnly",
            Self::DoNotEvict => "doNotEvict",
        }
    }

    /// Whether the author left out what this fills in.
    pub fn is_missing(self, job: &Job<'_>) -> bool {
        let spec = &job.manifest.spec;
        match self {
            // With a limit for each index the default is another one.
            Self::NoRetries => {
                spec.completion_mode.as_deref() != Some("Indexed")
                    && spec.backoff_limit.unwrap_or(DEFAULT_BACKOFF_LIMIT) == DEFAULT_BACKOFF_LIMIT
            }
            // One of the pod alone is the author's, in the wrong place.
            Self::Deadline => {
                spec.active_deadline_seconds.is_none()
                    && job.pod().active_deadline_seconds.is_none()
            }
            Self::ReplaceFailedOnly => {
                spec.pod_replacement_policy.as_deref().is_none_or(|policy| policy == REPLACE_EARLY)
            }
            // Who wrote either has thought about it.
            Self::DoNotEvict => {
                let annotations = &spec.template.metadata.annotations;
                DO_NOT_EVICT.iter().all(|(key, _)| annotations.get(key).is_none())
            }
        }
    }

    /// Whether the Job is as this leaves it, whoever wrote it so.
    pub fn is_done(self, job: &Job<'_>) -> bool {
        let spec = &job.manifest.spec;
        match self {
            Self::NoRetries => spec.backoff_limit == Some(0),
            Self::Deadline => spec.active_deadline_seconds.is_some(),
            Self::ReplaceFailedOnly => {
                spec.pod_replacement_policy.as_deref() == Some(REPLACE_FAILED)
            }
            Self::DoNotEvict => {
                let annotations = &spec.template.metadata.annotations;
                DO_NOT_EVICT.iter().all(|(key, value)| annotations.get(key) == Some(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_never_missing() {
        let written = |spec: &str| -> Vec<&str> {
            let job = format!(r#"{{"spec":{spec}}}"#);
            let job = Job::read(serde_json::from_str(&job).unwrap());
            let missing = Fix::ALL.into_iter().filter(|fix| fix.is_missing(&job));
            missing.map(Fix::name).collect()
        };
        let annotated = |annotation: &str| {
            written(&format!(r#"{{"template":{{"metadata":{{"annotations":{{{annotation}}}}}}}}}"#))
        };
        let all: Vec<_> = Fix::ALL.into_iter().map(Fix::name).collect();
        let but = |left: &str| -> Vec<&str> {
            all.iter().copied().filter(|name| *name != left).collect()
        };
        let defaults = r#"{"backoffLimit":6,"activeDeadlineSeconds":null,"podReplacementPolicy":"TerminatingOrFailed"}"#;
        assert_eq!((written("{}"), written(defaults)), (all.clone(), all.clone()));
        for limit in [r#""backoffLimit":0"#, r#""backoffLimit":3"#, r#""completionMode":"Indexed""#]
        {
            assert_eq!(written(&format!("{{{limit}}}")), but("noRetries"), "{limit}");
        }
        for spec in [
            r#"{"activeDeadlineSeconds":5}"#,
            r#"{"template":{"spec":{"activeDeadlineSeconds":60}}}"#,
        ] {
            assert_eq!(written(spec), but("deadlineSeconds"), "{spec}");
        }
        assert_eq!(written(r#"{"podReplacementPolicy":"Failed"}"#), but("replaceFailedOnly"));
        for annotation in [
            r#""karpenter.sh/do-not-disrupt":"false""#,
            r#""cluster-autoscaler.kubernetes.io/safe-to-evict":"true""#,
        ] {
            assert_eq!(annotated(annotation), but("doNotEvict"), "{annotation}");
        }
        assert_eq!(annotated(r#""other":"x""#), all);
    }
}
