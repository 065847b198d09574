//! Starts a control plane with wavegate in front of it and keeps it until Enter is pressed; `build` only builds
//! the control plane's programs.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "it tells its user")]

mod binary;
#[path = "cluster.rs"]
mod cluster;

use std::error::Error;
use std::io;

use cluster::wavegate::Wavegate;

fn main() -> Result<(), Box<dyn Error>> {
    cluster::programs::ensure()?;
    if std::env::args().nth(1).as_deref() == Some("build") {
        return Ok(());
    }
    let control_plane = cluster::ControlPlane::start()?;
    let wavegate = Wavegate::start(&control_plane, &binary::built_beside_this_one()?);
    wavegate.register(&control_plane);
    println!("export KUBECONFIG={}", control_plane.kubeconfig().display());
    println!("label a namespace wavegate.dev/mode=enforce; press Enter to end");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
