use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::certs::{Leaf, SubjectName};
use crate::watch::certificates::store::{Data, LEAF, Store, certificates, covers, is_alive};

const LIFETIMES: Lifetimes = Lifetimes {
    leaf: Duration::from_mins(2),
    ca: Duration::from_mins(5),
    settle: Duration::from_secs(5),
    overlap: Duration::from_secs(10),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn span(issued: i64, ends: i64) -> Span {
    Span { issued: at(issued), ends: at(ends) }
}

fn names() -> Vec<SubjectName> {
    SubjectName::of_service("wavegate", "wavegate").unwrap()
}

#[test]
fn each_state_has_its_step() {
    let stored = Facts { signer: Some(span(0, 300)), leaf: Some(span(0, 90)), ..Facts::default() };
    let next = Some(span(200, 500));
    let cases: [(&str, Facts, Option<i64>, i64, Step); 20] = [
        ("nothing is stored", Facts::default(), None, 0, Step::Prepare),
        ("nobody waits", Facts { next, ..Facts::default() }, None, 200, Step::Promote),
        (
            "somebody is trusted by what was lost",
            Facts { next, retired: true, ..Facts::default() },
            Some(196),
            200,
            Step::Rest,
        ),
        (
            "and has had time",
            Facts { next, retired: true, ..Facts::default() },
            Some(195),
            200,
            Step::Promote,
        ),
        ("all is well", stored, Some(0), 59, Step::Rest),
        ("all is well, and unpublished", stored, None, 59, Step::Rest),
        ("two thirds of the leaf are over", stored, Some(0), 60, Step::Issue),
        ("the leaf is over", stored, Some(0), 95, Step::Issue),
        ("no leaf fits", Facts { leaf: None, ..stored }, None, 1, Step::Issue),
        (
            "a leaf that ends with its CA",
            Facts { leaf: Some(span(100, 300)), ..stored },
            None,
            199,
            Step::Rest,
        ),
        (
            "two thirds of the CA are over",
            Facts { leaf: Some(span(190, 280)), ..stored },
            None,
            200,
            Step::Prepare,
        ),
        (
            "unpublished",
            Facts { leaf: Some(span(190, 280)), next, ..stored },
            None,
            299,
            Step::Issue,
        ),
        (
            "published lately",
            Facts { leaf: Some(span(190, 280)), next, ..stored },
            Some(200),
            204,
            Step::Rest,
        ),
        (
            "published and settled",
            Facts { leaf: Some(span(190, 280)), next, ..stored },
            Some(200),
            205,
            Step::Promote,
        ),
        ("the CA is over", Facts { retired: false, ..stored }, Some(0), 300, Step::Prepare),
        ("the old CA overlaps", Facts { retired: true, ..stored }, Some(0), 9, Step::Rest),
        ("the old CA has overlapped", Facts { retired: true, ..stored }, Some(0), 10, Step::Retire),
        ("asked for a leaf", Facts { asked: Some(Asked::Leaf), ..stored }, Some(0), 1, Step::Issue),
        ("asked for a CA", Facts { asked: Some(Asked::Ca), ..stored }, Some(0), 1, Step::Prepare),
        ("something else is stored", Facts { damaged: true, ..stored }, Some(0), 1, Step::Tidy),
    ];
    for (what, facts, published, now, step) in cases {
        let published = published.map(at).map_or(Published::Incomplete, Published::Since);
        assert_eq!(decide(&facts, published, &LIFETIMES, at(now)), step, "{what}");
    }
}

#[test]
fn what_cannot_be_read_may_carry_any_ca_and_time_goes_on() {
    let stored = Facts { signer: Some(span(0, 300)), leaf: Some(span(0, 90)), ..Facts::default() };
    let next = Some(span(200, 500));
    let cases = [
        ("all is well", stored, 59, Step::Rest),
        ("two thirds of the leaf are over", stored, 60, Step::Issue),
        ("asked for a leaf", Facts { asked: Some(Asked::Leaf), ..stored }, 1, Step::Issue),
        ("asked for a CA", Facts { asked: Some(Asked::Ca), ..stored }, 1, Step::Prepare),
        ("nothing is stored", Facts::default(), 0, Step::Prepare),
        ("the CA is over", stored, 300, Step::Prepare),
        ("somebody may wait", Facts { next, ..Facts::default() }, 200, Step::Rest),
        (
            "the next CA may be unpublished",
            Facts { leaf: Some(span(190, 280)), next, ..stored },
            230,
            Step::Rest,
        ),
        ("the old CA may be needed", Facts { retired: true, ..stored }, 10, Step::Rest),
        ("what was lost may be published", Facts { damaged: true, ..stored }, 95, Step::Rest),
    ];
    for (what, facts, now, step) in cases {
        assert_eq!(decide(&facts, Published::Unread, &LIFETIMES, at(now)), step, "{what}");
    }
}

#[test]
fn lifetimes_must_fit_together() {
    assert_eq!(Lifetimes::default().check(), Ok(Lifetimes::default()));
    assert!(Lifetimes { leaf: Duration::from_secs(301), ..LIFETIMES }.check().is_err());
    assert!(Lifetimes { leaf: Duration::from_secs(1), ..LIFETIMES }.check().is_err());
    assert!(Lifetimes { overlap: Duration::from_secs(71), ..LIFETIMES }.check().is_err());
    assert!(Lifetimes { overlap: Duration::from_secs(70), ..LIFETIMES }.check().is_ok());
}

/// What may happen in a second.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The leader looks; whether its patch goes through.
    Look {
        patched: bool,
    },
    /// The leader looks, and may not read one of the two configurations, or neither.
    Unread([bool; 2]),
    /// Another leader looks, who knows nothing of before.
    Change,
    /// Nobody looks.
    Away,
    Ask(Asked),
    /// One of the Secret's values is cut short, or all are gone.
    Damage(u8),
}

