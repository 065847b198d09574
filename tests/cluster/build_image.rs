//! Writes wavegate's image without a container engine: `-- [--output FILE] [--name HOST/PATH:TAG]`.

#![allow(clippy::print_stdout, reason = "it tells its user")]

#[path = "cluster.rs"]
mod cluster;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cluster::image::release;

/// Write wavegate's image as a tar that `ctr images import` and `docker load` read.
#[derive(Parser)]
struct Arguments {
    /// The file to write.
    #[arg(long, default_value = "target/image/wavegate.tar")]
    output: PathBuf,
    /// The image's name and tag.
    #[arg(long, default_value_t = release::default_name())]
    name: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let image = release::build(&arguments.output, &arguments.name)?;
    println!("{} in {}", image.name, image.path.display());
    println!("digest {}", image.digest);
    println!("base   scratch");
    println!("layer  {} bytes, {} uncompressed", image.compressed, image.uncompressed);
    Ok(())
}
