//! wavegate as its users run it: its own image as a Deployment, behind a Service that the API server calls, on a
//! node that runs containers; with a PostgreSQL whose schema really changes. One binary, one cluster.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../cluster/cluster.rs"]
mod cluster;

#[path = "../cluster/play.rs"]
mod play;

#[path = "../resilience/load.rs"]
#[allow(dead_code, reason = "its other users ask for more")]
mod load;

mod by_argocd;
mod harness;
mod images;
mod installation;
mod quick_start;
mod recipe;
mod shop;
mod skipped;
mod sync_waves;
mod unreachable;
