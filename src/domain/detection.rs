//! What a policy adds to how migrations are recognised.

use std::sync::Arc;

use super::glob::Glob;
pub use super::runner::KnownRunner;

/// What a policy adds to how migrations are recognised; nothing by default. Cheap to copy, so that a request can carry
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detection(Option<Arc<Additions>>);

/// The additions themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// Programs that change a schema and are in no table.
    pub runners: Vec<KnownRunner>,
    /// Names of Jobs that are migrations, whatever they run.
    pub job_names: Vec<Glob>,
    /// Whether `wavegate.dev/role: none` is ignored.
    pub none_is_forbidden: bool,
}

impl Detection {
    /// The detection with these additions.
    pub fn new(additions: Additions) -> Self {
        Self((additions != Additions::default()).then(|| Arc::new(additions)))
    }

    /// What is added.
    pub fn additions(&self) -> Option<&Additions> {
        self.0.as_deref()
    }

    pub(super) fn runners(&self) -> &[KnownRunner] {
        self.0.as_deref().map_or(&[], |additions| &additions.runners)
    }

    /// The pattern by which a Job of this name is a migration.
    pub(super) fn job_name(&self, name: &str) -> Option<&Glob> {
        self.0.as_deref()?.job_names.iter().find(|glob| glob.matches(name))
    }

    pub(super) fn none_is_forbidden(&self) -> bool {
        self.0.as_deref().is_some_and(|additions| additions.none_is_forbidden)
    }
}
