//! The catalogue: what wavegate says about an object, and how strictly.
//!
//! One file per rule under [`rules`]; everything else about rules (docs pages, the table in the README, the
//! command line) is derived from the one list in [`rules::RULES`].

pub mod context;
pub mod docs;
pub mod document;
pub mod exemption;
pub mod finding;
pub mod gate;
mod policies;
pub mod rule;
pub mod rules;
#[cfg(test)]
pub(crate) mod sample;
mod settings;

pub use context::Context;
pub use finding::{Effect, Finding, Problem, Problems};
pub use policies::Policies;
pub use rule::{Check, Code, Rule, Scope, Severity};
pub use settings::{Fixes, Inject, OnUnknown, Ordering, Policy, Waiter, WaiterForm, WaiterMode};
