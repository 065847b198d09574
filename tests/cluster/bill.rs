//! Prints the bill of materials of wavegate, built for the target that is its argument, or for this machine's.

#![allow(clippy::print_stdout, reason = "it prints")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::indexing_slicing,
    reason = "it shares a module with the tests, which adds fields to JSON objects"
)]

#[path = "image/sbom.rs"]
mod sbom;

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).map_or_else(sbom::host, Ok)?;
    print!("{}", sbom::of(Path::new(env!("CARGO_MANIFEST_DIR")), &target)?);
    Ok(())
}
