//! The waiter as the kubelet runs it: its arguments, a few variables, and what it leaves behind.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Stands for the password of every URL, and is looked for in everything that is said.
pub(crate) const PASSWORD: &str = "SEKRET-pass";

/// What a wait may take beyond its bound, on a machine that is busy with other things.
const SLACK: Duration = Duration::from_millis(1500);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_wavegate");

/// A wait that is to be started.
pub(crate) struct Waiter {
    command: Command,
    bound: Duration,
}

/// A wait that goes on.
pub(crate) struct Waiting {
    process: Child,
    begin: Instant,
    bound: Duration,
}

/// A wait that ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Waiter {
    /// A wait of so many seconds at most.
    pub(crate) fn new(seconds: u64) -> Self {
        Self::by(Command::new(PROGRAM), seconds)
    }

    /// The same, started by a command that ends in the program.
    pub(crate) fn by(command: Command, seconds: u64) -> Self {
        let bound = Duration::from_secs(seconds);
        Self::of(command, &format!("{seconds}s"), bound)
    }

    /// A wait with a bound as this text, which ends at once.
    pub(crate) fn within(timeout: &str) -> Self {
        Self::of(Command::new(PROGRAM), timeout, Duration::ZERO)
    }

    fn of(mut command: Command, timeout: &str, bound: Duration) -> Self {
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["wait-for-db", "--timeout", timeout]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, bound }
    }

    /// Waits for this, given by `--target`.
    pub(crate) fn target(mut self, target: &str) -> Self {
        self.command.args(["--target", target]);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn start(mut self) -> Waiting {
        let begin = Instant::now();
        Waiting { process: self.command.spawn().unwrap(), begin, bound: self.bound }
    }

    pub(crate) fn run(self) -> Said {
        self.start().end()
    }
}

impl Waiting {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Memory that only the process has, in KiB: what a test's build maps of the program differs from a release.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap()
    }

    /// Waits for the end, which must come within the bound.
    pub(crate) fn end(mut self) -> Said {
        let late = self.begin + self.bound + SLACK;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > late {
                let _ = self.process.kill();
                panic!("the wait outlasts its bound of {:?}", self.bound);
            }
            thread::sleep(Duration::from_millis(5));
        };
        let took = self.begin.elapsed();
        let (mut text, mut out) = (String::new(), String::new());
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        self.process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(out.is_empty(), "{out}");
        assert!(!text.contains("SEKRET"), "a password is told: {text}");
        for line in text.lines() {
            assert!(line.starts_with("wait-for-db: "), "{line:?} of {text}");
        }
        Said { code: status.code(), text, took }
    }
}

impl Said {
    pub(crate) fn last(&self) -> &str {
        self.text.lines().last().unwrap_or_default()
    }

    /// Asserts how it ended, and that the last line has all of this.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.text);
        for part in parts {
            assert!(self.last().contains(part), "no {part:?} in the last line of\n{}", self.text);
        }
        self
    }

    /// Asserts that it gave up, for this reason, and not before its time.
    #[track_caller]
    pub(crate) fn gave_up(&self, seconds: u64, parts: &[&str]) -> &Self {
        self.ended(1, parts);
        let end = format!("was not ready within {seconds} s: ");
        assert!(self.last().contains(&end), "{}", self.text);
        assert!(
            self.last().contains("; the migration was not started: check that"),
            "{}",
            self.text
        );
        assert!(self.took >= Duration::from_secs(seconds), "{:?}: {}", self.took, self.text);
        self
    }

    /// Asserts that it ended well, without anything to note.
    #[track_caller]
    pub(crate) fn ready(&self) -> &Self {
        self.ended(0, &[" is ready after "]);
        assert!(self.last().ends_with(" s"), "there is a note: {}", self.text);
        self
    }
}
