//! What a watch says, applied to what is known. Nothing here talks to a cluster.

use std::collections::HashSet;
use std::fmt::Display;

use kube::runtime::watcher::Event;

use super::stored::{Kind, Stored};
use crate::cluster::{Attempt, AttemptError, ClusterState, Gone, Override};
use crate::server::webhook::SharedPolicies;

/// Identity of an attempt: its namespace and the UID of its Job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AttemptKey {
    pub(super) namespace: String,
    pub(super) uid: String,
}

impl AttemptKey {
    pub(super) fn of(attempt: &Attempt) -> Self {
        Self { namespace: attempt.facts.key.namespace.clone(), uid: attempt.uid.clone() }
    }
}

/// One of the watches.
#[derive(Debug)]
pub(super) struct Feed {
    kind: Source,
    policies: SharedPolicies,
    /// What the listing in progress has brought so far: UIDs of Jobs, or overrides as `namespace/name`.
    listed: HashSet<String>,
    /// Objects that could not be read, as far as that was said.
    unreadable: HashSet<String>,
}

/// How many unreadable objects are told apart; of further ones each sighting is said.
const MOST_UNREADABLE: usize = 256;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Jobs,
    Records,
    Overrides,
}

impl Source {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Jobs => Kind::Job,
            Self::Records => Kind::Record,
            Self::Overrides => Kind::Override,
        }
    }

    /// Name in metrics, messages and readiness.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Records => "records",
            Self::Overrides => "overrides",
        }
    }
}

/// What came of an event.
#[derive(Debug)]
pub(super) enum Told {
    /// Nothing that concerns an attempt.
    Nothing,
    /// Something about this attempt.
    Attempt(AttemptKey),
    /// All objects were listed.
    Listed,
    /// An object that cannot be read, which changes nothing.
    Undecodable {
        /// Its namespace and name.
        object: String,
        error: String,
        /// Whether this is said for the first time.
        first: bool,
    },
}

/// The attempt that a stored record speaks of.
pub(super) fn attempt_of_record(stored: &Stored) -> Result<Attempt, serde_json::Error> {
    Attempt::read_record(stored.namespace(), stored.json())
}

impl Feed {
    pub(super) fn new(kind: Source, policies: SharedPolicies) -> Self {
        Self { kind, policies, listed: HashSet::new(), unreadable: HashSet::new() }
    }

    /// Applies one event of the watch.
    pub(super) fn apply(&mut self, event: Event<Stored>, state: &mut ClusterState) -> Told {
        match event {
            Event::Init => {
                self.listed.clear();
                Told::Nothing
            }
            Event::InitApply(object) => {
                // An object that cannot be read is there nevertheless: it is not gone.
                self.listed.insert(self.identity(&object));
                self.observe(&object, state)
            }
            Event::Apply(object) => self.observe(&object, state),
            Event::Delete(object) => self.forget(&object, state),
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                match self.kind {
                    Source::Jobs => state.attempts_mut().jobs_listed(&listed),
                    Source::Records => state.attempts_mut().records_listed(&listed),
                    Source::Overrides => state.overrides_mut().listed(&listed),
                }
                Told::Listed
            }
        }
    }

    /// What an object is known by: the UID of the Job that it is or speaks of, or where an override stands.
    fn identity(&self, object: &Stored) -> String {
        match self.kind {
            Source::Jobs => object.uid().to_owned(),
            Source::Records => object.name().to_owned(),
            Source::Overrides => place(object),
        }
    }

    fn observe(&mut self, object: &Stored, state: &mut ClusterState) -> Told {
        let attempt = match self.kind {
            Source::Jobs => self.attempt_of_job(object, state),
            Source::Records => attempt_of_record(object).map(Some).map_err(Into::into),
            Source::Overrides => return self.observe_override(object, state),
        };
        let attempt = match attempt {
            Ok(Some(attempt)) => attempt,
            Ok(None) => return Told::Nothing,
            Err(error) => return self.undecodable(object, &error),
        };
        let key = AttemptKey::of(&attempt);
        match self.kind {
            Source::Jobs => state.attempts_mut().observe_job(attempt),
            Source::Records | Source::Overrides => state.attempts_mut().observe_record(attempt),
        }
        Told::Attempt(key)
    }

    /// A Job that is known stays known, whatever the policy has come to recognise while it ran.
    fn attempt_of_job(
        &self,
        object: &Stored,
        state: &ClusterState,
    ) -> Result<Option<Attempt>, AttemptError> {
        let policies = self.policies.load();
        let detection = &policies.of(object.namespace()).detection;
        if let Some(attempt) = Attempt::of_job_by(object.json(), detection)? {
            return Ok(Some(attempt));
        }
        let known = state.attempts().get(object.namespace(), object.uid());
        known.map(|known| known.attempt().clone().followed(object.json())).transpose()
    }

    fn observe_override(&mut self, object: &Stored, state: &mut ClusterState) -> Told {
        match Override::read(object.namespace(), object.json()) {
            Ok(one) => {
                state.overrides_mut().observe(one);
                Told::Nothing
            }
            Err(error) => self.undecodable(object, &error),
        }
    }

    fn undecodable(&mut self, object: &Stored, error: &dyn Display) -> Told {
        let name = place(object);
        let first = !self.unreadable.contains(&name);
        if self.unreadable.len() < MOST_UNREADABLE {
            self.unreadable.insert(name.clone());
        }
        Told::Undecodable { object: name, error: error.to_string(), first }
    }

    /// A deletion brings the object's last state, and a Job that ended before it was deleted has ended.
    fn forget(&mut self, object: &Stored, state: &mut ClusterState) -> Told {
        let (namespace, uid) = (object.namespace(), self.identity(object));
        match self.kind {
            Source::Jobs => {
                if let Told::Nothing = self.observe(object, state) {
                    return Told::Nothing;
                }
                state.attempts_mut().forget_job(namespace, &uid, Gone::Deleted);
            }
            Source::Records => state.attempts_mut().forget_record(namespace, &uid),
            Source::Overrides => {
                state.overrides_mut().forget(namespace, object.name());
                return Told::Nothing;
            }
        }
        Told::Attempt(AttemptKey { namespace: namespace.to_owned(), uid })
    }
}

