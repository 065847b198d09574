//! Where the programs of one cluster run: its directory, and the network they share.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::kubectl::Kubectl;
use super::programs::{Program, Programs};
use super::reaper;

/// The place of one cluster.
#[derive(Debug, Clone)]
pub struct Site {
    programs: Programs,
    directory: PathBuf,
    /// The namespaces of a real node; none where this machine's own are used.
    enclosure: Option<Enclosure>,
}

/// Namespaces of a node (network, mounts, processes), by the process id of the first process in them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enclosure {
    pub(super) first: u32,
}

impl Site {
    pub(super) fn new(programs: Programs, directory: &Path, enclosure: Option<Enclosure>) -> Self {
        Self { programs, directory: directory.to_owned(), enclosure }
    }

    /// The programs that run here.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The directory of all files of this cluster.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the node is real and of this harness.
    pub(super) fn is_enclosed(&self) -> bool {
        self.enclosure.is_some()
    }

    /// What a person writes before a command that is to reach the cluster.
    pub fn prefix(&self) -> String {
        let enter =
            |enclosure: Enclosure| format!("nsenter --target {} --net -- ", enclosure.first);
        self.enclosure.map(enter).unwrap_or_default()
    }

    /// A program in the cluster's network and in an environment of its own: nothing of the user's
    /// configuration, proxies or caches.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        self.enter(program.as_ref(), &["--net"])
    }

    /// Moves the calling thread into the cluster's network, for good.
    pub fn enter_network(&self) -> io::Result<()> {
        let Some(enclosure) = self.enclosure else { return Ok(()) };
        let network = File::open(format!("/proc/{}/ns/net", enclosure.first))?;
        let kind = Some(LinkNameSpaceType::Network);
        Ok(move_into_link_name_space(network.as_fd(), kind)?)
    }

    /// A program of the node itself, in all of its namespaces.
    pub(super) fn on_node(&self, program: Program) -> Command {
        let mut command = self.enter(&self.programs.path(program), &["--net", "--mount", "--pid"]);
        command.current_dir(&self.directory);
        command
    }

    fn enter(&self, program: &Path, namespaces: &[&str]) -> Command {
        let mut command = match self.enclosure {
            None => Command::new(program),
            Some(enclosure) => {
                let mut command = Command::new("nsenter");
                command.arg("--target").arg(enclosure.first.to_string());
                command.args(namespaces).arg("--").arg(program);
                command
            }
        };
        isolate(&mut command, &self.directory);
        command
    }

    /// A program like [`command`](Self::command), which talks to nobody but by sockets in the directory.
    pub fn command_without_network(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        isolate(&mut command, &self.directory);
        command
    }

    /// Helm for the API server of `kubeconfig`, run as kubectl is.
    pub fn helm(&self, kubeconfig: &Path) -> Kubectl {
        let mut command = self.command(self.programs.path(Program::Helm));
        command.env("KUBECONFIG", kubeconfig);
        Kubectl::new(command)
    }

    /// kubectl for the API server of `kubeconfig`. Its caches go into the directory.
    pub fn kubectl(&self, kubeconfig: &Path) -> Kubectl {
        let mut command = self.command(self.programs.path(Program::Kubectl));
        let mut option = OsString::from("--kubeconfig=");
        option.push(kubeconfig);
        command.arg(option);
        Kubectl::new(command)
    }
}

fn isolate(command: &mut Command, directory: &Path) {
    command
        .env_clear()
        .env("HOME", directory)
        .env("TMPDIR", directory)
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    reaper::mark(command, directory);
}
