//! wavegate in front of a real kube-apiserver, with real controllers and the real kubectl. One binary, one
//! control plane, a namespace per test.

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

#[path = "../server/collector.rs"]
#[allow(dead_code, reason = "the tests of the server use the rest")]
mod collector;

mod alone;
mod by_one_label;
mod callers;
mod certificates;
mod conditions;
mod documents;
mod events;
mod fixes;
mod gate;
mod guard;
mod live;
mod modes;
mod outage;
mod overrides;
mod parity;
mod policy;
mod proxy;
mod ratchet;
mod recipe;
mod records;
mod threats;
mod traces;
mod why;
