//! The two promises, over random histories: Jobs that run, end and vanish, re-runs, two migrations, contracts and
//! reverts, a cache that lags, records that are late, restarts, persons who override, and admissions in between.
//!
//! What is right is told by [`Oracle`].

mod oracle;

use oracle::Oracle;
use proptest::prelude::*;

use super::*;
use crate::cluster::sample::{Sample, at};
use crate::cluster::{Attempt, Gone, Override, Reading, Revision};
use crate::domain::gate_override::{OverrideKind, OverrideSpec};
use crate::domain::image::ImageRef;
use crate::domain::outcome::Outcome;
use crate::domain::role::MigrationPhase;

/// Release 0 ran before the first record; it may migrate again later.
const RELEASES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// `asked`: this replica let it through.
    Start {
        release: usize,
        migration: usize,
        asked: bool,
    },
    /// This replica let a migration through, and something else refused it.
    Vain {
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
    /// A person says something; `seconds` is how long it counts, or how long ago it speaks of.
    Say {
        kind: OverrideKind,
        release: usize,
        migration: Option<usize>,
        seconds: Option<i64>,
    },
    /// The chosen override is deleted.
    Unsay {
        word: usize,
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
        5 => (release.clone(), 0..2_usize, any::<bool>())
            .prop_map(|(release, migration, asked)| Event::Start { release, migration, asked }),
        1 => (release.clone(), 0..2_usize)
            .prop_map(|(release, migration)| Event::Vain { release, migration }),
        1 => (release.clone(), prop::option::of(0..RELEASES), any::<bool>())
            .prop_map(|(release, safe_from, declared)| Event::Contract { release, safe_from, declared }),
        1 => release.clone().prop_map(|release| Event::Revert { release }),
        6 => (0..8_usize, prop::bool::weighted(0.7)).prop_map(|(job, succeeds)| Event::End { job, succeeds }),
        2 => (0..8_usize).prop_map(|job| Event::Delete { job }),
        3 => (word(), release.clone(), prop::option::of(0..2_usize), prop::option::of(1..20_i64))
            .prop_map(|(kind, release, migration, seconds)| Event::Say { kind, release, migration, seconds }),
        1 => (0..4_usize).prop_map(|word| Event::Unsay { word }),
        3 => Just(Event::Record),
        4 => (1..6_usize).prop_map(|events| Event::See { events }),
        1 => Just(Event::Restart),
        6 => release.clone().prop_map(|release| Event::Roll { release }),
        1 => release.prop_map(|release| Event::Recreate { release }),
    ]
}

fn word() -> impl Strategy<Value = OverrideKind> {
    prop::sample::select(OverrideKind::ALL.to_vec())
}

const MIGRATIONS: [&str; 2] = ["shop-migrate", "billing"];

