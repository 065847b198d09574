//! What the gate says of each attempt, beside the verdict that it goes with.

use proptest::prelude::*;

use super::*;
use crate::cluster::PairReason;
use crate::policy::gate::Bearing::{
    Excludes, Holds, Incomparable, NotRequired, OtherRelease, Outweighed, Overtaken, Proves,
    ProvesFloor, Reverts, Withdrawn,
};

impl Scene {
    fn account<T>(&self, read: impl FnOnce(Account<'_>) -> T) -> T {
        let old = self.old.as_ref().map(|old| workload(WorkloadKind::Deployment, old));
        let new = workload(WorkloadKind::Deployment, &self.new);
        let change = Change { new: &new, old: old.as_ref(), namespace: "shop" };
        read(account(change, &self.state, &self.policy, self.now))
    }

    /// Each attempt, and how it bears on the only release.
    fn bearings(&self) -> Vec<(String, Bearing)> {
        self.account(|account| {
            let of = |entry: &Entry<'_>| match entry.bearings.as_slice() {
                [only] => (entry.sighting.attempt().uid.clone(), *only),
                several => panic!("{several:?}"),
            };
            account.entries.iter().map(of).collect()
        })
    }

    fn ways(&self) -> Vec<String> {
        self.account(|account| account.proven.into_iter().map(|proven| proven.image).collect())
    }
}

fn rows(list: &[(&str, Bearing)]) -> Vec<(String, Bearing)> {
    list.iter().map(|(uid, bearing)| ((*uid).to_owned(), *bearing)).collect()
}

#[test]
fn every_attempt_says_what_it_means_for_the_release() {
    let failed = || v2("a").failed(130);
    let cases = [
        ("held", vec![v1(), failed()], vec![("m1", OtherRelease), ("a", Holds)]),
        (
            "failed twice",
            vec![failed(), v2("b").created(200).failed(230)],
            vec![("a", Overtaken), ("b", Holds)],
        ),
        (
            "fixed",
            vec![failed(), v2("b").created(200).succeeded(230)],
            vec![("a", Outweighed), ("b", Proves)],
        ),
        (
            "one of two",
            vec![failed(), v2("b").succeeded(130), v2("c").named("x").failed(140)],
            vec![("a", Overtaken), ("b", Proves), ("c", Holds)],
        ),
        (
            "a guess",
            vec![v1(), v2("a").confidence(Confidence::Medium).failed(130)],
            vec![("m1", OtherRelease), ("a", NotRequired)],
        ),
        (
            "reverted",
            vec![
                v2("a").succeeded(130),
                v2("r").created(200).phase(MigrationPhase::Revert, true).succeeded(230),
            ],
            vec![("a", Withdrawn), ("r", Reverts)],
        ),
    ];
    for (name, history, want) in cases {
        let scene = Scene::update("v1", "v2").records(history);
        assert_eq!(scene.bearings(), rows(&want), "{name}");
    }
}

#[test]
fn contracts_floors_and_digests_are_told_as_such() {
    let contract = v2("c").phase(MigrationPhase::Contract, true).succeeded(130);
    let back = Scene::update("v2", "v1").records([v1(), contract]);
    assert_eq!(back.bearings(), rows(&[("m1", Proves), ("c", Excludes)]));

    let floor = r#""wavegate.dev/requires-release":"v1""#;
    let hotfix = || Scene::update("v1", "v1.1").records([v1(), v2("a").failed(130)]);
    let by_mirror = hotfix().with(|scene| {
        let alias = crate::domain::names::Alias::new("mirror.example.com", "docker.io");
        scene.policy.names.aliases.push(alias.unwrap());
        scene.new = requiring(&scene.new, "mirror.example.com/shop/api:v1");
    });
    let hotfix = hotfix().with(|scene| scene.new = labelled(&scene.new, floor));
    assert_eq!(hotfix.bearings(), rows(&[("m1", ProvesFloor), ("a", OtherRelease)]));
    assert_eq!(by_mirror.bearings(), rows(&[("m1", ProvesFloor), ("a", OtherRelease)]));

    let digest = format!("shop/api:v2@sha256:{}", "1".repeat(64));
    let pinned = Scene::update("v1", &digest).records([v1(), v2("a").succeeded(130)]);
    assert_eq!(pinned.bearings(), rows(&[("m1", Incomparable), ("a", Incomparable)]));
}

