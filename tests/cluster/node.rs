//! A cluster with a real node: containerd, the kubelet, kube-proxy and `CoreDNS` where [`ControlPlane`] alone has kwok.
//!
//! Containers run, init containers wait, probes probe, Services and their names work, Pod Security and logs are real.
//! All of it lives in namespaces of its own (network, mounts, processes), so nothing on this machine is touched,
//! and it ends with one process. It needs root, hence [`obstacle`].

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::ControlPlane;

/// Programs that the node runs or that start it, with the Debian package of each.
const NEEDED: [(&str, &str); 8] = [
    ("runc", "runc"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("busybox", "busybox-static"),
    ("mount", "mount"),
];

/// Where distributions keep the CNI plugins.
const PLUGIN_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// What keeps this machine from running a node, as a sentence; none where one can run.
pub fn obstacle() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1));
    if user != Some("0") {
        return Some("a real node needs root, for namespaces, mounts and cgroups".to_owned());
    }
    let namespaces = ["--net", "--mount", "--pid", "--fork", "true"];
    match Command::new("unshare").args(namespaces).output() {
        Ok(output) if !output.status.success() => {
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Some(format!("this machine makes no namespaces, not even for root: {told}"));
        }
        _ => {}
    }
    let missing = NEEDED.iter().find(|(program, _)| on_path(program).is_none());
    if let Some((program, package)) = missing {
        return Some(format!("{program} is not on PATH: install {package}, or run `make tools`"));
    }
    plugins().is_none().then(|| {
        "there are no CNI plugins: install containernetworking-plugins, or run `make tools`"
            .to_owned()
    })
}

/// Names the kubeconfig of a cluster to test on instead. It is not `$KUBECONFIG`, because the tests install things,
/// and that one may well be of a cluster that people depend on.
const KUBECONFIG: &str = "WAVEGATE_TEST_KUBECONFIG";

/// The cluster with a node that all tests of one binary share, started at the first call; none, after a line on
/// standard error that says why, on a machine that cannot run one. In CI that is a failure. With
/// `$WAVEGATE_TEST_KUBECONFIG` it is the cluster of that file.
///
/// # Panics
/// With the reason, when the cluster cannot be started; in CI also when this machine cannot run one.
pub fn shared() -> Option<&'static ControlPlane> {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    let given = env::var_os(KUBECONFIG).filter(|value| !value.is_empty());
    if let Some(obstacle) = obstacle().filter(|_| given.is_none()) {
        assert!(env::var_os("CI").is_none(), "the tests on a node must run in CI: {obstacle}");
        super::programs::say(&format!("this test DID NOT RUN: {obstacle}"));
        return None;
    }
    let start = || match given {
        Some(kubeconfig) => ControlPlane::attach(PathBuf::from(kubeconfig)),
        None => ControlPlane::start_node(),
    };
    match SHARED.get_or_init(|| start().map_err(|error| error.to_string())) {
        Ok(cluster) => Some(cluster),
        Err(error) => panic!("there is no node for this test: {error}"),
    }
}

/// The folder of the CNI plugins.
pub(super) fn plugins() -> Option<&'static Path> {
    PLUGIN_FOLDERS.iter().map(Path::new).find(|folder| folder.join("bridge").is_file())
}

/// A program's file, looked for as the shell does.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
