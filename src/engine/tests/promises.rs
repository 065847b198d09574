//! The two promises, over random histories: Jobs that run, end and vanish, re-runs, two migrations, contracts and
//! reverts, a cache that lags, records that are late, restarts, and admissions in between.
//!
//! What is right is told by [`Oracle`], written again from the product's table and in another way: it knows the whole
//! list of what a view holds and nothing of the gate's own types.

use proptest::prelude::*;

use super::*;
use crate::cluster::sample::{Sample, at};
use crate::cluster::{Attempt, Gone, Reading, Revision};
use crate::domain::image::ImageRef;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;

/// Release 0 ran before the first record; it may migrate again later.
const RELEASES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Event {
    Start {
        release: usize,
        migration: usize,
    },
    Contract {
        release: usize,
        safe_from: Option<usize>,
        declared: bool,
    },
    Revert {
        release: usize,
    },
    /// The chosen one of the Jobs that run ends.
    End {
        job: usize,
        succeeds: bool,
    },
    /// The chosen Job is deleted, finished or not.
    Delete {
        job: usize,
    },
    /// The recorder writes down what its replica knows.
    Record,
    /// The cache sees that many more events.
    See {
        events: usize,
    },
    /// A new replica lists what is there.
    Restart,
    /// Somebody rolls a release out, or applies the running one again.
    Roll {
        release: usize,
    },
    /// The workload is deleted and created anew.
    Recreate {
        release: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let release = 0..RELEASES;
    prop_oneof![
        5 => (release.clone(), 0..2_usize).prop_map(|(release, migration)| Event::Start { release, migration }),
        1 => (release.clone(), prop::option::of(0..RELEASES), any::<bool>())
            .prop_map(|(release, safe_from, declared)| Event::Contract { release, safe_from, declared }),
        1 => release.clone().prop_map(|release| Event::Revert { release }),
        6 => (0..8_usize, prop::bool::weighted(0.7)).prop_map(|(job, succeeds)| Event::End { job, succeeds }),
        2 => (0..8_usize).prop_map(|job| Event::Delete { job }),
        3 => Just(Event::Record),
        4 => (1..6_usize).prop_map(|events| Event::See { events }),
        1 => Just(Event::Restart),
        6 => release.clone().prop_map(|release| Event::Roll { release }),
        1 => release.prop_map(|release| Event::Recreate { release }),
    ]
}

/// What a watcher is told.
#[derive(Clone)]
enum Notice {
    Job(Attempt),
    JobGone(String),
    Record(Attempt),
}

/// Which promise a history is held to.
#[derive(Clone, Copy, PartialEq)]
enum Promise {
    Safety,
    Liveness,
}

struct World {
    promise: Promise,
    clock: i64,
    jobs: Vec<Attempt>,
    records: Vec<Attempt>,
    notices: Vec<Notice>,
    seen: usize,
    cache: ClusterState,
    running: Option<usize>,
    /// Every attempt as it truly is, whoever knows.
    truth: Vec<Attempt>,
}

impl World {
    fn play(promise: Promise, events: Vec<Event>) {
        let mut world = Self {
            promise,
            clock: 0,
            jobs: Vec::new(),
            records: Vec::new(),
            notices: Vec::new(),
            seen: 0,
            cache: ClusterState::default(),
            running: None,
            truth: Vec::new(),
        };
        for event in events {
            world.apply(event);
        }
    }

    fn apply(&mut self, event: Event) {
        self.clock += 1;
        let (now, uid) = (self.clock, format!("u{:04}", self.clock));
        match event {
            Event::Start { release, migration } => {
                let name = ["shop-migrate", "billing"][migration];
                self.start(Sample::new(&uid, &tag(release)).named(name).created(now).attempt());
            }
            Event::Contract { release, safe_from, declared } => {
                let contract = Sample::new(&uid, &tag(release)).named("contract").created(now);
                let contract = contract.phase(MigrationPhase::Contract, declared);
                let tag = safe_from.map(tag);
                self.start(contract.with(|attempt| attempt.safe_from = tag).attempt());
            }
            Event::Revert { release } => {
                let revert = Sample::new(&uid, &tag(release)).named("revert").created(now);
                self.start(revert.phase(MigrationPhase::Revert, true).attempt());
            }
            Event::End { job, succeeds } => self.end(job, succeeds),
            Event::Delete { job } => self.delete(job),
            Event::Record => self.record(),
            Event::See { events } => self.see(events),
            Event::Restart => self.restart(),
            Event::Roll { release } => self.roll(release, false),
            Event::Recreate { release } => self.roll(release, true),
        }
    }

    fn start(&mut self, job: Attempt) {
        self.truth.push(job.clone());
        self.jobs.push(job.clone());
        self.notices.push(Notice::Job(job));
    }

    fn end(&mut self, job: usize, succeeds: bool) {
        let mut running = self.jobs.iter_mut().filter(|job| job.outcome == Outcome::Running);
        let Some(job) = running.nth(job) else { return };
        job.outcome = if succeeds { Outcome::Succeeded } else { Outcome::Failed };
        job.completed = Some(at(self.clock));
        let job = job.clone();
        self.know(&job);
        self.notices.push(Notice::Job(job));
    }

    fn delete(&mut self, job: usize) {
        if job >= self.jobs.len() {
            return;
        }
        let mut job = self.jobs.remove(job);
        self.notices.push(Notice::JobGone(job.uid.clone()));
        if job.outcome == Outcome::Running {
            job.outcome = Outcome::Interrupted;
            self.know(&job);
        }
    }

    fn know(&mut self, job: &Attempt) {
        let known = self.truth.iter_mut().find(|known| known.uid == job.uid);
        *known.expect("it was started") = job.clone();
    }

    /// Writes what the cache knows, as the recorder of this replica does; never backwards.
    fn record(&mut self) {
        for sighting in self.cache.attempts().iter().filter(|s| !s.is_recorded()) {
            let mut record = sighting.attempt().clone();
            record.outcome = sighting.outcome();
            match self.records.iter_mut().find(|known| known.uid == record.uid) {
                Some(known) => known.merge(record.clone()),
                None => self.records.push(record.clone()),
            }
            self.notices.push(Notice::Record(record));
        }
    }

    fn see(&mut self, events: usize) {
        for notice in self.notices.iter().skip(self.seen).take(events).cloned() {
            self.seen += 1;
            let attempts = self.cache.attempts_mut();
            match notice {
                Notice::Job(job) => attempts.observe_job(job),
                Notice::JobGone(uid) => attempts.forget_job("shop", &uid, Gone::Deleted),
                Notice::Record(record) => attempts.observe_record(record),
            }
        }
    }

    fn restart(&mut self) {
        self.cache = ClusterState::default();
        let reading = Reading {
            jobs: self.jobs.clone(),
            records: self.records.clone(),
            ..Reading::default()
        };
        self.cache.attempts_mut().replace_namespace("shop", reading.jobs, reading.records);
        self.seen = self.notices.len();
    }

    fn live(&self) -> ClusterState {
        let image = ImageRef::parse("shop/api:v0").unwrap();
        let owner = crate::cluster::ObjectKey {
            kind: "Deployment",
            namespace: "shop".to_owned(),
            name: "api".to_owned(),
        };
        let reading = Reading {
            jobs: self.jobs.clone(),
            records: self.records.clone(),
            revisions: vec![Revision { owner, images: vec![image], created: at(0) }],
            ..Reading::default()
        };
        self.cache.confirmed("shop", reading)
    }

    fn roll(&mut self, release: usize, anew: bool) {
        let old = self.running.filter(|_| !anew);
        let decision = self.decide(old, release);
        let live = self.live();
        let (cached, live) = (Oracle::of(&self.cache), Oracle::of(&live));
        let allowed = decision.is_allowed();
        match self.promise {
            Promise::Safety if allowed && old != Some(release) => {
                assert!(
                    cached.allows(release) || live.allows(release),
                    "{release} was let through; {cached:?}; {live:?}"
                );
                self.nothing_is_invented(&cached);
            }
            Promise::Liveness if !allowed => {
                assert!(old != Some(release), "what runs re-applies");
                assert!(!live.allows(release), "{release} was held; {live:?}");
            }
            _ => {}
        }
        if allowed {
            self.running = Some(release);
        }
    }

    /// A success that a view holds is one in truth.
    fn nothing_is_invented(&self, view: &Oracle) {
        for fact in view.facts.iter().filter(|fact| fact.outcome == Outcome::Succeeded) {
            let truth = self.truth.iter().find(|truth| truth.uid == fact.uid);
            assert_eq!(truth.map(|truth| truth.outcome), Some(Outcome::Succeeded));
        }
    }

    fn decide(&self, old: Option<usize>, new: usize) -> Decision {
        let object = |release: usize| {
            let mut object = deployment("0");
            object["metadata"]["labels"] = json!({});
            object["spec"]["template"]["spec"]["containers"][0]["image"] =
                json!(format!("shop/api:{}", tag(release)));
            object
        };
        let request = match old {
            Some(old) => Request::update(object(old), object(new)),
            None => Request::create(object(new)),
        };
        let body = request.body();
        let admission = decode(&body).unwrap();
        let policy = Policy::default();
        let now = at(self.clock);
        let first = evaluate(&admission, &self.cache, &policy, Mode::Enforce, now);
        assert_eq!(
            first.question.is_some(),
            !first.is_allowed(),
            "asked before it is refused, and only then"
        );
        if first.question.is_none() {
            return first;
        }
        let second = evaluate(&admission, &self.live(), &policy, Mode::Enforce, now);
        assert!(second.question.is_none(), "asked once");
        second
    }
}

fn tag(release: usize) -> String {
    format!("v{release}")
}

/// One attempt in a view.
#[derive(Clone, Debug)]
struct Fact {
    uid: String,
    migration: String,
    release: String,
    phase: MigrationPhase,
    declared: bool,
    safe_from: Option<String>,
    outcome: Outcome,
    created: i64,
    ended: i64,
}

/// Whether a release may run, by all that a view holds.
#[derive(Clone, Debug)]
struct Oracle {
    facts: Vec<Fact>,
    /// Whether it was read live, and with it that release 0 ran before.
    ran_before: bool,
}

impl Oracle {
    fn of(state: &ClusterState) -> Self {
        let fact = |sighting: &crate::cluster::Sighting| {
            let attempt = sighting.attempt();
            Fact {
                uid: attempt.uid.clone(),
                migration: attempt.migration.name.clone(),
                release: attempt.release(),
                phase: attempt.phase,
                declared: attempt.phase_declared,
                safe_from: attempt.safe_from.clone(),
                outcome: sighting.outcome(),
                created: attempt.created.as_second(),
                ended: attempt.completed.map_or(i64::MAX, Timestamp::as_second),
            }
        };
        let facts = state.attempts().of_namespace("shop").map(fact).collect();
        Self { facts, ran_before: state.confirmation().is_some() }
    }

    /// Plays the successes in the order of their ends: a revert takes the release away that was proven last.
    fn standing(&self) -> Vec<&Fact> {
        let mut ended: Vec<&Fact> =
            self.facts.iter().filter(|fact| fact.outcome == Outcome::Succeeded).collect();
        ended.sort_by_key(|fact| fact.ended);
        let mut standing: Vec<&Fact> = Vec::new();
        for fact in ended {
            if fact.phase != MigrationPhase::Revert {
                standing.push(fact);
                continue;
            }
            let mut order: Vec<String> = Vec::new();
            for success in &standing {
                if !order.contains(&success.release) {
                    order.push(success.release.clone());
                }
            }
            if let Some(newest) = order.last() {
                standing.retain(|success| success.release != *newest);
            }
        }
        standing
    }

    fn allows(&self, release: usize) -> bool {
        let standing = self.standing();
        let name = tag(release);
        let first =
            |release: &str| standing.iter().find(|fact| fact.release == release).map(|f| f.ended);
        let contracts =
            standing.iter().filter(|f| f.phase == MigrationPhase::Contract && f.declared);
        let excluded = contracts.clone().any(|contract| {
            let safe = contract.safe_from.as_ref().unwrap_or(&contract.release);
            let border = first(safe).unwrap_or(contract.created);
            name != *safe && first(&name).is_some_and(|first| first < border)
        });
        if excluded {
            return false;
        }
        let tried = |phase: MigrationPhase| {
            let of = self.facts.iter().filter(|f| f.release == name && f.phase == phase);
            of.map(|f| f.migration.clone()).collect::<std::collections::BTreeSet<_>>()
        };
        let mut required = tried(MigrationPhase::Expand);
        if required.is_empty() {
            required = tried(MigrationPhase::Contract);
        }
        let succeeded = |migration: &String| {
            standing.iter().any(|f| f.release == name && f.migration == *migration)
        };
        if !required.is_empty() && required.iter().all(succeeded) {
            return true;
        }
        let before = self.ran_before && release == 0;
        let needed =
            |contract: &&&Fact| *contract.safe_from.as_ref().unwrap_or(&contract.release) != name;
        (before && contracts.filter(needed).count() == 0) || self.facts.is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Safety: nothing rolls out that neither what the cache knew nor what the cluster knew speaks for.
    #[test]
    fn nothing_rolls_out_unproven(events in prop::collection::vec(event(), 1..60)) {
        World::play(Promise::Safety, events);
    }

    /// Liveness: what runs re-applies, and nothing is held that the cluster's own state speaks for.
    #[test]
    fn nothing_proven_is_held(events in prop::collection::vec(event(), 1..60)) {
        World::play(Promise::Liveness, events);
    }
}
