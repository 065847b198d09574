//! wavegate in the cluster, installed as README says: its own image as a Deployment behind a Service.

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::cluster::image::release;
use crate::cluster::{ControlPlane, chart, node, wavegate};
use crate::images;

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
    let script = chart::readme();
    let (repository, _) = IMAGE.rsplit_once(':').expect("a tag");
    let set = format!("image.repository={repository} ");
    assert!(script.contains(&set), "README names another image than the tests' {IMAGE}");
    chart::follow(cluster, Path::new(env!("CARGO_BIN_EXE_wavegate")), script);
    let rollout = ["rollout", "status", "deployment/wavegate", "--timeout=60s"];
    cluster.kubectl().namespace(NAMESPACE).args(rollout).within(Duration::from_secs(70)).ok();
    wavegate::until_asked(cluster);
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
