//! How a rule is declared.

use std::fmt;

use super::context::Context;
use super::finding::Problems;
use super::gate::{Judgement, Launch};
use crate::domain::job::Job;
use crate::domain::manifest::CronJobManifest;
use crate::domain::workload::Workload;

/// Stable code of a rule, such as `WG101`; never reused.
pub type Code = &'static str;

/// How strict a rule is about explicit and strong objects in an enforcing namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A finding refuses the object.
    Deny,
    /// A finding warns.
    Warn,
    /// The rule is not evaluated.
    Off,
}

impl Severity {
    /// Name in output and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule needs to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The object alone.
    Object,
    /// Also its companions, where they are in view.
    Bundle,
    /// What has happened in the cluster.
    Gate,
    /// The object as it was admitted: its stamps, or what it was before an update. Nothing offline has either.
    Admission,
}

impl Scope {
    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Bundle => "bundle",
            Self::Gate => "gate",
            Self::Admission => "admission",
        }
    }
}

/// A rule's function, by the subject that it reads.
#[derive(Clone, Copy)]
pub enum Check {
    /// A recognised migration Job that is created.
    Migration(fn(&Job<'_>, &Context<'_>, &mut Problems)),
    /// Any Job that is created, whatever its role.
    CreatedJob(fn(&Job<'_>, &Context<'_>, &mut Problems)),
    /// A verification Job that is created.
    Verification(fn(&Job<'_>, &Context<'_>, &mut Problems)),
    /// A workload that opted in or is paired with a migration, created or updated.
    Workload(fn(&Workload<'_>, &Context<'_>, &mut Problems)),
    /// Any workload, created or updated.
    AnyWorkload(fn(&Workload<'_>, &Context<'_>, &mut Problems)),
    /// A CronJob, created or updated.
    CronJob(fn(&CronJobManifest<'_>, &Context<'_>, &mut Problems)),
    /// A release that a workload is about to run, and what its migrations prove.
    Rollout(fn(&Judgement<'_>, &Context<'_>, &mut Problems)),
    /// A recognised migration Job that is created, beside what was attempted before.
    Launch(fn(&Job<'_>, &Launch<'_>, &Context<'_>, &mut Problems)),
    /// A Job that is updated: the old and the new one.
    JobUpdate(fn(&Job<'_>, &Job<'_>, &mut Problems)),
}

/// A rule: what it is called, how strict it is, what it says.
pub struct Rule {
    /// Stable code.
    pub code: Code,
    /// Says what is wrong, in kebab case.
    pub name: &'static str,
    /// Default severity.
    pub severity: Severity,
    /// What it needs to see.
    pub scope: Scope,
    /// Prose with examples, as captured from the declaration; each line has one leading blank.
    pub docs: &'static str,
    /// Its functions.
    pub checks: &'static [Check],
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Rule {}

/// Declares a rule as `RULE` of its module and captures the doc comment as its documentation.
macro_rules! declare_rule {
    (
        $(#[doc = $doc:literal])+
        $code:literal $name:literal, $severity:ident, $scope:ident, [$($check:ident($function:path)),+ $(,)?]
    ) => {
        $(#[doc = $doc])+
        pub(super) static RULE: $crate::policy::Rule = $crate::policy::Rule {
            code: $code,
            name: $name,
            severity: $crate::policy::Severity::$severity,
            scope: $crate::policy::Scope::$scope,
            docs: concat!($($doc, "\n"),+),
            checks: &[$($crate::policy::Check::$check($function)),+],
        };
    };
}

pub(crate) use declare_rule;
