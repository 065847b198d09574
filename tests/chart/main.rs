//! The chart: rendered and installed by the real Helm, judged by a real API server, its expressions evaluated by a real
//! Prometheus.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../cluster/cluster.rs"]
mod cluster;

mod alerts;
mod asked;
mod install;
mod lifecycle;
mod namespaces;
mod rig;
mod rights;
mod values;