/// What a watcher is told.
#[derive(Clone)]
enum Notice {
    Job(Attempt),
    JobGone(String),
    Record(Attempt),
    Word(Override),
    WordGone(String),
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
    words: Vec<Override>,
    /// Names of all that was ever said.
    said: Vec<String>,
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
            words: Vec::new(),
            said: Vec::new(),
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
            Event::Start { release, migration, asked } => {
                let job = Sample::new(&uid, &tag(release)).named(MIGRATIONS[migration]);
                let job = job.created(now).attempt();
                if asked {
                    self.cache.let_through(job.clone(), at(now));
                }
                self.start(job);
            }
            Event::Vain { release, migration } => {
                let job = Sample::new(&uid, &tag(release)).named(MIGRATIONS[migration]);
                self.cache.let_through(job.created(now).attempt(), at(now));
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
            Event::Say { kind, release, migration, seconds } => {
                self.say(kind, release, migration, seconds);
            }
            Event::Unsay { word } if word < self.words.len() => {
                self.notices.push(Notice::WordGone(self.words.remove(word).name));
            }
            Event::Unsay { .. } => {}
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

    fn say(
        &mut self,
        kind: OverrideKind,
        release: usize,
        migration: Option<usize>,
        seconds: Option<i64>,
    ) {
        let one_release = matches!(kind, OverrideKind::Bypass | OverrideKind::Attest);
        let expires = match kind {
            OverrideKind::Bypass => Some(self.clock + seconds.unwrap_or(5)),
            OverrideKind::Attest => seconds.map(|seconds| self.clock + seconds),
            OverrideKind::Invalidate | OverrideKind::Retire => None,
        };
        let ago = seconds.filter(|_| kind == OverrideKind::Invalidate);
        let spec = OverrideSpec {
            kind,
            app: Some("shop/api".to_owned()),
            workload: None,
            image: None,
            release: one_release.then(|| tag(release)),
            migration: migration
                .filter(|_| kind == OverrideKind::Attest)
                .map(|migration| MIGRATIONS[migration].to_owned()),
            before: ago.map(|ago| at(self.clock - ago)),
            reason: "because".to_owned(),
            expires_at: expires.map(at),
        };
        let name = format!("w{:04}", self.clock);
        let word = Override::new("shop", &name, Some(at(self.clock)), spec).expect("it is right");
        self.said.push(name);
        self.words.push(word.clone());
        self.notices.push(Notice::Word(word));
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
            let cache = &mut self.cache;
            match notice {
                Notice::Job(job) => cache.attempts_mut().observe_job(job),
                Notice::JobGone(uid) => {
                    cache.attempts_mut().forget_job("shop", &uid, Gone::Deleted);
                }
                Notice::Record(record) => cache.attempts_mut().observe_record(record),
                Notice::Word(word) => cache.overrides_mut().observe(word),
                Notice::WordGone(name) => cache.overrides_mut().forget("shop", &name),
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
        self.cache.overrides_mut().replace_namespace("shop", self.words.clone());
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
            overrides: self.words.clone(),
            revisions: vec![Revision { owner, images: vec![image], created: at(0) }],
            ..Reading::default()
        };
        self.cache.confirmed("shop", reading)
    }

    fn roll(&mut self, release: usize, anew: bool) {
        let old = self.running.filter(|_| !anew);
        let decision = self.decide(old, release);
        let live = self.live();
        let widened = self.cache.with_let_through("shop", at(self.clock));
        let widened = Oracle::of(widened.as_ref().unwrap_or(&self.cache), self.clock);
        let (cached, live) = (Oracle::of(&self.cache, self.clock), Oracle::of(&live, self.clock));
        let allowed = decision.is_allowed();
        match self.promise {
            Promise::Safety if allowed && old != Some(release) => {
                assert!(
                    cached.allows(release) && widened.allows(release) || live.allows(release),
                    "{release} was let through; {cached:?}; {widened:?}; {live:?}"
                );
                self.nothing_is_invented(&cached);
                self.a_word_leaves_a_trace(&decision, release, &[cached, live]);
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

    /// What nothing but a person lets through names his words, and what needs none of them names none.
    fn a_word_leaves_a_trace(&self, decision: &Decision, release: usize, views: &[Oracle]) {
        let used: Vec<&str> = decision.overrides_used().iter().map(|u| u.name.as_str()).collect();
        if used.is_empty() {
            let all: Vec<&str> = self.said.iter().map(String::as_str).collect();
            let unaided = |view: &Oracle| view.without(&all).allows(release);
            assert!(
                views.iter().any(unaided),
                "{release} was let through without a trace: {views:?}"
            );
            return;
        }
        let needed = |view: &Oracle| {
            !view.without(&used).allows(release)
                || used.iter().all(|one| !view.without(&[one]).allows(release))
        };
        assert!(views.iter().any(needed), "{used:?} were not needed for {release}: {views:?}");
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
        assert!(first.question.is_some() || first.is_allowed(), "asked before it is refused");
        let widened = self.cache.with_let_through("shop", now);
        let may_refuse = !first.is_allowed() || widened.is_some();
        assert!(first.question.is_none() || may_refuse, "only where it may be refused");
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
