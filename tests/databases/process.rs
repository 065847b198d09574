//! Servers as processes that end with the test, whatever becomes of it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start or to end.
pub(crate) const BOUND: Duration = Duration::from_mins(1);
/// The user `nobody`, as whom servers run where the tests are run by root: most of them refuse to be root.
const NOBODY: u32 = 65534;

/// Whether the tests are run by root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A folder that the servers' user owns.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    give(folder.path());
    folder
}

/// Writes a file that the servers' user owns.
pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    give(path);
}

pub(crate) fn give(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Where a program is, also outside of the `PATH` of those who are not root.
pub(crate) fn find(names: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/lib/postgresql/15/bin"].map(PathBuf::from))
        .collect();
    let files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = files.into_iter().find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("none of {names:?} is installed: run `make tools`"))
}

/// A program run by the servers' user, which the kernel ends with the thread that started it.
pub(crate) fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(find(&["setpriv"]));
    if is_root() {
        let user = NOBODY.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "TERM"]).arg("--").arg(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.current_dir("/");
    command
}

/// Runs a program to its end.
pub(crate) fn done(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Sends a signal.
pub(crate) fn signal(name: &str, id: u32) {
    let kill = format!("kill -{name} {id}");
    let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
}

/// Waits until something is there.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + BOUND;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {BOUND:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A running server. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    log: PathBuf,
    /// What ends the server at once, with all that belongs to it.
    ending: &'static str,
}

impl Server {
    /// Starts a server that writes its log to a file.
    pub(crate) fn start(mut command: Command, log: PathBuf, ending: &'static str) -> Self {
        let file = File::create(&log).unwrap();
        let errors = file.try_clone().unwrap();
        let process = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { process, log, ending }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the log has this text.
    pub(crate) fn says(&mut self, text: &str) {
        let end = Instant::now() + BOUND;
        while !self.log().contains(text) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "no {text:?} in\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        signal(self.ending, self.process.id());
        let end = Instant::now() + Duration::from_secs(10);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