const UNREAD: [[bool; 2]; 3] = [[true, false], [false, true], [true, true]];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        60 => Just(Event::Look { patched: true }),
        6 => Just(Event::Look { patched: false }),
        4 => proptest::sample::select(UNREAD.to_vec()).prop_map(Event::Unread),
        4 => Just(Event::Change),
        25 => Just(Event::Away),
        1 => Just(Event::Ask(Asked::Ca)),
        1 => Just(Event::Ask(Asked::Leaf)),
        1 => (0_u8..9).prop_map(Event::Damage),
    ]
}

/// A cluster: one Secret, what is published, and who hears late of either.
#[derive(Default)]
struct World {
    secret: Data,
    asked: Option<Asked>,
    /// What each of the two configurations carries.
    published: [Vec<u8>; 2],
    since: Option<Timestamp>,
    /// What API servers trust and replicas serve: the newest first.
    trusted: VecDeque<[Vec<u8>; 2]>,
    served: VecDeque<Option<Vec<u8>>>,
    promoted: usize,
    issued: usize,
    steps: Vec<(i64, Step)>,
}

impl World {
    fn look(&mut self, patched: bool, unread: [bool; 2], now: Timestamp) {
        for _ in 0..8 {
            let read = (0..2).filter(|which: &usize| !unread[*which]);
            let cas = read.clone().flat_map(|which| certificates(&self.published[which]));
            let cas = cas.filter(|ca| is_alive(ca, now)).collect();
            let store = Store::read(&self.secret).trusting(cas);
            let facts = store.facts(&names(), self.asked, now);
            let bundle = store.bundle();
            if !facts.damaged && (facts.signer.is_some() || facts.next.is_some()) {
                if read.clone().all(|which| self.published[which] == bundle) {
                    self.since.get_or_insert(now);
                } else {
                    self.since = None;
                    if patched {
                        read.for_each(|which| self.published[which].clone_from(&bundle));
                    }
                }
            }
            let published = if unread.contains(&true) {
                self.since = None;
                Published::Unread
            } else {
                self.since.map_or(Published::Incomplete, Published::Since)
            };
            let step = decide(&facts, published, &LIFETIMES, now);
            match (step, self.asked) {
                (Step::Rest, _) => return,
                (Step::Promote, Some(Asked::Ca)) | (Step::Issue, Some(Asked::Leaf)) => {
                    self.asked = None;
                }
                _ => {}
            }
            self.steps.push((now.as_second() - 1_800_000_000, step));
            self.promoted += usize::from(step == Step::Promote);
            self.issued += usize::from(step == Step::Issue);
            let store = store.apply(step, &names(), &LIFETIMES, now).unwrap();
            self.secret = store.data();
        }
        panic!("it never comes to rest");
    }

