//! What a rule may look at besides its subject.

use super::settings::Policy;
use crate::cluster::{ClusterState, Pair};
use crate::domain::role::Confidence;
use crate::domain::stamp::Stamps;

/// How far the author asked for the workload rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By `wavegate.dev/app`.
    OptedIn,
    /// Not asked, but paired with a migration in view.
    Inferred,
    /// Neither.
    Unpaired,
}

/// What a rule may look at besides its subject.
pub struct Context<'a> {
    /// Settings.
    pub policy: &'a Policy,
    /// Companions in view; empty at admission.
    pub state: &'a ClusterState,
    /// Namespace of the subject.
    pub namespace: &'a str,
    /// Migrations that gate the subject, if it is a workload.
    pub pairs: Vec<Pair<'a>>,
    /// How far the subject's author asked for the workload rules, if it is a workload.
    pub standing: Standing,
    /// The stamps that the subject must carry, if it is a migration Job that an API server sent.
    pub stamps: Option<Stamps>,
}

impl Context<'_> {
    /// Whether what compares a workload with its migration may refuse it: its author opted in, or a pair is sure
    /// and its migration explicit or strong.
    pub fn is_gated(&self) -> bool {
        let sure = |pair: &Pair<'_>| {
            pair.reason.is_sure() && pair.migration.confidence >= Confidence::Strong
        };
        self.standing == Standing::OptedIn || self.pairs.iter().any(sure)
    }

    /// Whether workload rules only warn about the subject and leave out what is normal for workers, which
    /// share the app's image but take no traffic.
    pub fn is_guess(&self) -> bool {
        self.standing != Standing::OptedIn && !self.policy.inferred_pairs_deny
    }
}
