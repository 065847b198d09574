//! Everything that needs no cluster: the catalogue, the documentation, the decoder against recorded requests,
//! and the program itself run as users run it. One binary, because linking is what takes the time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bundles;
mod catalogue;
mod cli;
mod documentation;
mod examples;
mod generated;
mod layering;
mod lookalikes;
mod policy;
mod reports;
mod retention;
mod reviews;
mod wait_for_db;
#[cfg(feature = "serve")]
mod why;
