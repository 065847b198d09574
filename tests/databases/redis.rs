//! Redis.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Server, find, folder, free_port, unprivileged};
use crate::waiter::{PASSWORD, Waiter};

/// redis-check-rdb is the server under another name, and what it does depends on that.
fn redis(folder: &TempDir, port: u16, settings: &[&str]) -> Server {
    let program = folder.path().join("redis-server");
    if !program.exists() {
        std::os::unix::fs::symlink(find(&["redis-server", "redis-check-rdb"]), &program).unwrap();
    }
    let mut command: Command = unprivileged(&program);
    let folder: PathBuf = folder.path().to_owned();
    let port = port.to_string();
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&folder);
    command.args(settings);
    Server::start(command, folder.join("log"), "TERM")
}

fn ask(port: u16, command: &str) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "{command}\r\n").unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("+OK"), "{command}: {answer}");
}

#[test]
fn it_is_waited_for_while_it_loads() {
    let (folder, port) = (folder(), free_port());
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{port}/0");
    let mut server = redis(&folder, port, &["--enable-debug-command", "yes"]);
    server.says("eady to accept connections");
    Waiter::new(20).target(&url).run().ready();
    ask(port, "DEBUG POPULATE 10000");
    ask(port, "SAVE");
    drop(server);
    // Half a millisecond for each key.
    let slow = ["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"];
    let mut server = redis(&folder, port, &slow);
    server.says("Server initialized");
    let said = Waiter::new(2).target(&url).run();
    said.gave_up(2, &["LOADING Redis is loading the dataset in memory"]);
    let said = Waiter::new(30).target(&url).run();
    assert!(said.ready().took > Duration::from_millis(200), "{said:?}");
}

#[test]
fn it_is_ready_where_it_wants_a_password() {
    let (folder, port) = (folder(), free_port());
    let mut server = redis(&folder, port, &["--requirepass", "another"]);
    server.says("eady to accept connections");
    Waiter::new(20).target(&format!("redis://:{PASSWORD}@127.0.0.1:{port}")).run().ready();
}

#[test]
fn it_is_waited_for_as_a_replica_without_its_master() {
    let (folder, port) = (folder(), free_port());
    let master = format!("127.0.0.1 {}", free_port());
    let settings = ["--replicaof", &master, "--replica-serve-stale-data", "no"];
    let mut server = redis(&folder, port, &settings);
    server.says("Server initialized");
    let said = Waiter::new(2).target(&format!("redis://127.0.0.1:{port}")).run();
    said.gave_up(2, &["MASTERDOWN"]);
}

#[test]
fn it_is_asked_over_tls_where_the_url_says_so() {
    let (folder, port, plain) = (folder(), free_port(), free_port());
    let key = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        crate::process::write(&path, text);
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("crt", &key.cert.pem());
    let secret = file("key", &key.signing_key.serialize_pem());
    let url = format!("rediss://:{PASSWORD}@127.0.0.1:{port}");
    for (wanted, note) in [("no", None), ("yes", Some("it wants a client certificate"))] {
        let tls = port.to_string();
        let settings = [
            "--tls-port",
            &tls,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &secret,
            "--tls-ca-cert-file",
            &certificate,
            "--tls-auth-clients",
            wanted,
        ];
        let mut server = redis(&folder, plain, &settings);
        server.says("eady to accept connections");
        let said = Waiter::new(20).target(&url).run();
        match note {
            Some(note) => said.ended(0, &[note]),
            None => said.ready(),
        };
    }
}
