//! The log: JSON, one object a line.
//!
//! Every decision is an event, so writing one must cost a decision little. Lines are collected in memory and
//! written together by a thread of their own, a few times a second and when the process ends in order.

mod json;

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait.
const PATIENCE: Duration = Duration::from_millis(50);
/// How many bytes may wait; whoever logs more waits until they are written. Nothing is dropped.
const CAPACITY: usize = 256 << 10;
/// Name of the writing thread.
pub const THREAD: &str = "log";

/// A log in use. Dropping it writes what still waits.
#[must_use = "what waits is written when this is dropped"]
pub struct Log {
    lines: Arc<Lines>,
    writer: Option<thread::JoinHandle<()>>,
}

/// Logs the process's events of this level and worse, each as one line of JSON. The first call decides for
/// the whole process.
pub fn start(level: LevelFilter, writer: impl Write + Send + 'static) -> io::Result<Log> {
    let lines = Arc::new(Lines::default());
    let writing = Arc::clone(&lines);
    let thread = thread::Builder::new().name(THREAD.to_owned());
    let writer = Some(thread.spawn(move || writing.write_to(writer))?);
    let subscriber = tracing_subscriber::fmt()
        .event_format(json::Json)
        .with_max_level(level)
        .with_writer(Waiting(Arc::clone(&lines)));
    // A second server in one process, as in tests, logs through the first one's.
    let _ = subscriber.try_init();
    Ok(Log { lines, writer })
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.lock().ending = true;
        self.lines.changed.notify_all();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to say.
            let _ = writer.join();
        }
    }
}

/// Lines on their way to the writer.
#[derive(Default)]
struct Lines {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ending: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The bytes are whole lines at every moment, so a panic elsewhere leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        while state.bytes.len() > CAPACITY && !state.ending {
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let first = state.bytes.is_empty();
        state.bytes.extend_from_slice(line);
        if first {
            self.changed.notify_all();
        }
    }

    /// Writes what comes until the end. A reader that is gone ends the writing, not the server.
    fn write_to(&self, mut writer: impl Write) {
        let mut batch = Vec::new();
        loop {
            let idle = |state: &mut State| !state.ending && state.bytes.is_empty();
            let state = self.changed.wait_while(self.lock(), idle);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            // More will follow the first line; one system call for all of them is enough.
            let patient = |state: &mut State| !state.ending && state.bytes.len() <= CAPACITY;
            let waited = self.changed.wait_timeout_while(state, PATIENCE, patient);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut batch, &mut state.bytes);
            let ending = state.ending;
            drop(state);
            self.changed.notify_all();
            let _ = writer.write_all(&batch).and_then(|()| writer.flush());
            batch.clear();
            if ending {
                return;
            }
        }
    }
}

/// Hands each formatted line over.
struct Waiting(Arc<Lines>);

impl<'a> MakeWriter<'a> for Waiting {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_also_beyond_the_capacity_and_at_the_end() {
        let lines = Arc::new(Lines::default());
        let sink = Sink::default();
        let writer = thread::spawn({
            let (lines, sink) = (Arc::clone(&lines), sink.clone());
            move || lines.write_to(sink)
        });
        let line = [b'x'; 99];
        let count = 3 * CAPACITY / (line.len() + 1);
        for number in 0..count {
            let mut bytes = line.to_vec();
            bytes[..8].copy_from_slice(format!("{number:08}").as_bytes());
            bytes.push(b'\n');
            lines.push(&bytes);
        }
        lines.lock().ending = true;
        lines.changed.notify_all();
        writer.join().unwrap();
        let written = sink.0.lock().unwrap();
        let numbers: Vec<usize> = String::from_utf8_lossy(&written)
            .lines()
            .map(|line| line[..8].parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}
