//! wavegate in the cluster, installed as the page about it says: by Helm, in its own image, behind a Service.

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::cluster::image::release;
use crate::cluster::{ControlPlane, Output, chart, node, wavegate};
use crate::images;

const PAGE: &str = include_str!("../../docs/install.md");

/// The name that the page gives wavegate's image.
pub(crate) const IMAGE: &str = concat!("registry.example.com/wavegate:", env!("CARGO_PKG_VERSION"));

const WAVEGATE: &str = env!("CARGO_BIN_EXE_wavegate");

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
    for archive in images::write(cluster.directory()).unwrap_or_else(|error| panic!("{error}")) {
        cluster.load(&archive);
    }
    follow_page(cluster);
}

/// Gives the cluster wavegate's image and installs it as the page says; returns once the API server asks it.
pub(crate) fn follow_page(cluster: &ControlPlane) {
    cluster.load(&own_image(cluster));
    let [install, ..] = &blocks()[..] else { panic!("a block of commands") };
    assert!(install.contains("image.tag=0.1.0 "), "the page names another image than {IMAGE}");
    let begin = Instant::now();
    chart::follow(cluster, Path::new(WAVEGATE), install);
    let _ = TOOK.set(begin.elapsed());
    wavegate::until_asked(cluster);
}

/// How long the page's installation took.
pub(crate) fn took() -> Option<Duration> {
    TOOK.get().copied()
}

static TOOK: OnceLock<Duration> = OnceLock::new();

/// The page's blocks of commands.
pub(crate) fn blocks() -> Vec<&'static str> {
    let parts = PAGE.split("```").filter_map(|part| part.strip_prefix("sh\n"));
    parts.collect()
}

/// Runs commands of the page as they stand there.
pub(crate) fn run(cluster: &ControlPlane, script: &str) -> Output {
    chart::run(cluster, Path::new(WAVEGATE), script)
}

/// The archive of the image under test: what `make image` makes, or what `$WAVEGATE_IMAGE_ARCHIVE` names.
pub(crate) fn own_image(cluster: &ControlPlane) -> PathBuf {
    if let Some(archive) = env::var_os("WAVEGATE_IMAGE_ARCHIVE") {
        return PathBuf::from(archive);
    }
    let archive = cluster.directory().join("wavegate-image.tar");
    release::build(&archive, IMAGE).unwrap_or_else(|error| panic!("{error}"));
    archive
}
