//! A network of its own, with addresses, names and a resolver that no other process sees.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process::{is_root, unprivileged};

/// Namespaces, held by a process that does nothing else.
pub(crate) struct Network {
    holder: Child,
    folder: TempDir,
}

const SCRIPT: &str = "mount --bind \"$1/hosts\" /etc/hosts &&
mount --bind \"$1/resolv.conf\" /etc/resolv.conf &&
ip link set lo up && shift && for address; do ip addr add \"$address\" dev lo || exit; done &&
echo up && exec sleep 600";

impl Network {
    /// A network with these addresses, in which names are those of `hosts` and the resolver is 127.0.0.1.
    pub(crate) fn new(addresses: &[&str], hosts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hosts"), hosts).unwrap();
        let resolver = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
        fs::write(folder.path().join("resolv.conf"), resolver).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount"]);
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-c", SCRIPT, "sh"]).arg(folder.path()).args(addresses);
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "up\n", "no network namespace: these tests need root, or user namespaces");
        Self { holder, folder }
    }

    /// Replaces the names.
    pub(crate) fn write_hosts(&self, hosts: &str) {
        // In place: the mount is of this very file.
        fs::write(self.folder.path().join("hosts"), hosts).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program in this network.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--mount"]);
        if !is_root() {
            command.arg("--user");
        }
        command.args(["--", program]);
        command
    }

    /// A server in this network, run by the servers' user.
    pub(crate) fn server(&self, program: &Path) -> Command {
        let inner = unprivileged(program);
        let mut command = self.command(inner.get_program().to_str().unwrap());
        command.args(inner.get_args()).env_clear();
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
