//! wavegate keeps schema and code in step on Kubernetes.
//!
//! It is an admission webhook and the same engine as a linter: new application code cannot roll out before
//! its database migration has completed, and a migration cannot run in a way that is unsafe to fail.
//!
//! ```text
//! domain   <- cluster <- policy <- engine, admission <- check, why | server, wait <- watch <- cli <- main
//! (words)     (state)    (rules)   (decide, wire)       (pure      | I/O, feature `serve`)
//! ```
//!
//! A reader follows a request in one direction: bytes, [`admission::Admission`], [`engine::Decision`], bytes.

pub mod admission;
#[cfg(feature = "serve")]
pub mod certs;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod domain;
pub mod engine;
pub mod policy;
#[cfg(feature = "serve")]
pub mod server;
#[cfg(feature = "serve")]
pub mod wait;
#[cfg(feature = "serve")]
pub mod watch;
pub mod why;
