//! One test for each row, in the table's order, and for what makes a row hold.

use super::*;

#[test]
fn an_unchanged_release_is_not_judged() {
    let none = Scene::update("v2", "v2").records([v1(), v2("bad").failed(130)]);
    assert!(none.verdicts().is_empty());
    // Another container's image is not the app's.
    let exporter = none.with(|scene| scene.new = scene.new.replace("exporter:1", "exporter:2"));
    assert!(exporter.verdicts().is_empty());
}

#[test]
fn a_release_is_proven_once_each_required_migration_has_succeeded() {
    let one = Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]);
    assert_eq!(one.verdict(), "proven");
    let half = Scene::update("v1", "v2").records([
        v1(),
        v2("a").succeeded(130),
        v2("b").named("other").failed(140),
    ]);
    assert_eq!(half.verdict(), "Failed b");
    let both = Scene::update("v1", "v2").records([
        v1(),
        v2("a").succeeded(130),
        v2("b").named("other").succeeded(140),
    ]);
    assert_eq!(both.verdict(), "proven");
}

#[test]
fn a_success_is_not_undone_by_a_later_attempt() {
    for again in [v2("b").created(200), v2("b").created(200).failed(230)] {
        let scene = Scene::update("v1", "v2").jobs([v1(), v2("a").succeeded(130), again]);
        assert_eq!(scene.verdict(), "proven");
        assert_eq!(scene.remarks(), ["tried again b"]);
    }
}

#[test]
fn a_fixed_attempt_supersedes_a_failed_one_under_whatever_job_name() {
    let scene = Scene::update("v1", "v2").records([
        v1(),
        v2("a").failed(130),
        v2("b").created(200).succeeded(230),
    ]);
    assert_eq!(scene.verdict(), "proven");
    assert_eq!(scene.remarks(), [""; 0]);
}

#[test]
fn a_guessed_success_may_allow_and_a_guessed_failure_never_denies() {
    let medium = |sample: Sample| sample.confidence(Confidence::Medium);
    let allowed = Scene::update("v1", "v2").records([v1(), medium(v2("a")).succeeded(130)]);
    assert_eq!(allowed.verdict(), "proven");
    let alone = Scene::update("v1", "v2").records([medium(v2("a")).failed(130)]);
    assert_eq!(alone.verdict(), "not migrated");
    assert_eq!(alone.remarks(), ["unproven a Failed"]);
    // Beside a migration that surely is one, the guess says nothing.
    let beside = Scene::update("v1", "v2").records([
        v1(),
        v2("a").succeeded(130),
        medium(v2("b")).named("x").failed(140),
    ]);
    assert_eq!(beside.verdict(), "proven");
}

#[test]
fn a_guessed_success_counts_for_a_migration_whose_sure_attempt_failed() {
    let by_hand = v2("b").created(200).confidence(Confidence::Medium).succeeded(230);
    let scene = Scene::update("v1", "v2").records([v1(), v2("a").failed(130), by_hand]);
    assert_eq!(scene.verdict(), "proven");
}

