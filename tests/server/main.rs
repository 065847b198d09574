//! The webhook server over real TLS connections on loopback.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod certificates;
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod client;
mod collector;
mod connections;
mod limits;
mod program;
mod refusals;
mod reviews;
mod rig;
mod shutdown;
mod traces;
