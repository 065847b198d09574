//! What each kind of override does to a verdict, and what it leaves alone.

use super::*;
use crate::cluster::Override;
use crate::domain::gate_override::OverrideSpec;

/// An override of app `shop/api`, created then.
fn says(name: &str, second: i64, spec: &str) -> Override {
    let json = format!(r#"{{"app":"shop/api","reason":"because",{spec}}}"#);
    let spec: OverrideSpec = serde_json::from_str(&json).unwrap();
    Override::new("shop", name, Some(at(second)), spec).unwrap()
}

fn bypass(release: &str, second: i64, expires: i64) -> Override {
    let spec = format!(r#""kind":"Bypass","release":"{release}","expiresAt":"{}""#, at(expires));
    says("bypass", second, &spec)
}

fn attest(release: &str, second: i64) -> Override {
    says("attest", second, &format!(r#""kind":"Attest","release":"{release}""#))
}

fn invalidate(second: i64, before: i64) -> Override {
    says("invalidate", second, &format!(r#""kind":"Invalidate","before":"{}""#, at(before)))
}

impl Scene {
    fn overrides(mut self, overrides: impl IntoIterator<Item = Override>) -> Self {
        for one in overrides {
            self.state.overrides_mut().observe(one);
        }
        self
    }

    fn used(&self) -> Vec<String> {
        self.judge(|judgements| {
            judgements.iter().flat_map(|j| &j.used).map(|one| one.name.clone()).collect()
        })
    }
}

/// v2's migration failed.
fn failed() -> Scene {
    Scene::update("v1", "v2").records([v1(), v2("a").failed(130)])
}

#[test]
fn a_bypass_lets_one_release_through_whatever_holds_it() {
    let contract = Sample::new("c", "v2").created(200).phase(MigrationPhase::Contract, true);
    let contracted = [v1(), v2("a").succeeded(130), contract.succeeded(230)];
    let digest = format!("shop/api@sha256:{}", "1".repeat(64));
    let scenes = [
        ("failed", failed(), "v2"),
        ("runs", Scene::update("v1", "v2").records([v1()]).jobs([v2("a")]), "v2"),
        ("never ran", Scene::update("v1", "v2").records([v1()]), "v2"),
        ("excluded", Scene::update("v2", "v1").records(contracted), "v1"),
        ("other", Scene::update("v1", "v3").records([v1(), v2("a").succeeded(130)]), "v3"),
        ("incomparable", Scene::update("v1", &digest).records([v1()]), digest.as_str()),
    ];
    for (name, scene, release) in scenes {
        assert!(scene.judge(|judgements| judgements[0].verdict.may_hold()), "{name}");
        let scene = scene.overrides([bypass(release, 900, 2000)]);
        assert_eq!(
            (scene.verdict().as_str(), scene.used()),
            ("bypassed by bypass", vec!["bypass".to_owned()]),
            "{name}"
        );
    }
}

#[test]
fn a_bypass_is_for_its_release_and_its_app_and_its_time() {
    let held = "Failed a";
    assert_eq!(failed().overrides([bypass("v3", 900, 2000)]).verdict(), held, "another release");
    assert_eq!(failed().overrides([bypass("v2", 900, 1000)]).verdict(), held, "expired");
    let wide = bypass("v2", 1000 - 86_400, 900_000_000);
    assert_eq!(failed().overrides([wide]).verdict(), held, "a day is the longest");
    let young = bypass("v2", 1001 - 86_400, 900_000_000);
    assert_eq!(failed().overrides([young]).verdict(), "bypassed by bypass");
    let mut other = bypass("v2", 900, 2000);
    other.spec.app = Some("shop/web".to_owned());
    assert_eq!(failed().overrides([other]).verdict(), held, "another app");
    let mut elsewhere = bypass("v2", 900, 2000);
    elsewhere.namespace = "elsewhere".to_owned();
    assert_eq!(failed().overrides([elsewhere]).verdict(), held, "another namespace");
}

#[test]
fn a_bypass_that_nothing_needs_is_not_used() {
    let proven = Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]);
    let proven = proven.overrides([bypass("v2", 900, 2000), attest("v2", 900)]);
    assert_eq!((proven.verdict().as_str(), proven.used()), ("proven", vec![]));
}

#[test]
fn an_override_speaks_of_an_app_by_its_label_or_else_by_its_repository_or_of_a_workload() {
    let named = |app: &str, label: &str| {
        let mut one = bypass("v2", 900, 2000);
        one.spec.app = Some(app.to_owned());
        let label = format!(r#""wavegate.dev/app":{label}"#);
        failed().overrides([one]).with(|scene| {
            scene.new = scene.new.replace(r#""wavegate.dev/app":null"#, &label);
        })
    };
    assert_eq!(named("shop/api", "null").verdict(), "bypassed by bypass");
    assert_eq!(named("docker.io/shop/api", "null").verdict(), "bypassed by bypass");
    assert_eq!(named("shop", r#""shop""#).verdict(), "bypassed by bypass");
    assert_eq!(named("shop/web", r#""shop""#).verdict(), "Failed a");
    let of = |kind: &str, name: &str| {
        let json = format!(
            r#"{{"kind":"Bypass","workload":{{"kind":"{kind}","name":"{name}"}},"release":"v2","reason":"x","expiresAt":"{}"}}"#,
            at(2000)
        );
        let spec = serde_json::from_str(&json).unwrap();
        failed().overrides([Override::new("shop", "bypass", Some(at(900)), spec).unwrap()])
    };
    assert_eq!(of("Deployment", "shop-api").verdict(), "bypassed by bypass");
    assert_eq!(of("Deployment", "shop-web").verdict(), "Failed a");
    assert_eq!(of("StatefulSet", "shop-api").verdict(), "Failed a");
}

#[test]
fn an_attest_counts_as_the_success_of_its_release() {
    let scene = failed().overrides([attest("v2", 900)]);
    assert_eq!((scene.verdict().as_str(), scene.used()), ("proven", vec!["attest".to_owned()]));
    assert_eq!(scene.remarks(), [""; 0], "the failure came before");
    let never = Scene::update("v1", "v2").records([v1()]).overrides([attest("v2", 900)]);
    assert_eq!(never.verdict(), "proven");
    assert_eq!(failed().overrides([attest("v3", 900)]).verdict(), "Failed a");
    let again = failed().records([v2("b").created(950).failed(960)]);
    let again = again.overrides([attest("v2", 900)]);
    assert_eq!(
        (again.verdict().as_str(), again.remarks()),
        ("proven", vec!["tried again b".to_owned()])
    );
    let floor = Scene::update("v1", "v2.1").records([v1()]).overrides([attest("v2", 900)]);
    let floor = floor.with(|scene| {
        scene.new = labelled(&scene.new, r#""wavegate.dev/requires-release":"v2""#);
    });
    assert_eq!((floor.verdict().as_str(), floor.used()), ("floor", vec!["attest".to_owned()]));
}

#[test]
fn an_attest_of_one_migration_proves_no_other() {
    let named = |migration: &str| {
        let mut one = attest("v2", 900);
        one.spec.migration = Some(migration.to_owned());
        one
    };
    assert_eq!(failed().overrides([named("shop-migrate")]).verdict(), "proven");
    assert_eq!(failed().overrides([named("billing")]).verdict(), "Failed a");
    let both = || failed().records([v2("b").named("billing").failed(140)]);
    assert_eq!(both().overrides([named("shop-migrate")]).verdict(), "Failed b");
    let mut other = named("billing");
    other.name = "other".to_owned();
    assert_eq!(both().overrides([named("shop-migrate"), other]).verdict(), "proven");
}

#[test]
fn an_attest_does_not_count_against_what_came_later() {
    let revert = Sample::new("r", "v1").created(950).phase(MigrationPhase::Revert, true);
    let reverted = failed().records([revert.succeeded(960)]).overrides([attest("v2", 900)]);
    assert_eq!(reverted.verdict(), "Failed a");
    let invalid = failed().overrides([attest("v2", 900), invalidate(990, 950)]);
    assert_eq!(invalid.verdict(), "Failed a");
    let before = failed().overrides([attest("v2", 900), invalidate(990, 800)]);
    assert_eq!(before.verdict(), "proven");
    let contract = Sample::new("c", "v3").created(950).phase(MigrationPhase::Contract, true);
    let v3 = Sample::new("d", "v3").created(920).succeeded(930);
    let contracted = failed().records([v3, contract.succeeded(960)]);
    assert_eq!(contracted.overrides([attest("v2", 900)]).verdict(), "excluded by c");
}

#[test]
fn an_invalidate_takes_what_succeeded_before_it_and_nothing_since() {
    let ran = || Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]);
    let taken = ran().overrides([invalidate(900, 500)]);
    assert_eq!(taken.verdict(), "a invalidated by invalidate");
    assert_eq!(ran().overrides([invalidate(900, 130)]).verdict(), "proven", "not before it");
    let again = ran().records([v2("b").created(600).succeeded(630)]);
    assert_eq!(again.overrides([invalidate(900, 500)]).verdict(), "proven");
    // A time to come is none: what is done tomorrow counts tomorrow.
    let later = ran().records([v2("b").created(950).succeeded(960)]);
    assert_eq!(later.overrides([invalidate(900, 5000)]).verdict(), "proven");
}

#[test]
fn an_invalidate_takes_what_ran_here_and_contracts_too() {
    let back = || Scene::update("v1", "v0").records([v1()]).revision("v0", -10);
    assert_eq!(back().verdict(), "ran here");
    assert_eq!(back().overrides([invalidate(900, 500)]).verdict(), "never ran, newest m1");
    let contract = Sample::new("c", "v2").created(200).phase(MigrationPhase::Contract, true);
    let again = v1().with(|attempt| attempt.uid = "again".to_owned()).created(600).succeeded(630);
    let records = [v1(), v2("a").succeeded(130), contract.succeeded(230), again];
    let restored = Scene::update("v2", "v1").records(records);
    assert_eq!(restored.verdict(), "excluded by c");
    let restored = restored.overrides([invalidate(900, 500)]);
    assert_eq!(
        (restored.verdict().as_str(), restored.used()),
        ("proven", vec!["invalidate".to_owned()])
    );
}

#[test]
fn an_invalidate_of_one_release_leaves_the_others() {
    let mut one = invalidate(900, 500);
    one.spec.release = Some("v2".to_owned());
    let records = || [v1(), v2("a").succeeded(130)];
    let held = Scene::update("v1", "v2").records(records()).overrides([one.clone()]);
    assert_eq!(held.verdict(), "a invalidated by invalidate");
    assert_eq!(Scene::update("v2", "v1").records(records()).overrides([one]).verdict(), "proven");
}

#[test]
fn a_revert_after_a_restore_speaks_of_what_succeeded_since() {
    let again = v1().with(|attempt| attempt.uid = "again".to_owned()).created(600).succeeded(630);
    let revert = Sample::new("r", "v1").created(700).phase(MigrationPhase::Revert, true);
    let records = [v1(), v2("a").succeeded(130), again, revert.succeeded(710)];
    let scene = Scene::update("v2", "v1").records(records);
    assert_eq!(scene.verdict(), "proven", "the revert took v2");
    let scene = scene.overrides([invalidate(900, 500)]);
    assert_eq!(scene.verdict(), "Succeeded again", "v2 was gone, so it took v1");
}

#[test]
fn a_retired_app_is_known_to_migrate_by_newer_attempts_only() {
    let retire = |second| says("retire", second, r#""kind":"Retire""#);
    let never = || Scene::update("v1", "v2").records([v1()]);
    let scene = never().overrides([retire(900)]);
    assert_eq!(
        (scene.verdict().as_str(), scene.used()),
        ("not migrated", vec!["retire".to_owned()])
    );
    assert_eq!(failed().overrides([retire(900)]).verdict(), "not migrated");
    let newer = never().records([Sample::new("n", "v1").created(950).succeeded(960)]);
    assert_eq!(newer.overrides([retire(900)]).verdict(), "never ran, newest n");
    let newer = failed().records([v2("b").created(950).failed(960)]);
    assert_eq!(newer.overrides([retire(900)]).verdict(), "Failed b");
    let contract = Sample::new("c", "v2").created(200).phase(MigrationPhase::Contract, true);
    let records = [v1(), v2("a").succeeded(130), contract.succeeded(230)];
    let gone = Scene::update("v2", "v1").records(records).overrides([retire(900)]);
    assert_eq!(gone.verdict(), "excluded by c", "what it removed stays removed");
}

/// Moving a workload from one app to another in the update that brings a new release retires neither.
#[test]
fn a_retire_must_speak_of_both_sides() {
    let mut retire = says("retire", 900, r#""kind":"Retire""#);
    retire.spec.app = Some("retired".to_owned());
    let label = |app: &str| format!(r#""wavegate.dev/app":"{app}""#);
    let scene = Scene::update("v1", "v2").records([v1()]).overrides([retire]);
    let scene = scene.with(|scene| {
        scene.new = scene.new.replace(r#""wavegate.dev/app":null"#, &label("retired"));
    });
    assert_eq!(scene.verdict(), "never ran, newest m1");
    let both = scene.with(|scene| scene.old = Some(scene.new.replace("api:v2", "api:v1")));
    assert_eq!(both.verdict(), "not migrated");
}

#[test]
fn a_refused_first_install_is_let_through_by_a_person() {
    let install = |overrides: Vec<Override>| {
        Scene::create("v2").overrides(overrides).with(|scene| {
            scene.new = scene
                .new
                .replace(r#""wavegate.dev/app":null"#, r#""wavegate.dev/app":"shop/api","x":"y""#);
            scene.policy.first_install_denies = true;
        })
    };
    assert_eq!(install(vec![]).verdict(), "first install");
    assert_eq!(install(vec![bypass("v3", 900, 2000)]).verdict(), "first install");
    assert_eq!(install(vec![bypass("v2", 900, 2000)]).verdict(), "bypassed by bypass");
    assert_eq!(install(vec![attest("v2", 900)]).verdict(), "proven");
}

/// The label stands on the workload alone, on the migration alone, or on both.
#[test]
fn an_override_speaks_of_the_app_of_either_side_of_a_pair() {
    let label = r#""wavegate.dev/app":"shop""#;
    let scene = |workload: bool, job: bool, app: &str, kind: &str| {
        let tie = |sample: Sample| if job { sample.app("shop") } else { sample };
        let mut one = match kind {
            "Bypass" => bypass("v2", 900, 2000),
            "Attest" => attest("v2", 900),
            "Invalidate" => invalidate(900, 500),
            _ => says("retire", 900, r#""kind":"Retire""#),
        };
        one.spec.app = Some(app.to_owned());
        let newest =
            if kind == "Invalidate" { v2("a").succeeded(130) } else { v2("a").failed(130) };
        let mut scene = Scene::update("v1", "v2").records([tie(v1()), tie(newest)]);
        if workload {
            let labelled = |patch: &str| patch.replace(r#""wavegate.dev/app":null"#, label);
            scene.old = scene.old.as_deref().map(labelled);
            scene.new = labelled(&scene.new);
        }
        scene.overrides([one]).verdict()
    };
    let kinds = [
        ("Bypass", "bypassed by bypass", "Failed a"),
        ("Attest", "proven", "Failed a"),
        ("Invalidate", "a invalidated by invalidate", "proven"),
        ("Retire", "not migrated", "Failed a"),
    ];
    for (kind, spoken, unheard) in kinds {
        for (workload, job, app, want) in [
            (true, false, "shop", spoken),
            (true, false, "shop/api", spoken),
            (false, true, "shop", spoken),
            (false, true, "shop/api", spoken),
            (true, true, "shop", spoken),
            (true, true, "shop/api", unheard),
            (true, false, "other", unheard),
            (false, true, "other", unheard),
        ] {
            let found = scene(workload, job, app, kind);
            assert_eq!(found, want, "{kind} {app}, label on workload: {workload}, Job: {job}");
        }
    }
}

const MIRROR: &str = "mirror.example.com/shop/api";

/// Migrated by its own name, and run from a mirror.
fn mirrored(records: impl IntoIterator<Item = Sample>) -> Scene {
    let mirrored = |tag: &str| format!("{MIRROR}:{tag}");
    Scene::update(&mirrored("v1"), &mirrored("v2")).records(records).with(|scene| {
        let alias = crate::domain::names::Alias::new("mirror.example.com", "docker.io");
        scene.policy.names.aliases = vec![alias.unwrap()];
    })
}

fn of_image(kind: &str, image: &str) -> Override {
    let expires =
        if kind == "Bypass" { format!(r#","expiresAt":"{}""#, at(2000)) } else { String::new() };
    says("one", 900, &format!(r#""kind":"{kind}","image":"{image}"{expires}"#))
}

#[test]
fn an_override_knows_an_image_by_every_name() {
    let ran = || mirrored([v1(), v2("a").succeeded(130)]);
    assert_eq!(ran().verdict(), "proven");
    let failed = || mirrored([v1(), v2("a").failed(130)]);
    for app in ["shop/api", MIRROR] {
        let of_app = |mut one: Override| {
            one.spec.app = Some(app.to_owned());
            one
        };
        assert_eq!(
            ran().overrides([of_app(invalidate(900, 500))]).verdict(),
            "a invalidated by invalidate"
        );
        for image in ["shop/api:v2".to_owned(), format!("{MIRROR}:v2")] {
            let says = |kind: &str| of_app(of_image(kind, &image));
            let taken = ran().overrides([says("Invalidate")]);
            assert_eq!(taken.verdict(), "a invalidated by one", "{app} {image}");
            let bypassed = failed().overrides([says("Bypass")]);
            assert_eq!(bypassed.verdict(), "bypassed by one", "{app} {image}");
            assert_eq!(failed().overrides([says("Attest")]).verdict(), "proven", "{app} {image}");
        }
        let other = of_app(of_image("Bypass", "shop/web:v2"));
        assert_eq!(failed().overrides([other]).verdict(), "Failed a", "{app}");
    }
}

#[test]
fn words_for_one_release_are_taken_back_however_they_are_written() {
    let written = [
        r#""image":"shop/api:v2""#.to_owned(),
        r#""image":"docker.io/shop/api:v2""#.to_owned(),
        r#""release":"v2""#.to_owned(),
        r#""release":"shop/api:v2""#.to_owned(),
        format!(r#""image":"{MIRROR}:v2""#),
    ];
    for one in &written {
        let attest = || says("attest", 900, &format!(r#""kind":"Attest",{one}"#));
        let held = || mirrored([v1(), v2("a").failed(130)]);
        assert_eq!(held().overrides([attest()]).verdict(), "proven", "{one}");
        let revert = Sample::new("r", "v1").created(950).phase(MigrationPhase::Revert, true);
        for other in &written {
            let taken = says("taken", 990, &format!(r#""kind":"Invalidate",{other}"#));
            let scene = held().overrides([attest(), taken]);
            assert_eq!(scene.verdict(), "Failed a", "{one} and {other}");
            let second = says("second", 910, &format!(r#""kind":"Attest",{other}"#));
            let scene = held().records([revert.clone().succeeded(960)]);
            let scene = scene.overrides([attest(), second]);
            assert_eq!(scene.verdict(), "Failed a", "{one} and {other}, reverted");
        }
        let another = says("taken", 990, r#""kind":"Invalidate","image":"shop/api:v1""#);
        assert_eq!(held().overrides([attest(), another]).verdict(), "proven", "{one}");
    }
}

#[test]
fn a_token_and_a_tag_are_one_release_where_an_attempt_had_both() {
    let token = |scene: Scene| {
        scene.with(|scene| scene.new = labelled(&scene.new, r#""wavegate.dev/release":"7""#))
    };
    let held = || token(Scene::update("v1", "v2").records([v1(), v2("a").token("7").failed(130)]));
    let attest = || attest("7", 900);
    assert_eq!(held().overrides([attest()]).verdict(), "proven");
    let taken = says("taken", 990, r#""kind":"Invalidate","image":"shop/api:v2""#);
    assert_eq!(held().overrides([attest(), taken]).verdict(), "Failed a");
}

#[test]
fn a_tag_means_what_is_pinned_under_it_and_a_digest_that_alone() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let pinned = |digit: &str| format!("shop/api:v2@{}", digest(digit));
    let scene = |image: &str| {
        let image = of_image("Bypass", image);
        Scene::update("v1", &pinned("1")).records([v1()]).overrides([image]).verdict()
    };
    let held = Scene::update("v1", &pinned("1")).records([v1()]).verdict();
    assert_eq!(scene("shop/api:v2"), "bypassed by one");
    assert_eq!(scene(&pinned("1")), "bypassed by one");
    for other in ["shop/api:v3", "shop/api", "shop/web:v2", pinned("2").as_str()] {
        assert_eq!(scene(other), held, "{other}");
    }
}

#[test]
fn an_attest_of_the_whole_release_leaves_no_migration_missing() {
    let v2 = v2("a").named("billing").succeeded(130);
    let scene = || Scene::update("v1", "v2").records([v1(), v2.clone()]);
    assert_eq!(scene().remarks(), ["missing m1"]);
    assert_eq!(scene().overrides([attest("v2", 900)]).remarks(), [""; 0]);
    let mut one = attest("v2", 900);
    one.spec.migration = Some("billing".to_owned());
    assert_eq!(scene().overrides([one]).remarks(), ["missing m1"]);
}

/// What counts in the environment before is what would let the release run there.
#[test]
fn the_environment_before_is_asked_for_what_counts() {
    let upstream =
        |sample: Sample| sample.with(|attempt| attempt.facts.key.namespace = "staging".to_owned());
    let scene = |before: Vec<Sample>, mut words: Vec<Override>| {
        for one in &mut words {
            one.namespace = "staging".to_owned();
        }
        let records = [v1(), v2("a").succeeded(130)];
        let scene = Scene::update("v1", "v2").records(records);
        let scene = scene.records(before.into_iter().map(upstream)).overrides(words);
        scene.with(|scene| scene.policy.upstream = Some("staging".to_owned()))
    };
    let not_upstream = ["not upstream"];
    let ran = || v2("u").succeeded(120);
    assert_eq!(scene(vec![], vec![]).remarks(), not_upstream);
    assert_eq!(scene(vec![ran()], vec![]).remarks(), [""; 0]);
    assert_eq!(scene(vec![ran()], vec![invalidate(900, 500)]).remarks(), not_upstream);
    assert_eq!(scene(vec![v2("u").failed(120)], vec![attest("v2", 900)]).remarks(), [""; 0]);
    let revert = Sample::new("r", "v1").created(200).phase(MigrationPhase::Revert, true);
    assert_eq!(scene(vec![ran(), revert.succeeded(210)], vec![]).remarks(), not_upstream);
    let strange = scene(vec![ran()], vec![]).with(|scene| {
        scene.policy.creators = vec![crate::domain::glob::Glob::parse("argocd").unwrap()];
    });
    assert!(strange.remarks().contains(&"not upstream".to_owned()));
}

/// A way back to what is proven stays one, whatever the environment before says.
#[test]
fn a_bypass_leaves_what_is_proven_proven() {
    let scene = || {
        let scene = Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]);
        scene.with(|scene| scene.policy.upstream = Some("staging".to_owned()))
    };
    assert_eq!((scene().verdict().as_str(), scene().remarks().len()), ("proven", 1));
    let bypassed = scene().overrides([bypass("v2", 900, 2000)]);
    assert_eq!((bypassed.verdict().as_str(), bypassed.remarks().len()), ("proven", 0));
    assert_eq!(bypassed.used(), ["bypass"]);
}