#[test]
fn a_likely_pair_tells_its_reason_and_a_stranger_has_no_entry() {
    let scene = Scene::update("v1", "v2")
        .records([v1(), Sample::new("x", "v2").repository("shop/other").failed(9)]);
    scene.account(|account| {
        let [entry] = account.entries.as_slice() else { panic!("{:?}", account.entries) };
        assert_eq!(entry.reason, PairReason::Repository("docker.io/shop/api".to_owned()));
        assert_eq!(account.releases, ["shop/api:v2"]);
        assert_eq!(account.containers, ["api"]);
    });
}

#[test]
fn the_ways_back_are_what_may_run() {
    let failed = Scene::update("v1", "v2").records([v1(), v2("a").failed(130)]);
    assert_eq!(failed.ways(), ["shop/api:v1"]);
    assert_eq!(failed.revision("v0", -10).ways(), ["shop/api:v1", "shop/api:v0"]);
    let contract = v2("c").phase(MigrationPhase::Contract, true).succeeded(130);
    assert_eq!(Scene::update("v2", "v3").records([v1(), contract]).ways(), ["shop/api:v2"]);
    let flyway = Sample::new("f", "11").repository("flyway").app("shop").succeeded(30);
    let elsewhere = Scene::update("v1", "v2").records([flyway]);
    let elsewhere = elsewhere.with(|scene| {
        let app = |patch: &str| {
            patch.replace(r#""wavegate.dev/app":null"#, r#""wavegate.dev/app":"shop""#)
        };
        (scene.new, scene.old) = (app(&scene.new), scene.old.as_deref().map(app));
    });
    assert_eq!(elsewhere.ways(), [""; 0], "a runner's tag is no image of the app's");
}

#[test]
fn an_unchanged_release_is_accounted_for_all_the_same() {
    let scene = Scene::update("v2", "v2").records([v1(), v2("a").failed(130)]);
    assert!(scene.verdicts().is_empty());
    assert_eq!(scene.bearings(), rows(&[("m1", OtherRelease), ("a", Holds)]));
    Scene::create("v1").account(|account| {
        assert!(account.entries.is_empty() && account.ambiguous, "nothing tells api from exporter");
    });
}

fn any_attempt() -> impl Strategy<Value = Sample> {
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let phase = prop::sample::select(vec![
        MigrationPhase::Expand,
        MigrationPhase::Expand,
        MigrationPhase::Contract,
        MigrationPhase::Revert,
    ]);
    let confidence = prop::sample::select(vec![Confidence::Medium, Confidence::Strong]);
    let names = (0..1000_u32, 1..4_u8, prop::sample::select(vec!["one", "two"]));
    (names, outcome, phase, confidence, 0..500_i64, any::<bool>()).prop_map(
        |((uid, release, name), outcome, phase, confidence, created, declared)| {
            Sample::new(&format!("u{uid}"), &format!("v{release}"))
                .named(name)
                .created(created)
                .ended(outcome, created + 7)
                .phase(phase, declared)
                .confidence(confidence)
        },
    )
}

proptest! {
    /// Whatever happened, the account names what the verdict rests on, and the ways back may be gone.
    #[test]
    fn an_account_never_contradicts_its_verdict(
        history in prop::collection::vec(any_attempt(), 1..8),
        created in any::<bool>(),
    ) {
        let scene = |release: &str| {
            let scene = if created { Scene::create(release) } else { Scene::update("v1", release) };
            scene.jobs(history.clone())
        };
        let scene_of_v2 = scene("v2");
        let bearings = scene_of_v2.bearings();
        let has = |uid: &str, wanted: &[Bearing]| {
            bearings.iter().any(|(own, bearing)| own == uid && wanted.contains(bearing))
        };
        let any = |wanted: Bearing| bearings.iter().any(|(_, bearing)| *bearing == wanted);
        scene_of_v2.judge(|judgements| {
            let [judgement] = judgements.as_slice() else { panic!("{judgements:?}") };
            match judgement.verdict {
                Verdict::Proven => assert!(any(Proves) && !any(Holds)),
                Verdict::Running(by) => assert!(has(&by.uid, &[Holds])),
                Verdict::Ended(by, _) => assert!(has(&by.uid, &[Holds, Withdrawn])),
                Verdict::Excluded(by) => assert!(has(&by.uid, &[Excludes])),
                Verdict::OtherRelease(by) | Verdict::NeverRan(by) => {
                    assert!(has(&by.uid, &[OtherRelease, NotRequired, Proves, Withdrawn, Reverts]));
                }
                Verdict::NotMigrated => assert!(!any(Holds) && !any(Proves)),
                other => panic!("{other:?}"),
            }
        });
        for image in scene_of_v2.ways() {
            let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
            let verdict = scene(tag).verdicts();
            assert!(verdict.iter().all(|verdict| verdict == "proven"), "{image}: {verdict:?}");
        }
    }
}
