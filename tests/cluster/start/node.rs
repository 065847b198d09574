//! How a cluster with a real node starts: the same control plane in a network of its own, and beside it
//! containerd, the kubelet, kube-proxy and `CoreDNS` instead of kwok.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use super::super::node::{on_path, plugins};
use super::super::programs::{self, Program};
use super::super::reaper::Reaper;
use super::super::server::Server;
use super::super::site::{Enclosure, Site};
use super::super::{ControlPlane, Image, NODE_IP};
use super::{BOUND, INTERVAL, LOG_LINES, Start, StartError};

const ENCLOSURE: &str = include_str!("enclosure.sh");

/// The address belongs to the cluster alone, and so do its ports.
const API_SERVER_PORT: u16 = 6443;

/// The node's name.
const NODE: &str = "node-1";

/// The image of the container that holds a Pod's namespaces.
const PAUSE: &str = "wavegate.test/pause:1";

/// Configuration files: the name in the directory, and the text.
const CONFIGURATION: [(&str, &str); 5] = [
    ("containerd.toml", include_str!("../node/containerd.toml")),
    ("cni/pods.conflist", include_str!("../node/cni.json")),
    ("kubelet.yaml", include_str!("../node/kubelet.yaml")),
    ("kube-proxy.yaml", include_str!("../node/kube-proxy.yaml")),
    ("Corefile", include_str!("../node/Corefile")),
];

/// Starts a cluster with one real node and waits until Pods can run on it.
pub(in super::super) fn start() -> Result<ControlPlane, StartError> {
    let programs = programs::ensure()?;
    let begin = Instant::now();
    let reaper = Reaper::start()?;
    let (server, enclosure) = enclose(&reaper)?;
    let site = Site::new(programs, reaper.directory(), Some(enclosure));
    let mut start = Start::new(reaper, vec![server], site)?;
    start.configure()?;
    start.etcd()?;
    let address = start.node_api_server()?;
    start.clients()?;
    start.runtime()?;
    start.kubelet()?;
    start.network()?;
    start.wait_for("the default service account and the node", "kubelet", |start| {
        start.is_usable(&[NODE])
    })?;
    Ok(start.finish(address, begin))
}

/// Takes a cluster that runs elsewhere as it is.
pub(in super::super) fn attach(kubeconfig: PathBuf) -> Result<ControlPlane, StartError> {
    let programs = programs::ensure()?;
    let reaper = Reaper::start()?;
    let kubeconfig = std::path::absolute(kubeconfig)?;
    let site = Site::new(programs, reaper.directory(), None);
    let output = site.kubectl(&kubeconfig).args(["get", "--raw=/readyz"]).try_run()?;
    if !output.status.success() {
        let text = format!("the cluster of {}: {}", kubeconfig.display(), output.stderr.trim());
        return Err(io::Error::other(text).into());
    }
    Ok(ControlPlane::new(reaper, Vec::new(), site, kubeconfig))
}

/// Makes the node's namespaces, with a process that keeps them.
fn enclose(reaper: &Reaper) -> Result<(Server, Enclosure), StartError> {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", ENCLOSURE, "enclosure"])
        .arg(reaper.directory())
        .arg(NODE_IP.to_string());
    let mut server = reaper.spawn("enclosure", command)?;
    let ready = reaper.directory().join("enclosure.ready");
    let deadline = Instant::now() + BOUND;
    while !ready.is_file() {
        if let Some(status) = server.try_wait()? {
            let (server, log) = (server.name().to_owned(), server.log_tail(LOG_LINES));
            return Err(StartError::Ended { server, status, log });
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("the node's namespaces were not made in time").into());
        }
        thread::sleep(INTERVAL);
    }
    let first = only_child(server.pid())?;
    Ok((server, Enclosure { first }))
}

/// The image whose container holds a Pod's namespaces: it does nothing.
fn pause() -> io::Result<Image> {
    let busybox = on_path("busybox").ok_or_else(|| io::Error::other("busybox is not on PATH"))?;
    let program = busybox.to_string_lossy().into_owned();
    let image = Image::new(PAUSE).program(busybox).map_err(io::Error::other)?;
    Ok(image.user("65535:65535").entrypoint([&program, "sleep", "2147483647"]))
}

/// Puts the image of an archive into the node's store; where the node is not ours, by the command that
/// `$WAVEGATE_TEST_LOAD` names, and by nothing where it names none.
pub(in super::super) fn import(site: &Site, archive: &Path) -> io::Result<()> {
    if !site.is_enclosed() {
        let Some(load) = std::env::var_os("WAVEGATE_TEST_LOAD") else { return Ok(()) };
        let mut script = load.clone();
        script.push(" \"$1\"");
        let status = Command::new("sh").arg("-c").arg(script).arg("load").arg(archive).status()?;
        let complaint = || io::Error::other(format!("{}: {status}", load.display()));
        return status.success().then_some(()).ok_or_else(complaint);
    }
    ctr(site, &["images".as_ref(), "import".as_ref(), archive.as_os_str()])
}

