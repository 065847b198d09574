//! Programs that change a database schema, by what they are called with.

mod generic;
mod images;
mod listed;
mod names;
mod program;
mod signature;
pub(super) mod sql;
mod table;
mod tasks;
pub(super) mod wrapper;

pub(super) use generic::{is_verb, verbs};
pub(super) use images::{by_options, entrypoint};
pub use listed::KnownRunner;
pub(super) use names::listed;
pub(super) use program::{Program, Via, file_name};

/// A command that changes a database schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerMatch {
    /// The tool, by its usual name.
    pub tool: &'static str,
    /// Program and verb, such as `manage.py migrate`. Never an option or a value, so never a secret.
    pub command: String,
    /// What it does to the schema.
    pub effect: Effect,
    /// How sure it is.
    pub certainty: Certainty,
}

/// What a runner does to the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Applies migrations.
    Apply,
    /// Undoes migrations, or drops what is there.
    Revert,
    /// Removes what only old code needs: the second half of an expand-and-contract migration.
    Contract,
}

/// How sure a match is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The program is not known, or the command may do something else.
    Uncertain,
    /// A known tool with a known verb.
    Certain,
}

/// How a script hides that its migration failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostStatus {
    /// By which construct.
    pub how: LostHow,
    /// The construct, such as `manage.py migrate || true`; made of programs and verbs only.
    pub excerpt: String,
}

/// The constructs that hide a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostHow {
    /// `|| true`, `|| :`, `|| exit 0`
    OrTrue,
    /// `|| echo failed`
    OrOther,
    /// `| tee log` without `pipefail`
    Pipe,
    /// Further commands follow without `set -e`.
    Continues,
    /// `&` without `wait`
    Background,
    /// `!`
    Inverted,
    /// `if` without a branch that fails
    Condition,
}

/// What a command does to a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Changes it.
    Runs(RunnerMatch),
    /// Looks at it: program and verb.
    Checks(String),
    /// Has the verb of a migration, but we do not know the program.
    Verb(String),
    /// Nothing of the kind.
    Nothing,
}

impl Verdict {
    fn runs(tool: &'static str, command: String, effect: Effect, certainty: Certainty) -> Self {
        Self::Runs(RunnerMatch { tool, command, effect, certainty })
    }
}

/// What a program does with these arguments. Wrappers, shells and interpreters are already taken off.
pub(super) fn read(program: &Program<'_>, args: &[&str]) -> Verdict {
    generic::release_task(program, args)
        .or_else(|| signature::read(program, args))
        .unwrap_or_else(|| generic::read(program, args))
}

/// Whether the name of a script or program is one that waits for something to be reachable.
pub(super) fn is_waiter_name(name: &str) -> bool {
    names::is_waiter(name)
}
