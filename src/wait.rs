//! Waits for databases over the network: `wavegate wait-for-db`.
//!
//! ```text
//! Wait::run -> one task per target: attempt, pause, attempt ... -> report, one line at a time
//!              attempt = resolve -> one probe per address -> postgres, mysql, redis, open
//! ```
//!
//! No secret is ever sent: a probe goes as far as a server lets somebody who knows nothing, which is enough to
//! tell a server that is ready from a port that is open. Nothing that is not needed is set up, since most
//! waits end with their first attempt.

mod attempt;
mod backoff;
mod mysql;
mod open;
mod postgres;
mod probe;
mod redis;
mod report;
mod tls;

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{self, Instant};

use crate::domain::database::Target;
use attempt::Limit;
use backoff::Backoff;
use probe::Answer;
use report::Report;

/// How often each target's progress is told.
const PROGRESS: Duration = Duration::from_secs(5);
/// Between a first answer and the second that confirms it.
const CONFIRM: Duration = Duration::from_secs(1);

/// A target, and what named it.
#[derive(Clone, Debug)]
pub struct Named {
    /// What is waited for.
    pub target: Target,
    /// What named it, such as a variable: for people.
    pub source: String,
}

/// A wait.
#[derive(Clone, Debug)]
pub struct Wait {
    /// All of them must be ready.
    pub targets: Vec<Named>,
    /// The longest that the whole wait may take.
    pub bound: Duration,
    /// Whether a target must be ready twice, a second apart.
    pub confirm: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All targets are ready.
    Ready,
    /// Not within the bound.
    Late,
    /// A server says that waiting is useless.
    Useless,
    /// SIGTERM or SIGINT.
    Signalled,
}

/// What a target's task tells of it.
enum News {
    Waits(String),
    Ready(Option<String>),
    Useless(String),
    Broken,
}

impl Wait {
    /// Waits, and says so line by line.
    ///
    /// # Errors
    /// When the runtime or the handlers of signals cannot be set up, or a probe has an error of its own.
    pub fn run(self, say: &mut dyn FnMut(&str)) -> io::Result<Ending> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(LOOKUPS)
            .build()?;
        let ending = runtime.block_on(self.wait(say));
        // A name lookup that hangs cannot be ended and must not hold up the process.
        runtime.shutdown_background();
        ending
    }

    async fn wait(self, say: &mut dyn FnMut(&str)) -> io::Result<Ending> {
        let begin = Instant::now();
        // First of all, since the first process of a container has no default action for signals.
        let mut signals = Signals::new()?;
        let mut report = Report::new(&self.targets, self.bound, say);
        let mut news = self.start();
        let end = time::sleep_until(begin + self.bound);
        tokio::pin!(end);
        let mut progress = time::interval_at(begin + PROGRESS, PROGRESS);
        loop {
            tokio::select! {
                biased;
                name = signals.recv() => {
                    report.signalled(name, begin.elapsed());
                    return Ok(Ending::Signalled);
                }
                Some((at, news)) = news.recv() => match news {
                    News::Waits(reason) => report.waits(at, reason),
                    News::Ready(note) => {
                        if report.ready(at, note.as_deref(), begin.elapsed()) {
                            return Ok(Ending::Ready);
                        }
                    }
                    News::Useless(reason) => {
                        report.useless(at, &reason);
                        return Ok(Ending::Useless);
                    }
                    News::Broken => return Err(io::Error::other("a probe failed by itself")),
                },
                () = &mut end => {
                    report.late();
                    return Ok(Ending::Late);
                }
                _ = progress.tick() => report.progress(begin.elapsed()),
            }
        }
    }

    /// Begins to wait for each target.
    fn start(&self) -> UnboundedReceiver<(usize, News)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for (at, named) in self.targets.iter().enumerate() {
            let (target, sender) = (named.target.clone(), sender.clone());
            tokio::spawn(one(target, self.confirm, self.bound, at, sender));
        }
        receiver
    }
}

/// Waits for one target. Whoever listens ends it at the bound.
async fn one(
    target: Target,
    confirm: bool,
    bound: Duration,
    at: usize,
    news: UnboundedSender<(usize, News)>,
) {
    let end = Instant::now() + bound;
    let mut limit = Limit::within(bound);
    let mut backoff = Backoff::default();
    let mut was_ready = false;
    loop {
        let begin = Instant::now();
        let answer = attempt::attempt(&target, limit).await;
        limit = limit.after(begin.elapsed());
        let (told, pause) = match answer {
            Answer::Ready(note) if was_ready || !confirm => (News::Ready(note), None),
            Answer::Ready(_) => {
                was_ready = true;
                backoff = Backoff::default();
                let left = end.saturating_duration_since(Instant::now());
                let reason = "it was ready once and is asked again".to_owned();
                (News::Waits(reason), Some(CONFIRM.min(left / 2)))
            }
            Answer::Wait(reason) => {
                was_ready = false;
                (News::Waits(reason), Some(backoff.next()))
            }
            Answer::Useless(reason) => (News::Useless(reason), None),
            Answer::Broken => (News::Broken, None),
        };
        // Nobody listens any more: the wait is over.
        if news.send((at, told)).is_err() {
            return;
        }
        match pause {
            Some(pause) => time::sleep(pause).await,
            None => return,
        }
    }
}

/// Threads for name lookups. One that hangs keeps its thread, so there must be some to spare.
const LOOKUPS: usize = 16;

/// What ends the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
