//! What a wait says. Its last line becomes the container's termination message.

use std::time::Duration;

use super::Named;

/// A target as far as it is known.
struct State {
    /// Its addresses and what named it.
    name: String,
    /// What was last told; `None` once it is ready.
    reason: Option<String>,
}

pub(super) struct Report<'s> {
    targets: Vec<State>,
    bound: Duration,
    say: &'s mut dyn FnMut(&str),
}

const NOT_TRIED: &str = "no attempt has ended yet";
const HINT: &str = "the migration was not started: check that the database runs and that its network policy admits this pod";

impl<'s> Report<'s> {
    pub(super) fn new(targets: &[Named], bound: Duration, say: &'s mut dyn FnMut(&str)) -> Self {
        let state = |named: &Named| {
            let name = format!("{} (from {})", named.target, named.source);
            State { name, reason: Some(NOT_TRIED.to_owned()) }
        };
        for Named { target, source } in targets {
            let (engine, bound) = (target.engine(), seconds(bound));
            say(&format!("waiting for {target} (from {source}), {engine}, {bound} s at most"));
        }
        Self { targets: targets.iter().map(state).collect(), bound, say }
    }

    pub(super) fn waits(&mut self, at: usize, reason: String) {
        if let Some(target) = self.targets.get_mut(at) {
            target.reason = Some(reason);
        }
    }

    /// Tells that a target is ready, and whether all are.
    pub(super) fn ready(&mut self, at: usize, note: Option<&str>, after: Duration) -> bool {
        if let Some(target) = self.targets.get_mut(at) {
            target.reason = None;
            let note = note.map(|note| format!(": {note}")).unwrap_or_default();
            (self.say)(&format!("{} is ready after {} s{note}", target.name, seconds(after)));
        }
        self.targets.iter().all(|target| target.reason.is_none())
    }

    pub(super) fn progress(&mut self, after: Duration) {
        for (name, reason) in waiting(&self.targets) {
            let (after, bound) = (after.as_secs(), seconds(self.bound));
            (self.say)(&format!("waiting for {name}, {after} s of {bound} s: {reason}"));
        }
    }

    pub(super) fn late(&mut self) {
        let bound = seconds(self.bound);
        let late: Vec<String> = waiting(&self.targets)
            .map(|(name, reason)| format!("{name} was not ready within {bound} s: {reason}"))
            .collect();
        (self.say)(&format!("{}; {HINT}", late.join("; ")));
    }

    pub(super) fn useless(&mut self, at: usize, reason: &str) {
        let name = self.targets.get(at).map(|target| target.name.as_str()).unwrap_or_default();
        (self.say)(&format!(
            "{name} refuses this host, and waiting will not change that: {reason}; the migration was not \
             started: find what connects to it and leaves, then run mysqladmin flush-hosts"
        ));
    }

    pub(super) fn signalled(&mut self, signal: &str, after: Duration) {
        let left: Vec<String> = waiting(&self.targets)
            .map(|(name, reason)| format!("{name} was not ready: {reason}"))
            .collect();
        let (after, left) = (seconds(after), left.join("; "));
        (self.say)(&format!(
            "ended by {signal} after {after} s; {left}; the migration was not started"
        ));
    }
}

fn waiting(targets: &[State]) -> impl Iterator<Item = (&str, &str)> {
    targets.iter().filter_map(|target| Some((target.name.as_str(), target.reason.as_deref()?)))
}

/// Seconds, with one decimal where they are not whole.
pub(super) fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    match (tenths / 10, tenths % 10) {
        (whole, 0) => whole.to_string(),
        (whole, part) => format!("{whole}.{part}"),
    }
}
