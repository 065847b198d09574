//! A real Kubernetes control plane for tests, on loopback, without root: etcd, the API server, the
//! controller manager, the scheduler, kubectl, and kwok, which plays the kubelet of two nodes.
//!
//! Admission, Jobs, Deployments, Pod Security and garbage collection are Kubernetes' own code. Only
//! containers do not run: `kwok.yaml` says how Pods behave and how a test chooses another behaviour.
//!
//! ```ignore
//! let namespace = cluster::shared().namespace("gate::holds_new_code", &[]);
//! namespace.kubectl().args(["apply", "--filename=-"]).stdin(manifest).ok();
//! ```
//!
//! Nothing stays behind, however the process ends: see [`reaper`].

#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    unused_imports,
    reason = "several binaries include this module, each uses a part of it, and a test fails by panicking"
)]

pub mod argocd;
mod certificates;
pub mod chart;
mod ending;
pub mod image;
mod kubectl;
mod namespace;
pub mod node;
pub mod programs;
pub mod reaper;
mod server;
mod site;
mod start;
pub mod wavegate;

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use ending::Ending;
pub use image::Image;
pub use kubectl::{Kubectl, Output};
pub use namespace::Namespace;
pub use server::Server;
pub use site::Site;
pub use start::StartError;

use reaper::Reaper;

/// The address that the nodes have according to `kwok.yaml`. Nothing listens there.
const NODE_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));

/// A running control plane. Dropping it ends all its servers and removes its directory; that also
/// happens when the process ends without dropping it.
#[derive(Debug)]
pub struct ControlPlane {
    /// Dropped before the servers, so the way in which they normally end is the one by the reaper.
    reaper: Reaper,
    servers: Vec<Server>,
    site: Site,
    kubeconfig: PathBuf,
    namespaces: AtomicU32,
}

/// The control plane that all tests of one binary share. It is started at the first call.
///
/// # Panics
/// With the reason, on every call, when it cannot be started.
pub fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    match SHARED.get_or_init(|| ControlPlane::start().map_err(|error| error.to_string())) {
        Ok(control_plane) => control_plane,
        Err(error) => panic!("there is no control plane for this test: {error}"),
    }
}

impl ControlPlane {
    /// Starts a control plane and waits until Pods can be created and scheduled: about four seconds
    /// on two idle cores, and several minutes more the first time on a machine, to build the programs.
    pub fn start() -> Result<Self, StartError> {
        Self::start_on(start::free_port)
    }

    /// Like [`start`](Self::start), with the API server on a port that `port` proposes. It is asked
    /// again when the port turns out to be taken, a few times.
    pub fn start_on(port: impl FnMut() -> io::Result<u16>) -> Result<Self, StartError> {
        start::start(port)
    }

    /// Starts a cluster whose node is real: about 20 seconds on two idle cores. It needs what
    /// [`node::obstacle`] looks for.
    pub fn start_node() -> Result<Self, StartError> {
        start::node::start()
    }

    /// The cluster of this kubeconfig, which somebody else has started and will end.
    pub fn attach(kubeconfig: PathBuf) -> Result<Self, StartError> {
        start::node::attach(kubeconfig)
    }

    fn new(reaper: Reaper, servers: Vec<Server>, site: Site, kubeconfig: PathBuf) -> Self {
        Self { reaper, servers, site, kubeconfig, namespaces: AtomicU32::new(1) }
    }

    /// Where its programs run.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// kubectl as cluster administrator (group `system:masters`).
    pub fn kubectl(&self) -> Kubectl {
        self.site.kubectl(&self.kubeconfig)
    }

    /// Helm as cluster administrator.
    pub fn helm(&self) -> Kubectl {
        self.site.helm(&self.kubeconfig)
    }

    /// A new namespace with these labels, named after the test, ready for Pods.
    ///
    /// # Panics
    /// When it cannot be created.
    pub fn namespace(&self, test: &str, labels: &[(&str, &str)]) -> Namespace<'_> {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        Namespace::create(self, test, number, labels)
    }

    /// The administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The directory of all files of this control plane: logs are `<server>.log` in it. A test may
    /// put files of its own there; all of it is removed in the end.
    pub fn directory(&self) -> &Path {
        self.reaper.directory()
    }

    /// The servers of the control plane, in the order in which they were started.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Gives the node an image, which is then there under its name. `archive` is what [`Image::write`] writes. An
    /// attached cluster gets it by the command in `$WAVEGATE_TEST_LOAD`, say `kind load image-archive`.
    ///
    /// # Panics
    /// When the node refuses the image.
    pub fn load(&self, archive: &Path) {
        start::node::import(&self.site, archive).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Kills the API server and starts it again as it was; returns once it is ready.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn restart_api_server(&mut self) {
        self.reconfigure_api_server(&[]);
    }

    /// Like [`restart_api_server`](Self::restart_api_server), with these further arguments, which it keeps: what names
    /// files that are written once it is known where a webhook serves.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn reconfigure_api_server(&mut self, arguments: &[String]) {
        let position = self.servers.iter().position(|server| server.name() == "kube-apiserver");
        let position = position.expect("the API server is this harness's own");
        let mut server = self.servers.remove(position);
        let line = fs::read(format!("/proc/{}/cmdline", server.pid())).expect("it runs");
        let mut words = line.split(|&byte| byte == 0).map(OsStr::from_bytes);
        let program = PathBuf::from(words.next().expect("a program"));
        let mut command = self.site.command(program);
        command.args(words.filter(|word| !word.is_empty())).args(arguments);
        command.current_dir(self.directory());
        server.stop().expect("it can be killed");
        let server = self.spawn("kube-apiserver", command).expect("it starts again");
        self.servers.insert(position, server);
        eventually("the API server is ready again", Duration::from_mins(1), || {
            let ready = self.kubectl().args(["get", "--raw=/readyz"]).run();
            ready.status.success().then_some(())
        });
    }

    /// Gives an image of the node a further name.
    ///
    /// # Panics
    /// When there is no such image, or the cluster is not of this harness.
    pub fn tag(&self, image: &str, name: &str) {
        start::node::tag(&self.site, image, name).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts a further server, say the webhook under test, which ends with the control plane at the
    /// latest. Its output is appended to `<directory>/<name>.log`.
    pub fn spawn(&self, name: &str, command: Command) -> io::Result<Server> {
        self.reaper.spawn(name, command)
    }
}

/// Waits until `probe` has a value, looking every 50 milliseconds.
///
/// # Panics
/// When it has none within `bound`. `what` completes the sentence "not within ...".
pub fn eventually<T>(what: &str, bound: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    until(bound, || probe().ok_or(what))
}

/// The same with a probe that says what it saw instead.
///
/// # Panics
/// When it has no value within `bound`.
fn until<T, E: Display>(bound: Duration, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + bound;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) => assert!(Instant::now() < deadline, "not within {bound:?}: {seen}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}
