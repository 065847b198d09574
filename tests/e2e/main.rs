//! wavegate in front of a real kube-apiserver, with real controllers and the real kubectl. One binary, one
//! control plane, a namespace per test.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../cluster/cluster.rs"]
mod cluster;

mod alone;
mod callers;
mod certificates;
mod conditions;
mod events;
mod gate;
mod guard;
mod live;
mod modes;
mod outage;
mod overrides;
mod parity;
mod proxy;
mod ratchet;
mod recipe;
mod records;
mod why;
