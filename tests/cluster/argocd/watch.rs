//! The Applications as they are now, by one `kubectl get --watch` for all tests.
//!
//! Asking again and again would cost a process each time, and forty tests wait at once.

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::process::{Child, ChildStdout};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::kubectl::Kubectl;

/// Follows all Applications until it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    applications: HashMap<String, Value>,
    kubectl: Option<Child>,
    closed: bool,
}

impl Watch {
    /// Starts to follow. `kubectl` makes the command that prints the events of a watch.
    pub(super) fn start(kubectl: impl Fn() -> Kubectl + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let followed = Arc::clone(&shared);
        thread::Builder::new()
            .name("applications".to_owned())
            .spawn(move || followed.follow(kubectl))?;
        Ok(Self { shared })
    }

    /// Waits until `probe` of the named Application, or of its absence, has a value; nothing if it has none
    /// within `bound`. `idle` is called whenever the Application has not changed for a while.
    pub(super) fn wait<T>(
        &self,
        name: &str,
        bound: Duration,
        mut probe: impl FnMut(Option<&Value>) -> Option<T>,
        mut idle: impl FnMut(&Value),
    ) -> Option<T> {
        let deadline = Instant::now() + bound;
        let mut patience = Patience::new();
        let mut state = self.shared.lock();
        loop {
            let application = state.applications.get(name);
            if let Some(value) = probe(application) {
                return Some(value);
            }
            let now = Instant::now();
            if now >= deadline {
                return None;
            }
            if let Some(application) = application
                && patience.is_over(application, now)
            {
                let application = application.clone();
                drop(state);
                idle(&application);
                state = self.shared.lock();
                continue;
            }
            let pause = deadline.min(patience.end).saturating_duration_since(now);
            let waited = self.shared.changed.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        if let Some(mut kubectl) = state.kubectl.take() {
            // The reaper ends it if this does not.
            let _ = kubectl.kill();
            let _ = kubectl.wait();
        }
    }
}

/// When an Application has not changed for a while: first for one second, then ever longer.
struct Patience {
    version: String,
    pause: Duration,
    end: Instant,
}

impl Patience {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(5);

    fn new() -> Self {
        Self { version: String::new(), pause: Self::FIRST, end: Instant::now() + Self::FIRST }
    }

    fn is_over(&mut self, application: &Value, now: Instant) -> bool {
        let version = status_text(application);
        if version != self.version {
            *self = Self { version, ..Self::new() };
        }
        if now < self.end {
            return false;
        }
        self.pause = (self.pause * 2).min(Self::LONGEST);
        self.end = now + self.pause;
        true
    }
}

/// The part of an Application that `idle` does not change.
fn status_text(application: &Value) -> String {
    application["status"].to_string()
}

impl Shared {
    /// A test that has panicked while it looked has changed nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads events until the watch is closed. The API server ends every watch after a while, and the
    /// next one begins with all Applications there are. What went away in between is not told.
    fn follow(&self, kubectl: impl Fn() -> Kubectl) {
        while !self.lock().closed {
            if let Some(stdout) = self.open(&kubectl) {
                let events = serde_json::Deserializer::from_reader(BufReader::new(stdout));
                events.into_iter().map_while(Result::ok).for_each(|event| self.take(event));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts kubectl; nothing if it cannot be started or the watch was closed meanwhile.
    fn open(&self, kubectl: impl Fn() -> Kubectl) -> Option<ChildStdout> {
        let mut state = self.lock();
        if let Some(mut ended) = state.kubectl.take() {
            let _ = ended.kill();
            let _ = ended.wait();
        }
        if state.closed {
            return None;
        }
        state.applications.clear();
        let mut started = kubectl().spawn().ok()?;
        let stdout = started.stdout.take();
        state.kubectl = Some(started);
        stdout
    }

    fn take(&self, mut event: Value) {
        let object = event["object"].take();
        if let Some(name) = object["metadata"]["name"].as_str() {
            let name = name.to_owned();
            let mut state = self.lock();
            if event["type"] == "DELETED" {
                state.applications.remove(&name);
            } else {
                state.applications.insert(name, object);
            }
        }
        self.changed.notify_all();
    }
}
