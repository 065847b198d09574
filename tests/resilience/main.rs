//! What happens to admissions while wavegate restarts, is upgraded, rotates its certificates, loses a replica or all of
//! them. On a real node, installed by Helm; one cluster, one story, since each part of it disturbs all others.

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

#[path = "../node/images.rs"]
#[allow(dead_code, reason = "the story needs none of the app's images")]
mod images;

#[path = "../node/installation.rs"]
#[allow(dead_code, reason = "the page's other commands are run elsewhere")]
mod installation;

mod load;
mod replicas;
mod story;
