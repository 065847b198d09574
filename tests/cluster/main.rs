//! Tests of the test control plane itself: what the other tests rely on.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and one in a child process tells its parent what it did"
)]

mod building;
mod cleanup;
#[path = "cluster.rs"]
mod cluster;
mod gitops;
mod images;
mod play;
mod servers;
mod workloads;
