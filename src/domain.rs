//! The words of the field, each parsed once.
//!
//! Nothing here knows a rule, a cluster or the wire. A value that exists is valid: parsing is the only
//! way to make one, and what the sources allow to be wrong (an unknown hook, a malformed wave) is kept
//! beside the valid part so that a rule can point at it.

pub mod argocd;
pub mod command;
pub mod database;
pub mod detection;
pub mod duration;
pub mod fix;
pub mod gate_override;
pub mod glob;
pub mod image;
pub mod job;
pub mod keys;
pub mod manifest;
pub mod migration;
pub mod names;
pub mod outcome;
pub mod record;
pub mod reference;
pub mod role;
pub mod runner;
pub mod shell;
pub mod stamp;
pub mod text;
pub mod waiter;
pub mod workload;