/// Gives an image a further name.
pub(in super::super) fn tag(site: &Site, image: &str, name: &str) -> io::Result<()> {
    ctr(site, &["images", "tag", image, name].map(OsStr::new))
}

fn ctr(site: &Site, arguments: &[&OsStr]) -> io::Result<()> {
    let output = site
        .on_node(Program::Ctr)
        .args(["--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"])
        .args(arguments)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ctr of containerd: {}", told.trim())))
}

/// `unshare` forks once, into the new namespaces.
fn only_child(pid: u32) -> io::Result<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let complaint = || format!("process {pid} should have one child and has {children:?}");
    children.trim().parse().map_err(|_| io::Error::other(complaint()))
}

impl Start {
    fn configure(&self) -> io::Result<()> {
        let directory = self.reaper.directory();
        fs::create_dir_all(directory.join("cni"))?;
        let plugins = plugins().unwrap_or(Path::new("/usr/lib/cni"));
        for (name, text) in CONFIGURATION {
            let text = text
                .replace("DIRECTORY", &directory.display().to_string())
                .replace("ADDRESS", &NODE_IP.to_string())
                .replace("CGROUP", &cgroup(directory))
                .replace("PAUSE", PAUSE)
                .replace("NODE", NODE)
                .replace("CNI", &plugins.display().to_string());
            fs::write(directory.join(name), text)?;
        }
        for controller in cgroup_folders()? {
            fs::create_dir_all(controller.join(cgroup(directory)))?;
        }
        Ok(())
    }

    /// Reachable from Pods, and able to reach the kubelet for `kubectl logs`.
    fn node_api_server(&mut self) -> Result<SocketAddr, StartError> {
        let address = SocketAddr::new(NODE_IP, API_SERVER_PORT);
        self.certificates.write_kubeconfigs(address)?;
        let mut command = self.api_server(address)?;
        command
            .args(["--bind-address=0.0.0.0", "--kubelet-preferred-address-types=InternalIP"])
            .arg("--kubelet-client-certificate")
            .arg(self.certificates.certificate("admin"))
            .arg("--kubelet-client-key")
            .arg(self.certificates.key("admin"));
        self.spawn(Program::KubeApiserver, command)?;
        self.wait_for("the API server's /readyz", "kube-apiserver", |start| {
            start.get("/readyz").map(drop)
        })?;
        Ok(address)
    }

    fn runtime(&mut self) -> Result<(), StartError> {
        let mut containerd = self.site.on_node(Program::Containerd);
        containerd.arg("--config").arg(self.reaper.directory().join("containerd.toml"));
        // It finds its shim on PATH.
        containerd.env("PATH", self.path());
        self.spawn(Program::Containerd, containerd)?;
        self.wait_for("containerd", "containerd", |start| {
            ctr(&start.site, &["version".as_ref()]).map_err(|error| error.to_string())
        })?;
        let archive = self.reaper.directory().join("pause.tar");
        pause()?.write(&archive).map_err(io::Error::other)?;
        Ok(import(&self.site, &archive)?)
    }

    fn kubelet(&mut self) -> Result<(), StartError> {
        let directory = self.reaper.directory();
        let mut kubelet = self.site.on_node(Program::Kubelet);
        kubelet
            .arg("--config")
            .arg(directory.join("kubelet.yaml"))
            .arg("--kubeconfig")
            .arg(self.certificates.kubeconfig("kubelet"))
            .arg("--root-dir")
            .arg(directory.join("kubelet"))
            .arg("--cert-dir")
            .arg(directory.join("kubelet/pki"))
            .arg(format!("--node-ip={NODE_IP}"))
            .arg(format!("--hostname-override={NODE}"));
        self.spawn(Program::Kubelet, kubelet)
    }

    /// Services and their names.
    fn network(&mut self) -> Result<(), StartError> {
        let directory = self.reaper.directory().to_owned();
        let mut proxy = self.site.on_node(Program::KubeProxy);
        proxy.arg("--config").arg(directory.join("kube-proxy.yaml"));
        self.spawn(Program::KubeProxy, proxy)?;
        let mut dns = self.site.on_node(Program::CoreDns);
        dns.arg("-conf").arg(directory.join("Corefile"));
        self.spawn(Program::CoreDns, dns)
    }

    fn path(&self) -> OsString {
        let shim = self.site.programs().path(Program::ContainerdShim);
        let mut path = shim.parent().unwrap_or(Path::new("/")).as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }
}

/// The cgroup that all Pods of the cluster in this directory are under.
pub(in super::super) fn cgroup(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The roots of the cgroup hierarchies: one a controller in version 1, a single one in version 2.
fn cgroup_folders() -> io::Result<Vec<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    if let Ok(controllers) = fs::read_to_string(root.join("cgroup.controllers")) {
        // The kubelet wants every controller that there is. Those that are passed on already are not changed.
        for controller in controllers.split_whitespace() {
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        return Ok(vec![root.to_owned()]);
    }
    let folders = fs::read_dir(root)?.map(|entry| entry.map(|entry| entry.path()));
    let folders: io::Result<Vec<PathBuf>> = folders.collect();
    Ok(folders?.into_iter().filter(|folder| folder.join("tasks").is_file()).collect())
}
