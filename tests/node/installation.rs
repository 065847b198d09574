//! wavegate in the cluster, installed as README says: its own image as a Deployment behind a Service.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cluster::image::release;
use crate::cluster::{ControlPlane, eventually, node, wavegate};
use crate::images;

const SERVER: &str = include_str!("../../deploy/server.yaml");
const WEBHOOKS: &str = include_str!("../../deploy/webhooks.yaml");

/// wavegate's own namespace.
pub(crate) const NAMESPACE: &str = "wavegate";

/// The cluster of all tests with every image, a wavegate that is ready, and the API server asking it; none on a
/// machine that cannot run a node.
pub(crate) fn shared() -> Option<&'static ControlPlane> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let cluster = node::shared()?;
    INSTALLED.get_or_init(|| install(cluster));
    Some(cluster)
}

fn install(cluster: &ControlPlane) {
    let name = release::default_name();
    cluster.load(&own_image(cluster, &name));
    for archive in images::write(cluster.directory()).unwrap_or_else(|error| panic!("{error}")) {
        cluster.load(&archive);
    }
    wavegate::install(cluster);
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl().args(["label", "namespace", NAMESPACE, restricted]).ok();
    let certificates = certificates(cluster);
    cluster
        .kubectl()
        .namespace(NAMESPACE)
        .args(["create", "secret", "tls", "wavegate-tls"])
        .args(["--cert".as_ref(), certificates.join("tls.crt").as_os_str()])
        .args(["--key".as_ref(), certificates.join("tls.key").as_os_str()])
        .ok();
    apply(cluster, &SERVER.replace("IMAGE", &name));
    let rollout = ["rollout", "status", "deployment/wavegate", "--timeout=60s"];
    cluster.kubectl().namespace(NAMESPACE).args(rollout).within(Duration::from_secs(70)).ok();
    register(cluster, &fs::read(certificates.join("ca.crt")).expect("the CA's certificate"));
}

/// The archive of the image under test: what `make image` makes, or what `$WAVEGATE_IMAGE_ARCHIVE` names.
fn own_image(cluster: &ControlPlane, name: &str) -> PathBuf {
    if let Some(archive) = env::var_os("WAVEGATE_IMAGE_ARCHIVE") {
        return PathBuf::from(archive);
    }
    let archive = cluster.directory().join("wavegate-image.tar");
    release::build(&archive, name).unwrap_or_else(|error| panic!("{error}"));
    archive
}

/// Makes the certificate for the Service's name with the program itself.
fn certificates(cluster: &ControlPlane) -> PathBuf {
    let directory = cluster.directory().join("tls");
    let output = Command::new(env!("CARGO_BIN_EXE_wavegate"))
        .args(["certs", "--dns", "wavegate.wavegate.svc", "--directory"])
        .arg(&directory)
        .output()
        .expect("wavegate runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory
}

fn register(cluster: &ControlPlane, ca: &[u8]) {
    // In the cluster the Service takes the place of a URL.
    let service = |line: &str| match line.split_once("url: URL") {
        Some((before, rest)) => {
            let (path, after) = rest.split_once(',').expect("another field follows");
            format!(
                "{before}service: {{namespace: wavegate, name: wavegate, path: {path}}},{after}\n"
            )
        }
        None => format!("{line}\n"),
    };
    let webhooks: String = WEBHOOKS.lines().map(service).collect();
    apply(cluster, &webhooks.replace("CA_BUNDLE", &STANDARD.encode(ca)));
    let probe = cluster.namespace("registration", &[("wavegate.dev/mode", "enforce")]);
    let bad = include_str!("../../examples/bad/wg101-no-backoff-limit.yaml");
    eventually("the API server asks wavegate", Duration::from_secs(30), || {
        let create = ["create", "--dry-run=server", "--filename=-"];
        let output = probe.kubectl().args(create).stdin(bad).run();
        output.stderr.contains("WG101").then_some(())
    });
}

/// Applies a manifest as cluster administrator.
pub(crate) fn apply(cluster: &ControlPlane, manifest: &str) {
    cluster.kubectl().args(["apply", "--filename=-"]).stdin(manifest).ok();
}
