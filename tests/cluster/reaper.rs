//! The reaper: a shell process that outlives this one and removes what this one leaves behind.
//!
//! Destructors are no help against `SIGKILL`, `abort` or Ctrl-C, and a `static` is never dropped. The
//! kernel, however, closes the pipes of every process that ends. The reaper blocks on such a pipe; the
//! script `reaper.sh` says what it does at end of file.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, process};

use super::server::Server;

const SCRIPT: &str = include_str!("reaper.sh");

/// The environment variable by which the reaper knows the programs it has to end.
const MARKER: &str = "WAVEGATE_CONTROL_PLANE";

/// How long a drop waits for the reaper: twice the bounds of the script's own loops.
const PATIENCE: Duration = Duration::from_secs(40);

/// A fresh directory and the process that removes it, with every program started by [`Reaper::spawn`],
/// when this value is dropped or this process ends in whatever way.
#[derive(Debug)]
pub struct Reaper {
    directory: PathBuf,
    process: Child,
    /// The write end of the reaper's standard input. The standard library opens it close-on-exec, so
    /// no other child inherits it and keeps the pipe open after this process.
    lifeline: Option<ChildStdin>,
}

impl Reaper {
    /// Starts the reaper, which makes the directory `wavegate-...` under [`env::temp_dir`], open to
    /// this user only. Fails when there is no `sh` or the directory cannot be made.
    pub fn start() -> io::Result<Self> {
        let directory = fresh_directory()?;
        let mut process = Command::new("sh")
            .args(["-c", SCRIPT, "reaper"])
            .arg(&directory)
            .current_dir("/")
            .env_remove(MARKER)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("cannot run sh: {error}")))?;
        let lifeline = process.stdin.take();
        let mut answer = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut answer)?;
        }
        let reaper = Self { directory, process, lifeline };
        if answer == "ready\n" {
            Ok(reaper)
        } else {
            let place = reaper.directory.display();
            Err(io::Error::other(format!("the reaper cannot make the directory {place}")))
        }
    }

    /// The directory that goes away with the reaper.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts a server under the reaper, in a process group of its own: Ctrl-C reaches this process
    /// alone, and the reaper then ends the server. Standard input is empty; standard output and error
    /// are appended to `<directory>/<name>.log`.
    pub fn spawn(&self, name: &str, mut command: Command) -> io::Result<Server> {
        let log = self.directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        self.mark(&mut command);
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| {
                let program = command.get_program().display();
                io::Error::new(error.kind(), format!("cannot run {program}: {error}"))
            })?;
        let server = Server::new(name, child, log);
        let line = format!("{} {} {name}\n", server.pid(), start_time(server.pid()));
        let mut processes = File::options().append(true).open(self.directory.join("processes"))?;
        processes.write_all(line.as_bytes())?;
        Ok(server)
    }

    /// Marks a command, so that the reaper ends it even if it is not recorded as a server.
    pub fn mark(&self, command: &mut Command) {
        mark(command, &self.directory);
    }
}

/// Marks a command for the reaper of this directory.
pub(super) fn mark(command: &mut Command, directory: &Path) {
    command.env(MARKER, directory);
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
    }
}

/// A path that no other process and no other control plane of this process uses.
fn fresh_directory() -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let parent = std::path::absolute(env::temp_dir())?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    Ok(parent.join(format!("wavegate-{}-{count}-{now:08x}", process::id())))
}

/// Field 22 of `/proc/<pid>/stat` as the reaper compares it, or `-` where there is none.
fn start_time(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            // The second field is the program's name in parentheses, with any characters in it.
            let (_, fields) = stat.rsplit_once(") ")?;
            fields.split(' ').nth(19).map(str::to_owned)
        })
        .unwrap_or_else(|| "-".to_owned())
}
