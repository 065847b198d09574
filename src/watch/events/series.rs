//! Which occurrences become an Event of their own, which add to one, and which are too many.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use crate::server::announce::{Occurrence, Reason, Regarding};

/// How long what repeats is gathered before its Event is written again.
pub(super) const PAUSE: Duration = Duration::from_secs(30);

/// A series that has been quiet for so long is over; the next occurrence is an Event of its own.
const OVER: Duration = Duration::from_mins(10);

/// New Events of one namespace at once; kubelets and controllers are held to the same (`client-go/tools/record`).
const BURST: u32 = 25;

/// How long until a namespace may have one more.
const REFILL: Duration = Duration::from_secs(12);

/// Series that are followed. Bounds the memory, whatever is refused.
const MOST: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    object: Regarding,
    reason: Reason,
}

impl Key {
    fn of(occurrence: &Occurrence) -> Self {
        Self { object: occurrence.object.clone(), reason: occurrence.reason }
    }
}

#[derive(Debug)]
struct Run {
    /// Name of its Event.
    name: String,
    note: String,
    count: u32,
    /// Occurrences that its Event does not count yet.
    unwritten: u32,
    written: Instant,
    last: Instant,
}

/// A namespace's share, as a bucket that fills up again.
#[derive(Debug)]
struct Share {
    left: u32,
    since: Instant,
}

/// What becomes of an occurrence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is written now.
    Write(Written),
    /// It is counted, and written with others.
    Later,
    /// Its namespace has had its share.
    Never,
}

/// An Event as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Name of the Event.
    pub(super) name: String,
    /// What it says.
    pub(super) occurrence: Occurrence,
    /// How often that happened; above 1 the Event exists.
    pub(super) count: u32,
}

/// The series that go on.
#[derive(Debug, Default)]
pub(super) struct Series {
    runs: HashMap<Key, Run>,
    shares: HashMap<String, Share>,
    named: u64,
}

impl Series {
    /// Takes one occurrence.
    pub(super) fn take(&mut self, occurrence: Occurrence, now: Instant) -> Turn {
        let key = Key::of(&occurrence);
        if let Some(run) = self.runs.get_mut(&key) {
            run.unwritten = run.unwritten.saturating_add(1);
            run.note = occurrence.note;
            run.last = now;
            return Turn::Later;
        }
        if self.runs.len() >= MOST || !self.spend(&occurrence.object.namespace, now) {
            return Turn::Never;
        }
        self.named = self.named.wrapping_add(1);
        let started = jiff::Timestamp::now().as_microsecond();
        let name = format!("wavegate.{started:x}.{:x}", self.named);
        let run = Run {
            name: name.clone(),
            note: occurrence.note.clone(),
            count: 1,
            unwritten: 0,
            written: now,
            last: now,
        };
        self.runs.insert(key, run);
        Turn::Write(Written { name, occurrence, count: 1 })
    }

    /// What has gathered for long enough, and forgets what is over.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Written> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let mut due = Vec::new();
        self.runs.retain(|key, run| {
            if run.unwritten > 0 && since(run.written) >= PAUSE {
                run.count = run.count.saturating_add(std::mem::take(&mut run.unwritten));
                run.written = now;
                let Key { object, reason } = key.clone();
                let occurrence = Occurrence { object, reason, note: run.note.clone() };
                due.push(Written { name: run.name.clone(), occurrence, count: run.count });
            }
            since(run.last) < OVER
        });
        let full = REFILL.saturating_mul(BURST);
        self.shares.retain(|_, share| since(share.since) < full);
        due
    }

    /// Forgets the series of an Event that could not be written, so that the next occurrence tries again.
    pub(super) fn forget(&mut self, written: &Written) {
        self.runs.remove(&Key::of(&written.occurrence));
    }

    fn spend(&mut self, namespace: &str, now: Instant) -> bool {
        let share = match self.shares.entry(namespace.to_owned()) {
            Entry::Occupied(share) => share.into_mut(),
            Entry::Vacant(free) => free.insert(Share { left: BURST, since: now }),
        };
        let rounds = now.saturating_duration_since(share.since).as_secs() / REFILL.as_secs();
        if rounds > 0 {
            let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
            share.left = share.left.saturating_add(rounds).min(BURST);
            share.since = now;
        }
        let may = share.left > 0;
        share.left = share.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occurrence(name: &str, note: &str) -> Occurrence {
        let object = Regarding {
            kind: "Deployment".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            ..Regarding::default()
        };
        Occurrence { object, reason: Reason::Denied, note: note.to_owned() }
    }

    #[test]
    fn what_repeats_adds_to_one_event() {
        let mut series = Series::default();
        let start = Instant::now();
        let Turn::Write(first) = series.take(occurrence("api", "v2 is held"), start) else {
            panic!("the first is written")
        };
        assert_eq!(first.count, 1);
        for second in 1..=20 {
            let again = occurrence("api", &format!("v2 is held, {second}"));
            assert_eq!(series.take(again, start + Duration::from_secs(second)), Turn::Later);
        }
        assert_eq!(series.due(start + Duration::from_secs(29)), []);
        let due = series.due(start + PAUSE);
        let want = Written { count: 21, occurrence: occurrence("api", "v2 is held, 20"), ..first };
        assert_eq!(due, [want]);
        assert_eq!(series.due(start + PAUSE * 2), []);
    }

    #[test]
    fn a_series_ends_and_another_begins() {
        let mut series = Series::default();
        let start = Instant::now();
        assert!(matches!(series.take(occurrence("api", "a"), start), Turn::Write(_)));
        assert_eq!(series.due(start + OVER), []);
        assert!(series.runs.is_empty());
        assert!(matches!(series.take(occurrence("api", "a"), start + OVER), Turn::Write(_)));
    }

    #[test]
    fn what_could_not_be_written_is_tried_with_the_next() {
        let mut series = Series::default();
        let start = Instant::now();
        let Turn::Write(first) = series.take(occurrence("api", "a"), start) else {
            panic!("the first is written")
        };
        series.forget(&first);
        assert!(matches!(series.take(occurrence("api", "a"), start), Turn::Write(_)));
    }

    #[test]
    fn a_namespace_has_its_share_and_no_more() {
        let mut series = Series::default();
        let start = Instant::now();
        let mut written = |round: &str, at: Instant| {
            let names = (0..100).map(|n| format!("{round}-{n}"));
            let turns = names.map(|name| series.take(occurrence(&name, "held"), at));
            turns.filter(|turn| matches!(turn, Turn::Write(_))).count()
        };
        assert_eq!(written("first", start), 25);
        assert_eq!(written("second", start + REFILL * 2), 2);
        let mut elsewhere = occurrence("api", "held");
        "other".clone_into(&mut elsewhere.object.namespace);
        assert!(matches!(series.take(elsewhere, start), Turn::Write(_)));
    }
}
