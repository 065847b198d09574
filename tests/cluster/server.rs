//! A running server of the control plane, or one that a test adds to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

/// A server that runs in a process group of its own. Dropping it kills the group.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    pub(super) fn new(name: &str, child: Child, log: PathBuf) -> Self {
        Self { name: name.to_owned(), child, log }
    }

    /// The name under which it was started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, which is the process group's id as well.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that receives the server's standard output and standard error.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What the server has logged so far; empty if that cannot be read.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last `count` lines of the log.
    pub fn log_tail(&self, count: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Sends a signal, named as `kill -s` names it (`TERM`, `INT`, `HUP`, `STOP`), to the server's
    /// process, not to its descendants. Fails when the server has ended already.
    pub fn signal(&mut self, signal: &str) -> io::Result<()> {
        // A pid names this process only until its status is collected.
        if let Some(status) = self.try_wait()? {
            let text = format!("{} has ended already ({status})", self.name);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        kill(signal, &self.pid().to_string())
    }

    /// The exit status if the server has ended, without waiting for that.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills the server's process group with `SIGKILL`, unless the server has ended, and waits for
    /// the server. For an orderly stop send `TERM` and wait for the end with
    /// [`eventually`](super::eventually) and [`try_wait`](Self::try_wait).
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        if kill("KILL", &format!("-{}", self.pid())).is_err() {
            self.child.kill()?;
        }
        self.child.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done here about a failure; the reaper tries again.
        let _ = self.stop();
    }
}

/// The shell's own `kill`: the standard library sends `SIGKILL` only, and to single processes.
fn kill(signal: &str, target: &str) -> io::Result<()> {
    let output =
        Command::new("sh").args(["-c", r#"kill "-$1" "$2""#, "kill", signal, target]).output()?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("cannot send {signal} to {target}: {}", reason.trim())))
}
