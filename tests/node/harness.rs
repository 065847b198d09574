//! What the other tests rely on: containers run and find each other, and a node leaves nothing behind.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cluster::{ControlPlane, eventually, node};
use crate::installation;
use crate::play;

const BOUND: Duration = Duration::from_mins(1);

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example.com/shop/api:v1
          command: [httpd, -f, -p, '8080', -h, /app/www]
          readinessProbe: {httpGet: {port: 8080, path: /index.html}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: ask}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      initContainers:
        - name: wait
          image: registry.example.com/shop/api:v1
          command: [sh, -c, 'until wget -q -O- http://web/index.html; do sleep 1; done']
      containers:
        - name: ask
          image: registry.example.com/shop/api:v1
          command: [wget, -q, -O-, 'http://web/index.html']
";

#[test]
fn containers_run_are_probed_and_find_services_by_name() {
    let Some(cluster) = installation::shared() else { return };
    let namespace = cluster.namespace("harness", &[]);
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(WEB).ok();
    let wait = ["wait", "job/ask", "--for=condition=Complete", "--timeout=50s"];
    namespace.kubectl().args(wait).ok();
    assert_eq!(namespace.kubectl().args(["logs", "job/ask"]).ok(), "shop v1\n");
    let rollout = ["rollout", "status", "deployment/web", "--timeout=50s"];
    namespace.kubectl().args(rollout).ok();
}

#[test]
fn a_killed_process_leaves_no_process_mount_or_cgroup() {
    if play::role().is_some() {
        let cluster = ControlPlane::start_node().unwrap_or_else(|error| panic!("{error}"));
        println!("\ndirectory {}", cluster.directory().display());
        io::stdin().read_line(&mut String::new()).expect("standard input");
        return;
    }
    // On another cluster there is nothing to leave behind.
    if node::shared().is_none() || node::obstacle().is_some() {
        return;
    }
    let before = traces();
    let mut child =
        play::again(module_path!(), "a_killed_process_leaves_no_process_mount_or_cgroup", "owner")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary once more");
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = stdout.lines().map_while(Result::ok);
    let directory = lines.find_map(|line| line.strip_prefix("directory ").map(PathBuf::from));
    let directory = directory.expect("the child tells its directory");
    let network = network_of_the_node(&directory);
    assert!(in_network(&network) > 8, "the node's processes run");
    assert!(!cgroups(&directory).is_empty());

    child.kill().expect("it runs");
    child.wait().expect("its status");
    eventually("nothing is left", BOUND, || {
        let gone =
            !directory.exists() && in_network(&network) == 0 && cgroups(&directory).is_empty();
        gone.then_some(())
    });
    assert_eq!(traces(), before);
    let mounts = fs::read_to_string("/proc/mounts").expect("the mounts");
    assert!(!mounts.contains(&*directory.to_string_lossy()));
}

/// What a kubelet, containerd and CNI plugins write to by default, and the settings of the machine that a kubelet makes.
fn traces() -> Vec<(&'static str, String)> {
    let settings =
        ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"];
    let settings = settings.map(|setting| {
        (setting, fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap_or_default())
    });
    let places = [
        "/run/containerd",
        "/run/netns",
        "/var/lib/cni",
        "/var/lib/kubelet",
        "/var/log/pods",
        "/opt/containerd",
        "/usr/libexec/kubernetes",
    ];
    let places = places.map(|place| {
        let output = Command::new("find").arg(place).output().expect("find");
        (place, String::from_utf8_lossy(&output.stdout).into_owned())
    });
    settings.into_iter().chain(places).collect()
}

/// The network namespace, as the kernel names it, of the process that keeps the node.
fn network_of_the_node(directory: &Path) -> PathBuf {
    let processes = fs::read_to_string(directory.join("processes")).expect("the servers");
    let keeper = processes.lines().find(|line| line.ends_with(" enclosure"));
    let pid = keeper.and_then(|line| line.split(' ').next()).expect("its pid");
    fs::read_link(format!("/proc/{pid}/ns/net")).expect("its network")
}

fn in_network(network: &Path) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let own = |path: PathBuf| fs::read_link(path.join("ns/net")).is_ok_and(|own| own == network);
    processes.filter(|entry| own(entry.path())).count()
}

fn cgroups(directory: &Path) -> Vec<PathBuf> {
    let name = directory.file_name().expect("a name");
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let candidates = below.chain([root.to_owned()]).map(|folder| folder.join(name));
    candidates.filter(|cgroup| cgroup.is_dir()).collect()
}
