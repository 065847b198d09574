//! `wavegate certs` and `wavegate serve` as programs: started, asked, told to end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::Value;

use crate::client::{Connection, LoadClient, Reply, trusting};

const BOUND: Duration = Duration::from_secs(20);

pub(crate) fn wavegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavegate"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn certs(directory: &Path, more: &[&str]) -> Output {
    let mut command = wavegate(&["certs", "--dns", "wavegate.wavegate.svc", "--ip", "127.0.0.1"]);
    command.args(more).arg("--directory").arg(directory).output().expect("wavegate runs")
}

pub(crate) struct Serving {
    process: Child,
    listen: SocketAddr,
    health: SocketAddr,
    log: BufReader<std::process::ChildStdout>,
}

impl Serving {
    fn start(directory: &Path, drain: &str) -> Self {
        Self::start_with(directory, drain, &["--waiter-image", "example.com/wavegate:v1"])
    }

    fn start_with(directory: &Path, drain: &str, more: &[&str]) -> Self {
        Self::start_in(directory, drain, more, &[])
    }

    /// In this environment.
    pub(crate) fn start_in(
        directory: &Path,
        drain: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command =
            wavegate(&["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]);
        command.args(["--standalone", "--drain-delay", drain]).args(more);
        command.envs(environment.iter().copied());
        command.arg("--tls-cert").arg(directory.join("tls.crt"));
        command.arg("--tls-key").arg(directory.join("tls.key"));
        let mut process = command.stdout(Stdio::piped()).spawn().expect("wavegate runs");
        let mut log = BufReader::new(process.stdout.take().expect("its log"));
        let mut line = String::new();
        log.read_line(&mut line).expect("its log");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(event["message"], "serving", "{line}");
        let address = |field: &str| {
            event[field].as_str().and_then(|text| text.parse().ok()).expect("an address")
        };
        Self { process, listen: address("listen"), health: address("health"), log }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.health) {
            let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let _ = stream.read_to_string(&mut answer);
        }
        answer
    }

    pub(crate) fn until_ready(&self) {
        self.until(|serving| serving.get("/readyz").starts_with("HTTP/1.1 200"));
    }

    pub(crate) fn until(&self, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + BOUND;
        while !condition(self) {
            let (ready, metrics) = (self.get("/readyz"), self.get("/metrics"));
            assert!(Instant::now() < deadline, "{ready}\n{metrics}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, directory: &Path, request: &[u8]) -> Reply {
        let ca = fs::read_to_string(directory.join("ca.crt")).expect("a CA");
        let tls = trusting(&[&ca]);
        let connection = Connection::open(self.listen, "wavegate.wavegate.svc", &tls);
        let mut connection = connection.await.expect("a connection");
        connection.send(request).await.expect("sent");
        connection.reply().await.expect("an answer")
    }

    /// Ends it in order; returns what it logged since it was started.
    pub(crate) fn end(mut self) -> Vec<Value> {
        self.terminate();
        let mut log = String::new();
        self.log.read_to_string(&mut log).expect("its log");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}: {log}");
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn certs_does_not_overwrite_a_key_unasked() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(certs(directory.path(), &[]).status.success());
    let key = fs::read(directory.path().join("tls.key")).expect("a key");
    let again = certs(directory.path(), &[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"), "{again:?}");
    assert_eq!(fs::read(directory.path().join("tls.key")).expect("a key"), key);
    assert!(certs(directory.path(), &["--force", "--days", "7"]).status.success());
    assert_ne!(fs::read(directory.path().join("tls.key")).expect("a key"), key);
}

#[test]
fn a_server_without_its_certificate_says_which_file() {
    let output = wavegate(&[
        "serve",
        "--standalone",
        "--tls-cert",
        "/no/such.crt",
        "--tls-key",
        "/no/such.key",
    ])
    .args(["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"])
    .output()
    .expect("wavegate runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such.crt"), "{output:?}");
}

/// The whole way of a pod's end: load that goes on until `/readyz` fails, and not one failed request.
#[test]
fn a_server_that_cannot_inject_its_own_waiter_says_so_once() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(certs(directory.path(), &[]).status.success());
    let told = |more: &[&str]| {
        let mut serving = Serving::start_with(directory.path(), "0s", more);
        serving.until_ready();
        serving.terminate();
        let mut log = String::new();
        serving.log.read_to_string(&mut log).expect("its log");
        log.matches("migrations get a waiter of busybox").count()
    };
    assert_eq!(told(&[]), 1);
    assert_eq!(told(&["--waiter-image", "example.com/wavegate:v1"]), 0);
    assert_eq!(told(&["--waiter", "busybox"]), 0);
}

#[test]
fn sigterm_under_load_fails_no_request() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(certs(directory.path(), &[]).status.success());
    let mut serving = Serving::start(directory.path(), "2s");
    serving.until_ready();
    let ca = fs::read_to_string(directory.path().join("ca.crt")).expect("a CA");
    let body = fs::read("tests/fixtures/bench/create-deployment.json").expect("a review");
    let client = LoadClient {
        address: serving.listen,
        tls: trusting(&[&ca]),
        server_name: "wavegate.wavegate.svc".to_owned(),
        path: "/validate/enforce?timeout=3s".to_owned(),
        body,
        connections: 8,
        requests: usize::MAX,
        at_most: BOUND,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let load = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(client.run(&stop))
        }
    });
    // The log is read beside the load, as a container's is; it ends with the process.
    let mut decisions = 0_usize;
    let mut line = String::new();
    while decisions < 500 && serving.log.read_line(&mut line).expect("its log") > 0 {
        decisions += usize::from(line.contains("\"decision\""));
        line.clear();
    }
    serving.terminate();
    let mut log = std::mem::replace(&mut serving.log, BufReader::new(serving_sink()));
    let reader = thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).map(|_| rest)
    });
    let deadline = Instant::now() + BOUND;
    while serving.get("/readyz").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < deadline, "still ready after SIGTERM");
        thread::sleep(Duration::from_millis(10));
    }
    stop.store(true, Ordering::Relaxed);
    let report = load.join().expect("the load");
    assert_eq!(report.failures, Vec::<String>::new());
    let status = serving.process.wait().expect("it ends");
    assert!(status.success(), "{status}");
    let rest = reader.join().expect("the log").expect("text");
    decisions += rest.lines().filter(|line| line.contains("\"decision\"")).count();
    assert_eq!(decisions, report.succeeded, "one event per decision");
}

/// Stands for the log once a thread has taken it.
fn serving_sink() -> std::process::ChildStdout {
    let mut child = Command::new("true").stdout(Stdio::piped()).spawn().expect("true");
    let stdout = child.stdout.take().expect("its output");
    let _ = child.wait();
    stdout
}