    fn play(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Look { patched } => self.look(patched, [false; 2], now),
            Event::Unread(unread) => self.look(true, unread, now),
            Event::Change => {
                self.since = None;
                self.look(true, [false; 2], now);
            }
            Event::Away => {}
            Event::Ask(asked) => self.asked = Some(asked),
            Event::Damage(8) => self.secret.clear(),
            Event::Damage(which) => {
                let values = self.secret.len().max(1);
                if let Some(value) = self.secret.values_mut().nth(usize::from(which) % values) {
                    // Never between two certificates: what is whole is not damaged.
                    value.truncate(value.len() * 5 / 9);
                }
            }
        }
        let [certificate, key] = LEAF.map(|name| {
            String::from_utf8(self.secret.get(name).cloned().unwrap_or_default()).unwrap()
        });
        let leaf = Leaf { certificate: certificate.clone(), key };
        let before = self.served.front().cloned().flatten();
        self.served.push_front(leaf.is_pair().then(|| certificate.into_bytes()).or(before));
        self.trusted.push_front(self.published.clone());
        self.served.truncate(10);
        self.trusted.truncate(5);
    }

    /// Whether every API server accepts every replica, however late either hears of what was changed.
    fn all_is_covered(&self, now: Timestamp) -> bool {
        let mut served: Vec<_> = self.served.iter().flatten().collect();
        served.dedup();
        let mut trusted: Vec<_> = self.trusted.iter().flatten().collect();
        trusted.dedup();
        served.iter().all(|leaf| {
            let chain = certificates(leaf);
            trusted.iter().all(|cas| covers(&certificates(cas), &chain, &names(), now))
        })
    }
}

#[test]
fn a_leaf_is_renewed_while_a_configuration_cannot_be_read_and_its_ca_stays() {
    for unread in UNREAD {
        let mut world = World::default();
        (0..10).for_each(|second| world.play(Event::Look { patched: true }, at(second)));
        let signer = world.secret["signer.crt"].clone();
        for second in 10..290 {
            world.play(Event::Unread(unread), at(second));
            assert!(world.all_is_covered(at(second)), "second {second} after {:?}", world.steps);
        }
        assert_eq!(world.secret["signer.crt"], signer, "{:?}", world.steps);
        assert!(world.secret.contains_key("next-signer.crt"), "{:?}", world.steps);
        assert!(world.issued >= 3 && world.promoted == 1, "{:?}", world.steps);
        // Read again, the next CA settles and signs.
        (290..299).for_each(|second| world.play(Event::Look { patched: true }, at(second)));
        assert_eq!(world.promoted, 2, "{:?}", world.steps);
    }
}

#[test]
fn what_is_lost_is_made_anew_only_once_all_that_is_trusted_was_read() {
    for unread in UNREAD {
        let mut world = World::default();
        (0..10).for_each(|second| world.play(Event::Look { patched: true }, at(second)));
        // The CA in `ca.crt` and in `signer.crt`: who serves what it signed is known from the configurations alone.
        for which in [0, 1] {
            world.play(Event::Damage(which), at(10));
        }
        let damaged = world.secret.clone();
        (11..20).for_each(|second| world.play(Event::Unread(unread), at(second)));
        assert_eq!(world.secret, damaged, "{:?}", world.steps);
        for second in 20..50 {
            world.play(Event::Look { patched: true }, at(second));
            assert!(world.all_is_covered(at(second)), "second {second} after {:?}", world.steps);
        }
        let facts = Store::read(&world.secret).facts(&names(), None, at(50));
        assert!(facts.leaf.is_some() && !facts.damaged, "{:?}", world.steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// API servers hear of a bundle within `settle`, replicas of a certificate within `overlap`, and a leader looks
    /// every ten seconds at least.
    #[test]
    fn no_replica_ever_serves_what_an_api_server_does_not_trust(
        events in proptest::collection::vec(event(), 700),
    ) {
        let mut world = World::default();
        for second in 0..10 {
            world.play(Event::Look { patched: true }, at(second));
        }
        for (second, event) in (10..).zip(events) {
            let event = if second % 10 == 0 { Event::Look { patched: true } } else { event };
            world.play(event, at(second));
            prop_assert!(
                world.all_is_covered(at(second)),
                "{event:?} in second {second} after {:?}", world.steps
            );
        }
        // How many there are is chance; that there are some is what makes the rest mean anything.
        prop_assert!(world.promoted >= 2, "{} CAs", world.promoted);
        prop_assert!(world.issued >= 2, "{} leaves", world.issued);
        // Left alone it comes to rest, with one CA.
        for second in 710..760 {
            world.play(Event::Look { patched: true }, at(second));
        }
        let facts = Store::read(&world.secret).facts(&names(), world.asked, at(760));
        prop_assert!(facts.leaf.is_some() && !facts.damaged, "{facts:?}");
    }

    #[test]
    fn whatever_a_secret_holds_is_read(
        data in proptest::collection::btree_map("(tls|ca|signer|next-signer)\\.(crt|key)", proptest::collection::vec(any::<u8>(), 0..100), 0..7),
    ) {
        let facts = Store::read(&data).facts(&names(), None, at(0));
        prop_assert_eq!(facts, Facts { damaged: data.values().any(|v| !v.is_empty()), ..Facts::default() });
    }
}
