//! Nothing of a control plane stays behind, however its process ends.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, process};

use crate::cluster::{self, ControlPlane, eventually};
use crate::play;

/// How long the reaper may take on a busy machine. It takes some tenths of a second on an idle one.
const BOUND: Duration = Duration::from_secs(15);

const STARTED: Duration = Duration::from_mins(3);

/// A server that only its pid tells, for it has no environment, and with it a descendant that only the
/// environment tells, for it has left the process group and is recorded nowhere.
const STRAY: &str = "setsid sh -c 'echo $$ >stray.pid; exec sleep 1000' & exec env -i sleep 1000";

#[test]
fn after_a_drop() {
    let control_plane = ControlPlane::start().unwrap_or_else(|error| panic!("{error}"));
    let remains = Remains::of(control_plane.directory());
    assert_eq!(remains.pids.len(), 5);
    drop(control_plane);
    remains.assert_gone(Duration::ZERO);
}

#[test]
fn after_a_normal_exit() {
    if let Some(output) = in_child("after_a_normal_exit", || {}, |_| {}) {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[test]
fn after_a_panic() {
    let fail = || {
        let namespace = cluster::shared().namespace("cleanup::panics", &[]);
        let create = ["create", "deployment", "web", "--image=example.com/web:1"];
        namespace.kubectl().args(create).ok();
        panic!("as the test wants");
    };
    let Some(output) = in_child("after_a_panic", fail, |_| {}) else {
        return;
    };
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for part in ["as the test wants", "state of namespace test-cleanup-panics-1:", "apps/web"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn after_an_abort() {
    if let Some(output) = in_child("after_an_abort", || process::abort(), |_| {}) {
        assert_eq!(output.status.signal(), Some(6), "{output:?}");
    }
}

#[test]
fn after_ctrl_c() {
    // A terminal sends SIGINT to the whole process group.
    let interrupt = |child: &Child| signal("INT", &format!("-{}", child.id()));
    if let Some(output) = in_child("after_ctrl_c", || {}, interrupt) {
        // What a shell without job control starts in the background ignores SIGINT.
        let ignored = output.status.success();
        assert!(output.status.signal() == Some(2) || ignored, "{output:?}");
    }
}

#[test]
fn after_a_kill() {
    let kill = |child: &Child| signal("KILL", &child.id().to_string());
    if let Some(output) = in_child("after_a_kill", || {}, kill) {
        assert_eq!(output.status.signal(), Some(9), "{output:?}");
    }
}

#[test]
fn after_a_kill_during_the_start() {
    if play::role().is_some() {
        cluster::shared();
        return wait_for_the_parent();
    }
    let mut child = spawn("after_a_kill_during_the_start");
    let directory = eventually("the API server is started", STARTED, || {
        let prefix = format!("wavegate-{}-", child.id());
        let entries = fs::read_dir(env::temp_dir()).expect("the temporary directory");
        let mut paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let found = paths.find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        })?;
        found.join("kube-apiserver.log").exists().then_some(found)
    });
    let remains = Remains::of(&directory);
    signal("KILL", &child.id().to_string());
    child.wait().expect("its status");
    remains.assert_gone(BOUND);
}

/// Whoever has the pid of a server that ended long ago is left alone. Start times come from `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn a_reused_pid_is_spared() {
    let mut other = Command::new("sleep").arg("1000").spawn().expect("sleep");
    let reaper = cluster::reaper::Reaper::start().expect("a reaper");
    let line = format!("{} 1 ended-long-ago\n", other.id());
    fs::write(reaper.directory().join("processes"), line).expect("the processes");
    drop(reaper);
    assert!(runs(other.id()));
    other.kill().expect("it runs");
    other.wait().expect("its status");
}

/// In the child: starts a control plane, tells its directory, waits for the parent and calls `end`. In
/// the parent: starts that child, looks at what runs, calls `act`, asserts that nothing is left,
/// and returns how the child ended, with its standard error.
fn in_child(test: &str, end: impl FnOnce(), act: impl FnOnce(&Child)) -> Option<Output> {
    if play::role().is_some() {
        let control_plane = cluster::shared();
        let mut command = Command::new("sh");
        command.args(["-c", STRAY]).current_dir(control_plane.directory());
        let stray = control_plane.spawn("stray", command).expect("sh");
        // Only the reaper may end it.
        std::mem::forget(stray);
        println!("\ndirectory {}", control_plane.directory().display());
        wait_for_the_parent();
        end();
        return None;
    }
    let mut child = spawn(test);
    let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = stdout.lines().map_while(Result::ok);
    let directory = lines.find_map(|line| line.strip_prefix("directory ").map(PathBuf::from));
    let mut remains = Remains::of(&directory.expect("the child tells its directory"));
    assert_eq!(remains.pids.len(), 6);
    if cfg!(target_os = "linux") {
        let file = remains.directory.join("stray.pid");
        let pid = eventually("the stray process runs", BOUND, || {
            fs::read_to_string(&file).ok()?.trim().parse().ok()
        });
        remains.pids.push(pid);
    }
    assert!(remains.pids.iter().all(|pid| runs(*pid)));
    act(&child);
    // This closes the child's standard input.
    let output = child.wait_with_output().expect("its output");
    remains.assert_gone(BOUND);
    Some(output)
}

fn spawn(test: &str) -> Child {
    play::again(module_path!(), test, "owner")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary once more")
}

/// Returns when the parent has closed the child's standard input, or has ended.
fn wait_for_the_parent() {
    io::stdin().read_line(&mut String::new()).expect("standard input");
}

struct Remains {
    directory: PathBuf,
    pids: Vec<u32>,
}

impl Remains {
    fn of(directory: &Path) -> Self {
        let processes = fs::read_to_string(directory.join("processes")).expect("the servers");
        let pid = |line: &str| line.split(' ').next().and_then(|pid| pid.parse().ok());
        Self { directory: directory.to_owned(), pids: processes.lines().filter_map(pid).collect() }
    }

    fn assert_gone(&self, bound: Duration) {
        let start = Instant::now();
        let what = format!("{} and {:?} are gone", self.directory.display(), self.pids);
        eventually(&what, bound, || {
            let gone = !self.directory.exists() && !self.pids.iter().any(|pid| runs(*pid));
            gone.then_some(())
        });
        println!("gone after {:?}", start.elapsed());
    }
}

/// Is there such a process? One that only waits to be collected by its parent does not count.
fn runs(pid: u32) -> bool {
    let script = r#"case $(ps -o stat= -p "$1") in "" | Z*) exit 1 ;; esac"#;
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        Err(_) if Path::new("/proc/self").exists() => false,
        Err(_) => Command::new("sh")
            .args(["-c", script, "runs", &pid.to_string()])
            .status()
            .is_ok_and(|status| status.success()),
    }
}

fn signal(signal: &str, target: &str) {
    let status = Command::new("sh")
        .args(["-c", r#"kill "-$1" "$2""#, "kill", signal, target])
        .status()
        .expect("sh");
    assert!(status.success(), "kill -{signal} {target}");
}
