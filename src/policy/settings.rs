//! What a policy may change about the rules.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::SignedDuration;

use super::rule::{Code, Rule, Severity};
use crate::domain::image::ImageRef;

/// When the mutating webhook adds a waiter to migration Jobs that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inject {
    /// In enforcing namespaces.
    Enforce,
    /// Wherever the webhook is called.
    Always,
    /// Never.
    Off,
}

/// Who orders migrations before rollouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Argo CD's hooks and waves, with Helm's hooks as Argo CD reads them.
    ArgoCd,
    /// A pipeline outside the cluster: rules about hooks and waves are silent.
    External,
}

/// What a gate rule does where the cluster's state cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknown {
    /// It refuses, and says that the author is not to blame.
    Deny,
    /// It warns.
    Warn,
}

/// The injected `wait-for-db` container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Image with a shell and `nc`; set by the operator, never by a manifest.
    pub image: String,
    /// Longest wait; halved deadlines bound it further.
    pub timeout: Duration,
    /// CPU request and limit.
    pub cpu: String,
    /// Memory request and limit.
    pub memory: String,
    /// Numeric user, set only where the pod does not choose one, since the image's own is root. `None` leaves it
    /// to the cluster, as OpenShift wants it.
    pub user: Option<u32>,
}

impl Default for Waiter {
    fn default() -> Self {
        Self {
            image: "busybox:1.36".to_owned(),
            timeout: Duration::from_mins(2),
            cpu: "50m".to_owned(),
            memory: "32Mi".to_owned(),
            user: Some(65532),
        }
    }
}

/// The settings that rules and mutations read. The default is what serves when nobody wrote a policy.
#[derive(Clone, Debug)]
pub struct Policy {
    severities: BTreeMap<Code, Severity>,
    /// Accepted `activeDeadlineSeconds`.
    pub deadline_seconds: RangeInclusive<i64>,
    /// Tags that move, besides an absent one.
    pub floating_tags: Vec<String>,
    /// Shortest `ttlSecondsAfterFinished` that leaves time to read the evidence.
    pub minimum_ttl_seconds: i64,
    /// Waves that a `PreSync` migration may carry.
    pub highest_pre_sync_wave: i64,
    /// Waves that a `PostSync` verification may carry.
    pub lowest_post_sync_wave: i64,
    /// Who orders migrations before rollouts.
    pub ordering: Ordering,
    /// Whether workload rules deny for workloads that are paired by inference only.
    pub inferred_pairs_deny: bool,
    /// What the gate does where what has happened cannot be told.
    pub on_unknown: OnUnknown,
    /// Whether the first workload of an app is refused while no migration of the app has run.
    pub first_install_denies: bool,
    /// How long an app is known to migrate after its last attempt.
    pub known_for: SignedDuration,
    /// Failures of one migration for one release after which a further attempt is warned of.
    pub failures_before_warning: usize,
    /// Namespace of the environment in which a release must have been proven before.
    pub upstream: Option<String>,
    /// Field managers whose dry runs the gate may refuse. Argo CD's never is: its diff asks before it migrates.
    pub denied_dry_runs: Vec<String>,
    /// When to add a waiter.
    pub inject: Inject,
    /// The waiter to add.
    pub waiter: Waiter,
    /// Address under which the rules' pages are served, with a slash at its end.
    pub docs: String,
}

impl Default for Policy {
    fn default() -> Self {
        let floating = ["latest", "main", "master", "dev", "stable", "edge", "nightly"];
        Self {
            severities: BTreeMap::new(),
            deadline_seconds: 30..=86_400,
            floating_tags: floating.map(str::to_owned).to_vec(),
            minimum_ttl_seconds: 600,
            highest_pre_sync_wave: 0,
            lowest_post_sync_wave: 0,
            ordering: Ordering::ArgoCd,
            inferred_pairs_deny: false,
            on_unknown: OnUnknown::Deny,
            first_install_denies: false,
            known_for: SignedDuration::from_hours(180 * 24),
            failures_before_warning: 2,
            upstream: None,
            denied_dry_runs: Vec::new(),
            inject: Inject::Enforce,
            waiter: Waiter::default(),
            docs: "https://wavegate.dev/rules/".to_owned(),
        }
    }
}

impl Policy {
    /// The severity in force for a rule.
    pub fn severity(&self, rule: &Rule) -> Severity {
        self.severities.get(rule.code).copied().unwrap_or(rule.severity)
    }

    /// Changes a rule's severity.
    pub fn set_severity(&mut self, code: Code, severity: Severity) {
        self.severities.insert(code, severity);
    }

    /// Whether an image's tag moves. A digest never does.
    pub fn is_floating(&self, image: &ImageRef) -> bool {
        image.digest().is_none()
            && image
                .tag()
                .is_none_or(|tag| self.floating_tags.iter().any(|floating| floating == tag))
    }
}
