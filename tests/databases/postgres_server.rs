//! PostgreSQL's server.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{self, Server, done, find, free_port, unprivileged};
use crate::waiter::PASSWORD;

/// A cluster, and its server while that runs.
pub(crate) struct Postgres {
    server: Option<Server>,
    folder: TempDir,
    pub(crate) port: u16,
}

impl Postgres {
    /// A cluster whose server is not started.
    pub(crate) fn new() -> Self {
        let postgres = Self { server: None, folder: process::folder(), port: free_port() };
        let data = postgres.data();
        let mut initdb = unprivileged(&find(&["initdb"]));
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres", "--no-locale", "-D"]);
        done(initdb.arg(&data));
        postgres
    }

    /// A server that accepts connections, with these settings.
    pub(crate) fn serving(settings: &[&str]) -> Self {
        let mut postgres = Self::new();
        postgres.start(settings, "database system is ready to accept connections");
        postgres
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file of the cluster.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.data().join(file);
        process::write(&path, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Starts the server and waits for a line of its log.
    pub(crate) fn start(&mut self, settings: &[&str], line: &str) {
        let mut command = unprivileged(&find(&["postgres"]));
        command.arg("-D").arg(self.data());
        let port = format!("port={}", self.port);
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let common =
            ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=8MB", "autovacuum=off"];
        for setting in [port.as_str(), sockets.as_str()].iter().chain(&common).chain(settings) {
            command.args(["-c", setting]);
        }
        let log = self.folder.path().join("log");
        // The way to end all its processes at once.
        let server = self.server.insert(Server::start(command, log, "QUIT"));
        server.says(line);
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    pub(crate) fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    pub(crate) fn promote(&self) {
        let mut command: Command = unprivileged(&find(&["pg_ctl"]));
        done(command.args(["promote", "--no-wait", "-D"]).arg(self.data()));
    }

    /// A URL with a password, and with this behind the host and port.
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}{rest}", self.port)
    }

    /// A session that stays until it is dropped.
    pub(crate) fn session(&self) -> TcpStream {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        stream.write_all(&u32::try_from(body.len() + 4).unwrap().to_be_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let (mut said, mut buffer) = (Vec::new(), [0; 1024]);
        while !said.ends_with(b"Z\0\0\0\x05I") {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&buffer[..length]);
        }
        stream
    }
}