/// The same with assets from an old release beside the app.
fn pinned(patch: &str) -> String {
    let assets = r#"{"name":"assets","image":"shop/api:v0"},{"name":"api""#;
    patch.replacen(r#"{"name":"api""#, assets, 1)
}

#[test]
fn what_does_not_change_is_not_judged_beside_what_does() {
    let scene = Scene::update("v1", "v2").records([v1(), v2("a").succeeded(130)]).with(|scene| {
        (scene.old, scene.new) = (Some(pinned(&runs("v1"))), pinned(&runs("v2")));
    });
    assert_eq!(scene.verdicts(), ["proven"]);
}

#[test]
fn a_proven_floor_lets_a_hotfix_through() {
    let hotfix = |scene: Scene| {
        let floor = r#""wavegate.dev/requires-release":"v1""#;
        scene.with(|scene| scene.new = labelled(&scene.new, floor))
    };
    assert_eq!(hotfix(Scene::update("v1", "v1.1").records([v1()])).verdict(), "floor");
    let failed = Scene::update("v1", "v1.1").records([Sample::new("m1", "v1").failed(30)]);
    assert_eq!(hotfix(failed).verdict(), "never ran, newest m1");
    let never = Scene::update("v0", "v1.1").records([Sample::new("m0", "v0").succeeded(3)]);
    assert_eq!(hotfix(never).verdict(), "never ran, newest m0");
}

#[test]
fn an_image_that_ran_before_the_first_record_is_proven() {
    let back = || Scene::update("v1", "v0").records([v1()]);
    assert_eq!(back().revision("v0", -10).verdict(), "ran here");
    assert_eq!(
        back().revision("v0", 10).verdict(),
        "never ran, newest m1",
        "after the first record"
    );
    assert_eq!(back().revision("v-1", -10).verdict(), "never ran, newest m1", "another image");
    let failing = back().records([Sample::new("again", "v0").created(200).failed(210)]);
    assert_eq!(failing.revision("v0", -10).verdict(), "ran here", "its own migration fails now");
}

#[test]
fn the_first_install_of_an_app_that_asks_for_the_gate_is_told_so() {
    let opted_in = |scene: Scene| scene.with(|scene| scene.new = "{}".to_owned());
    assert_eq!(opted_in(Scene::create("v1")).verdict(), "first install");
    assert!(Scene::create("v1").verdicts().is_empty(), "nobody asked");
    assert!(opted_in(Scene::update("v1", "v2")).verdicts().is_empty(), "it is there already");
    assert_eq!(opted_in(Scene::create("v1")).revision("v0", 0).verdict(), "not migrated");
}

#[test]
fn a_running_migration_holds_its_release() {
    let scene = Scene::update("v1", "v2").records([v1()]).jobs([v2("a")]);
    assert_eq!(scene.verdict(), "running a");
    // One that runs is told before one that failed.
    let both = scene.records([v2("b").named("other").failed(120)]);
    assert_eq!(both.verdict(), "running a");
}

#[test]
fn a_migration_that_did_not_succeed_holds_its_release() {
    for outcome in [Outcome::Failed, Outcome::Interrupted, Outcome::Unknown] {
        let scene = Scene::update("v1", "v2").records([v1(), v2("a").ended(outcome, 130)]);
        assert_eq!(scene.verdict(), format!("{outcome} a"));
    }
    let gone = Scene::update("v1", "v2").records([v1(), v2("a")]);
    assert_eq!(gone.verdict(), "Unknown a", "its Job is gone and nobody saw how it ended");
    let mut deleted = Scene::update("v1", "v2").records([v1()]).jobs([v2("a")]);
    deleted.state.attempts_mut().forget_job("shop", "a", Gone::Deleted);
    assert_eq!(deleted.verdict(), "Interrupted a");
}

#[test]
fn a_migration_of_a_third_release_is_a_mismatch() {
    let scene = Scene::update("v1", "v3").records([v1(), v2("a").succeeded(130)]);
    assert_eq!(scene.verdict(), "other release a");
    let created = Scene::create("v3").records([v1()]);
    assert_eq!(created.verdict(), "other release m1");
}

#[test]
fn an_app_that_migrates_is_held_where_nothing_ran_for_its_release() {
    let scene = Scene::update("v1", "v2").records([v1()]);
    assert_eq!(scene.verdict(), "never ran, newest m1");
    let long_ago =
        scene.with(|scene| scene.now = at(1000) + jiff::SignedDuration::from_hours(5000));
    assert_eq!(long_ago.verdict(), "not migrated", "no attempt for half a year");
}

#[test]
fn an_app_that_does_not_migrate_is_not_judged() {
    let other = Sample::new("x", "v9").repository("shop/other").succeeded(1);
    assert!(Scene::update("v1", "v2").records([other]).verdicts().is_empty());
    let guessed = v1().confidence(Confidence::Medium);
    assert_eq!(Scene::update("v1", "v2").records([guessed]).verdict(), "not migrated");
}

#[test]
fn what_cannot_be_compared_is_never_equal() {
    let digest = format!("shop/api:v2@sha256:{}", "1".repeat(64));
    let to_digest = |sample: Sample| Scene::update("v1", &digest).records([v1(), sample]);
    let ran = |digit: &str| {
        let id = format!("docker.io/shop/api@sha256:{}", digit.repeat(64));
        v2("a").with(|attempt| attempt.image_id = Some(id)).succeeded(130)
    };
    assert_eq!(to_digest(v2("a").succeeded(130)).verdict(), "incomparable a");
    assert_eq!(to_digest(ran("1")).verdict(), "proven");
    let known =
        v1().with(|attempt| attempt.image_id = Some(format!("a@sha256:{}", "3".repeat(64))));
    let other = Scene::update("v1", &digest).records([known, ran("2")]);
    assert_eq!(other.verdict(), "other release a");
}

#[test]
fn a_tag_pushed_again_is_told() {
    let ran = |uid: &str, digit: &str, second: i64| {
        let id = format!("docker.io/shop/api@sha256:{}", digit.repeat(64));
        let sample = v2(uid).created(second).succeeded(second + 5);
        sample.with(|attempt| attempt.image_id = Some(id))
    };
    let twice = |other: &str| {
        Scene::update("v1", "v2").records([v1(), ran("a", "1", 100), ran("b", other, 200)])
    };
    assert_eq!(twice("2").remarks(), ["pushed again b"]);
    assert_eq!(twice("1").remarks(), [""; 0]);
}

#[test]
fn a_migration_that_a_newer_release_leaves_out_is_told() {
    let history = || [v1(), Sample::new("extra", "v1").named("extra").succeeded(31)];
    let forward = Scene::update("v1", "v2").records(history()).records([v2("a").succeeded(130)]);
    assert_eq!(forward.verdict(), "proven");
    assert_eq!(forward.remarks(), ["missing extra"]);
    let back = Scene::update("v2", "v1").records(history()).records([
        v2("a").succeeded(130),
        v2("b").named("extra").succeeded(131),
        v2("c").named("new").succeeded(132),
    ]);
    assert_eq!(back.verdict(), "proven");
    assert_eq!(back.remarks(), [""; 0], "an older release cannot have it");
}

#[test]
fn the_environment_before_is_asked_where_the_policy_names_one() {
    let scene = |upstream: Sample| {
        Scene::update("v1", "v2")
            .records([v1(), v2("a").succeeded(130)])
            .records([upstream.with(|attempt| attempt.facts.key.namespace = "staging".to_owned())])
            .with(|scene| scene.policy.upstream = Some("staging".to_owned()))
    };
    assert_eq!(scene(v2("s").succeeded(5)).remarks(), [""; 0]);
    assert_eq!(scene(v2("s").failed(5)).remarks(), ["not upstream"]);
    assert_eq!(scene(v1()).remarks(), ["not upstream"]);
}

#[test]
fn a_floating_tag_is_judged_by_nobody_but_its_own_rule() {
    assert_eq!(Scene::update("v1", "latest").records([v1()]).verdict(), "floating");
    let floating = Sample::new("m", "latest").succeeded(30);
    assert_eq!(Scene::update("v1", "v2").records([floating]).verdict(), "other release m");
}
