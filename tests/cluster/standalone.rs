//! Starts a control plane with wavegate in front of it and keeps it until Enter is pressed. With `argocd` as
//! argument Argo CD runs as well; with `node` it is a cluster with a real node, and nothing in front of it; `build`
//! only builds the programs of all.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "it tells its user")]

mod binary;
#[path = "cluster.rs"]
mod cluster;

use std::error::Error;
use std::io;

use cluster::argocd::ArgoCd;
use cluster::wavegate::Wavegate;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let programs = cluster::programs::ensure()?;
    if argument.as_deref() == Some("build") {
        programs.argocd_manifests()?;
        return Ok(());
    }
    if argument.as_deref() == Some("node") {
        return node();
    }
    let control_plane = cluster::ControlPlane::start()?;
    let wavegate = Wavegate::start(&control_plane, &binary::built_beside_this_one()?);
    wavegate.register(&control_plane);
    let argocd = match argument.as_deref() {
        Some("argocd") => Some(ArgoCd::start(&control_plane)?),
        _ => None,
    };
    println!("export KUBECONFIG={}", control_plane.kubeconfig().display());
    println!("label a namespace wavegate.dev/mode=enforce; press Enter to end");
    if let Some(argocd) = &argocd {
        let repository = argocd.repository("example");
        println!("Argo CD reads Applications in its namespace, say of {}", repository.url());
    }
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn node() -> Result<(), Box<dyn Error>> {
    if let Some(obstacle) = cluster::node::obstacle() {
        return Err(obstacle.into());
    }
    let cluster = cluster::ControlPlane::start_node()?;
    let (prefix, kubeconfig) = (cluster.site().prefix(), cluster.kubeconfig().display());
    println!("{prefix}kubectl --kubeconfig {kubeconfig} get nodes");
    println!("press Enter to end");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
