//! What a policy may change about the rules.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::SignedDuration;

use super::exemption::Exemption;
use super::rule::{Code, Rule, Severity};
use crate::cluster::Attempt;
use crate::cluster::retention::Retention;
use crate::domain::detection::Detection;
use crate::domain::fix::Fix;
use crate::domain::glob::Glob;
use crate::domain::image::ImageRef;
use crate::domain::names::ImageNames;

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
    /// Helm alone: its hooks count, and annotations of Argo CD's say nothing.
    Helm,
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

/// What the injected `wait-for-db` container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaiterMode {
    /// wavegate's own `wait-for-db`, which tells a database that is ready from a port that is open.
    Native,
    /// A loop around `nc` in an image with a shell.
    Busybox,
}

/// The injected `wait-for-db` container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// What is wanted; see [`Self::form`] for what is done.
    pub mode: WaiterMode,
    /// wavegate's own image; set by the operator, never by a manifest. `None` where nobody named it: such an image
    /// cannot be pulled, so the busybox form serves instead.
    pub image: Option<String>,
    /// Image of the busybox form, with a shell and `nc`; set by the operator, never by a manifest.
    pub busybox_image: String,
    /// Numeric user of the busybox form, set only where the pod does not choose one, since the image's own is root.
    /// `None` leaves it to the cluster, as OpenShift wants it.
    pub busybox_user: Option<u32>,
    /// Longest wait; halved deadlines bound it further.
    pub timeout: Duration,
    /// CPU request and limit.
    pub cpu: String,
    /// Memory request and limit.
    pub memory: String,
    /// The database of migrations that name none in `wavegate.dev/database`: `host:port` or a URL without credentials.
    pub database: Option<String>,
}

/// The form of the injected container that a policy comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaiterForm<'a> {
    /// wavegate's own image.
    Native {
        /// The image.
        image: &'a str,
    },
    /// The loop around `nc`.
    Busybox {
        /// The image.
        image: &'a str,
        /// The user where the pod chooses none.
        user: Option<u32>,
    },
}

impl Waiter {
    /// What is injected: the busybox form where it is wanted or where wavegate's own image is not known.
    pub fn form(&self) -> WaiterForm<'_> {
        match (self.mode, &self.image) {
            (WaiterMode::Native, Some(image)) => WaiterForm::Native { image },
            _ => WaiterForm::Busybox { image: &self.busybox_image, user: self.busybox_user },
        }
    }
}

impl Default for Waiter {
    fn default() -> Self {
        Self {
            mode: WaiterMode::Native,
            image: None,
            busybox_image: "busybox:1.36".to_owned(),
            busybox_user: Some(65532),
            timeout: Duration::from_mins(1),
            cpu: "20m".to_owned(),
            memory: "32Mi".to_owned(),
            database: None,
        }
    }
}

/// What is filled in where the author of a migration left it out; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixes {
    /// `backoffLimit` 0 instead of Kubernetes' default.
    pub no_retries: bool,
    /// `activeDeadlineSeconds`, in seconds.
    pub deadline_seconds: Option<i64>,
    /// `podReplacementPolicy: Failed`.
    pub replace_failed_only: bool,
    /// Annotations that keep autoscalers away.
    pub do_not_evict: bool,
}

impl Fixes {
    /// Whether one is asked for.
    pub const fn wants(&self, fix: Fix) -> bool {
        match fix {
            Fix::NoRetries => self.no_retries,
            Fix::Deadline => self.deadline_seconds.is_some(),
            Fix::ReplaceFailedOnly => self.replace_failed_only,
            Fix::DoNotEvict => self.do_not_evict,
        }
    }
}

/// The settings that rules and mutations read. The default is what serves when nobody wrote a policy.
#[derive(Clone, Debug)]
pub struct Policy {
    severities: BTreeMap<Code, Severity>,
    /// Accepted `activeDeadlineSeconds`.
    pub deadline_seconds: RangeInclusive<i64>,
    /// Which tags move, and which registries hold copies.
    pub names: ImageNames,
    /// What is added to how migrations are recognised.
    pub detection: Detection,
    /// Names of workloads that may only run once, and so have no rolling update.
    pub singletons: Vec<Glob>,
    /// Names of workloads that have no readiness probe by design.
    pub without_probes: Vec<Glob>,
    /// Users whose Jobs count as evidence; all where none is listed.
    pub creators: Vec<Glob>,
    /// How many records are kept of each migration.
    pub retention: Retention,
    /// Longest time for which a person may let a release through.
    pub longest_bypass: SignedDuration,
    /// Findings that do not deny for a while, in the namespace that this policy is for.
    pub exemptions: Vec<Exemption>,
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
    /// What else to fill in.
    pub fixes: Fixes,
    /// Address under which the rules' pages are served, with a slash at its end.
    pub docs: String,
}

impl Default for Policy {
    fn default() -> Self {
        let floating = ["latest", "main", "master", "dev", "stable", "edge", "nightly"];
        Self {
            severities: BTreeMap::new(),
            deadline_seconds: 30..=86_400,
            names: ImageNames {
                floating: floating.iter().filter_map(|tag| Glob::parse(tag).ok()).collect(),
                aliases: Vec::new(),
            },
            detection: Detection::default(),
            singletons: Vec::new(),
            without_probes: Vec::new(),
            creators: Vec::new(),
            retention: Retention::default(),
            longest_bypass: SignedDuration::from_hours(24),
            exemptions: Vec::new(),
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
            fixes: Fixes::default(),
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

    /// Address of a rule's page.
    pub fn page_of(&self, code: Code) -> String {
        format!("{}{code}", self.docs)
    }

    /// Whether an image's tag moves. A digest never does.
    pub fn is_floating(&self, image: &ImageRef) -> bool {
        self.names.is_floating(image)
    }

    /// Whether an explicit wave means anything that it could contradict.
    pub fn reads_waves(&self) -> bool {
        self.ordering != Ordering::Helm
    }

    /// Whether a workload of this name may only run once.
    pub fn is_singleton(&self, name: &str) -> bool {
        self.singletons.iter().any(|glob| glob.matches(name))
    }

    /// Whether a workload of this name has no readiness probe by design.
    pub fn is_without_probes(&self, name: &str) -> bool {
        self.without_probes.iter().any(|glob| glob.matches(name))
    }

    /// Whether an attempt is of somebody whose Jobs count as evidence. One whose creator is not known is not, where
    /// creators are listed.
    pub fn trusts(&self, attempt: &Attempt) -> bool {
        let by = |creator: &str| self.creators.iter().any(|glob| glob.matches(creator));
        self.creators.is_empty() || attempt.creator.as_ref().is_some_and(|creator| by(creator))
    }
}
