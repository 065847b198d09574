//! wavegate in the cluster, installed as README says: its own image as a Deployment behind a Service.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::cluster::image::release;
use crate::cluster::programs::Program;
use crate::cluster::{ControlPlane, node, wavegate};
use crate::images;

const README: &str = include_str!("../../README.md");

/// The name that README gives wavegate's image, with the tag that the chart gives it.
const IMAGE: &str = concat!("registry.example.com/wavegate:", env!("CARGO_PKG_VERSION"));

/// wavegate's own namespace.
pub(crate) const NAMESPACE: &str = "wavegate";

/// The cluster of all tests with every image, a wavegate that is ready, and the API server asking it; none on a
/// machine that cannot run a node.
pub(crate) fn shared() -> Option<&'static ControlPlane> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let cluster = node::shared()?;
    // A test that comes after a failed installation does not try again, which would fail for another reason.
    let install = || panic::catch_unwind(AssertUnwindSafe(|| install(cluster))).is_ok();
    assert!(
        *INSTALLED.get_or_init(install),
        "wavegate could not be installed: see the first test that failed"
    );
    Some(cluster)
}

fn install(cluster: &ControlPlane) {
    cluster.load(&own_image(cluster));
    for archive in images::write(cluster.directory()).unwrap_or_else(|error| panic!("{error}")) {
        cluster.load(&archive);
    }
    follow_readme(cluster);
    let rollout = ["rollout", "status", "deployment/wavegate", "--timeout=60s"];
    cluster.kubectl().namespace(NAMESPACE).args(rollout).within(Duration::from_secs(70)).ok();
    wavegate::until_asked(cluster);
}

/// Runs what README says, as it stands there.
fn follow_readme(cluster: &ControlPlane) {
    let (_, section) = README.split_once("## In the cluster").expect("the section");
    let script = section.split("```").nth(1).and_then(|block| block.strip_prefix("sh\n"));
    let script = script.expect("a block of commands");
    let (repository, _) = IMAGE.rsplit_once(':').expect("a tag");
    let set = format!("image.repository={repository} ");
    assert!(script.contains(&set), "README names another image than the tests' {IMAGE}");
    let folder = cluster.directory().join("install");
    fs::create_dir_all(&folder).expect("a folder");
    let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts");
    symlink(&charts, folder.join("charts")).expect("a link");
    let site = cluster.site();
    let wavegate = PathBuf::from(env!("CARGO_BIN_EXE_wavegate"));
    let clients = [Program::Kubectl, Program::Helm].map(|program| site.programs().path(program));
    let programs: Vec<_> = [wavegate].into_iter().chain(clients).collect();
    let programs = programs.iter().filter_map(|program| program.parent()).map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(programs.chain(env::split_paths(&path)));
    let output = site
        .command("sh")
        .args(["-euc", script])
        .env("PATH", path.expect("folders without colons"))
        .env("KUBECONFIG", cluster.kubeconfig())
        .current_dir(&folder)
        .output()
        .expect("sh");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}{told}");
    // Pod Security only warns of what a Deployment's pods will be refused for.
    assert!(!told.contains("Warning:"), "{told}");
}

/// The archive of the image under test: what `make image` makes, or what `$WAVEGATE_IMAGE_ARCHIVE` names.
fn own_image(cluster: &ControlPlane) -> PathBuf {
    if let Some(archive) = env::var_os("WAVEGATE_IMAGE_ARCHIVE") {
        return PathBuf::from(archive);
    }
    let archive = cluster.directory().join("wavegate-image.tar");
    release::build(&archive, IMAGE).unwrap_or_else(|error| panic!("{error}"));
    archive
}
