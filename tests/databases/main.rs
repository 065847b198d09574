//! `wavegate wait-for-db` against real servers in every state that a migration may meet them in.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod discovered;
mod mariadb;
mod names;
mod network;
mod pooler;
mod ports;
mod postgres;
mod postgres_server;
mod process;
mod redis;
mod signals;
mod waiter;