/// Where an object stands, for a person.
fn place(object: &Stored) -> String {
    format!("{}/{}", object.namespace(), object.name())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::outcome::Outcome;

    fn job(uid: &str, condition: Option<&str>) -> Stored {
        let conditions: Vec<Value> =
            condition.iter().map(|kind| json!({"type": kind, "status": "True"})).collect();
        stored(&json!({
            "metadata": {"name": format!("job-{uid}"), "namespace": "shop", "uid": uid,
                "creationTimestamp": "2026-11-24T10:00:00Z", "resourceVersion": "1",
                "labels": {"wavegate.dev/role": "migration"}},
            "spec": {"template": {"spec": {"containers": [{"name": "m", "image": "shop/api:v1"}]}}},
            "status": {"conditions": conditions},
        }))
    }

    fn record(uid: &str, outcome: &str) -> Stored {
        stored(&json!({
            "metadata": {"name": uid, "namespace": "shop", "resourceVersion": "1"},
            "spec": {"app": "shop/api", "migration": "job", "release": "v1", "image": "shop/api:v1",
                "phase": "expand", "confidence": "strong",
                "job": {"name": format!("job-{uid}"), "uid": uid, "created": "2026-11-24T10:00:00Z"}},
            "status": {"outcome": outcome},
        }))
    }

    fn stored(object: &Value) -> Stored {
        Stored::new(object).unwrap()
    }

    /// Plays events and says what is known of each attempt afterwards.
    fn play(feeds: &mut [Feed; 2], state: &mut ClusterState, events: Vec<(Source, Event<Stored>)>) {
        for (source, event) in events {
            let [jobs, records] = feeds;
            let feed = if source == Source::Jobs { jobs } else { records };
            feed.apply(event, state);
        }
    }

    fn outcomes(state: &ClusterState) -> Vec<(&str, Outcome)> {
        let mut known: Vec<_> =
            state.attempts().iter().map(|s| (s.attempt().uid.as_str(), s.outcome())).collect();
        known.sort_unstable_by_key(|(uid, _)| *uid);
        known
    }

    #[test]
    fn a_job_deleted_in_a_gap_is_told_from_one_whose_deletion_was_seen() {
        use Event::{Apply, Delete, Init, InitApply, InitDone};
        use Source::{Jobs, Records};
        let mut feeds = [Jobs, Records].map(|source| Feed::new(source, SharedPolicies::default()));
        let mut state = ClusterState::default();
        play(
            &mut feeds,
            &mut state,
            vec![
                (Records, Init),
                (Records, InitApply(record("old", "Running"))),
                (Records, InitDone),
                (Jobs, Init),
                (Jobs, InitApply(job("a", None))),
                (Jobs, InitApply(job("b", None))),
                (Jobs, InitApply(job("c", None))),
                (Jobs, InitApply(job("d", None))),
                (Jobs, InitDone),
                // A deletion brings the last state, which may be an end that no other event told of.
                (Jobs, Delete(job("a", Some("Complete")))),
                (Jobs, Delete(job("b", None))),
                // The watch was away; `c` ended and went meanwhile, and another replica saw it.
                (Jobs, Init),
                (Jobs, InitApply(job("d", Some("Failed")))),
                (Jobs, InitDone),
            ],
        );
        let unknown = Outcome::Unknown;
        assert_eq!(
            outcomes(&state),
            [
                ("a", Outcome::Succeeded),
                ("b", Outcome::Interrupted),
                ("c", unknown),
                ("d", Outcome::Failed),
                ("old", unknown),
            ]
        );
        play(&mut feeds, &mut state, vec![(Records, Apply(record("c", "Succeeded")))]);
        assert_eq!(outcomes(&state)[2], ("c", Outcome::Succeeded));
    }

    #[test]
    fn a_job_that_is_not_recognised_any_more_is_followed_to_its_end() {
        let unlabelled = |uid: &str, condition: Option<&str>| {
            let job: Value = serde_json::from_str(job(uid, condition).json()).unwrap();
            let mut job = job;
            job["metadata"]["labels"] = json!({});
            stored(&job)
        };
        let mut jobs = Feed::new(Source::Jobs, SharedPolicies::default());
        let mut state = ClusterState::default();
        for uid in ["a", "b", "c"] {
            jobs.apply(Event::Apply(job(uid, None)), &mut state);
        }
        jobs.apply(Event::Apply(unlabelled("a", Some("Complete"))), &mut state);
        jobs.apply(Event::Delete(unlabelled("b", None)), &mut state);
        jobs.apply(Event::Delete(unlabelled("c", Some("Failed"))), &mut state);
        jobs.apply(Event::Apply(unlabelled("never-known", None)), &mut state);
        let want = [("a", Outcome::Succeeded), ("b", Outcome::Interrupted), ("c", Outcome::Failed)];
        assert_eq!(outcomes(&state), want);
        assert!(!state.attempts().get("shop", "b").unwrap().has_job());
    }

    #[test]
    fn a_listing_in_pages_that_breaks_off_forgets_nothing() {
        let mut feeds = [
            Feed::new(Source::Jobs, SharedPolicies::default()),
            Feed::new(Source::Records, SharedPolicies::default()),
        ];
        let mut state = ClusterState::default();
        let jobs = |event| (Source::Jobs, event);
        play(
            &mut feeds,
            &mut state,
            vec![
                jobs(Event::Init),
                jobs(Event::InitApply(job("a", None))),
                jobs(Event::InitApply(job("b", None))),
                jobs(Event::InitDone),
                jobs(Event::Init),
                jobs(Event::InitApply(job("a", None))),
                jobs(Event::Init),
                jobs(Event::InitApply(job("b", None))),
            ],
        );
        assert!(state.attempts().iter().all(|sighting| sighting.outcome() == Outcome::Running));
        play(&mut feeds, &mut state, vec![jobs(Event::InitDone)]);
        assert_eq!(outcomes(&state), [("a", Outcome::Unknown), ("b", Outcome::Running)]);
    }

    #[test]
    fn what_cannot_be_read_changes_nothing_and_is_said_once() {
        for (source, broken) in [
            (
                Source::Jobs,
                json!({"metadata": {"name": "job-a", "namespace": "shop", "uid": "a"}, "spec": {"backoffLimit": "x"}}),
            ),
            (
                Source::Records,
                json!({"metadata": {"name": "a", "namespace": "shop"}, "spec": {"app": 7}}),
            ),
        ] {
            let mut feeds = [
                Feed::new(Source::Jobs, SharedPolicies::default()),
                Feed::new(Source::Records, SharedPolicies::default()),
            ];
            let mut state = ClusterState::default();
            play(
                &mut feeds,
                &mut state,
                vec![
                    (Source::Jobs, Event::Apply(job("a", None))),
                    (Source::Records, Event::Apply(record("a", "Running"))),
                ],
            );
            let before = format!("{:?}", state.attempts().get("shop", "a"));
            let [jobs, records] = &mut feeds;
            let feed = if source == Source::Jobs { jobs } else { records };
            let mut firsts = Vec::new();
            for event in [
                Event::Init,
                Event::InitApply(stored(&broken)),
                Event::InitDone,
                Event::Apply(stored(&broken)),
            ] {
                if let Told::Undecodable { object, first, .. } = feed.apply(event, &mut state) {
                    assert!(object.starts_with("shop/"), "{object}");
                    firsts.push(first);
                }
            }
            assert_eq!(firsts, [true, false], "{source:?}");
            assert_eq!(format!("{:?}", state.attempts().get("shop", "a")), before, "{source:?}");
        }
    }
}
