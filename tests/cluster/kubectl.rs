//! kubectl, the real one, run to its end.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long kubectl may take unless [`Kubectl::within`] says otherwise.
const BOUND: Duration = Duration::from_mins(1);

/// A kubectl command line in the making. It knows the control plane and nothing of the user's
/// configuration. Every run is bounded in time: 60 seconds, or what [`within`](Self::within) says.
#[derive(Debug)]
#[must_use = "nothing happens until it is run"]
pub struct Kubectl {
    command: Command,
    stdin: Option<Vec<u8>>,
    bound: Duration,
}

/// What a finished kubectl left.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Its standard error, likewise. Warnings of admission webhooks are here, as `Warning: ...` lines.
    pub stderr: String,
}

impl Kubectl {
    pub(super) fn new(command: Command) -> Self {
        Self { command, stdin: None, bound: BOUND }
    }

    /// Appends arguments.
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    /// Appends `--namespace`.
    pub fn namespace(self, name: &str) -> Self {
        self.args(["--namespace", name])
    }

    /// What `--filename -` shall read.
    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Another bound than 60 seconds. When it is over, kubectl is killed and the run has failed.
    pub fn within(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Runs kubectl to its end, whether it succeeds or not.
    ///
    /// # Panics
    /// When it cannot be run or is not done within the bound.
    pub fn run(self) -> Output {
        let line = self.line();
        match self.try_run() {
            Ok(output) => output,
            Err(error) => panic!("{line}: {error}"),
        }
    }

    /// Runs kubectl, which must succeed, and returns its standard output.
    ///
    /// # Panics
    /// With the command line and standard error when kubectl fails.
    pub fn ok(self) -> String {
        let line = self.line();
        let output = self.run();
        assert!(output.status.success(), "{line}: {}\n{}", output.status, output.stderr);
        output.stdout
    }

    /// Like [`ok`](Self::ok), with `--output=json` appended, and the output parsed.
    ///
    /// # Panics
    /// When kubectl fails or its output is not JSON.
    pub fn json(self) -> Value {
        let kubectl = self.args(["--output=json"]);
        let line = kubectl.line();
        let stdout = kubectl.ok();
        match serde_json::from_str(&stdout) {
            Ok(value) => value,
            Err(error) => panic!("{line}: not JSON: {error}\n{stdout}"),
        }
    }

    /// Starts kubectl without waiting for its end, say for a watch. Its standard output is a pipe.
    pub(super) fn spawn(mut self) -> io::Result<Child> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    /// Like [`run`](Self::run), with an error where that panics. The error's kind is `TimedOut` when
    /// the bound is over.
    pub fn try_run(mut self) -> io::Result<Output> {
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child =
            self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), self.stdin.take()) {
            // A kubectl that ends before it has read all reports the reason itself.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let status = wait(&mut child, self.bound)?;
        Ok(Output { status, stdout: text(stdout), stderr: text(stderr) })
    }

    /// The command line for messages, as one would type it with the kubeconfig set.
    fn line(&self) -> String {
        self.command.get_args().skip(1).fold("kubectl".to_owned(), |mut line, arg| {
            let _ = write!(line, " {}", arg.display());
            line
        })
    }
}

fn wait(child: &mut Child, bound: Duration) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            let text = format!("not done within {bound:?}, so it was killed");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe beside the others, so that none of them fills up and blocks the writer.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is the most there is to have.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn text(reader: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}
