//! Contracts and reverts: what takes evidence away.

use super::*;
use crate::cluster::WorkloadFacts;

fn contract(uid: &str, release: &str, second: i64) -> Sample {
    let contract =
        Sample::new(uid, release).named("contract").phase(MigrationPhase::Contract, true);
    contract.created(second).succeeded(second + 10)
}

/// v1, v2 and v3 migrated in this order.
fn history() -> [Sample; 3] {
    [v1(), v2("m2").succeeded(130), Sample::new("m3", "v3").created(200).succeeded(230)]
}

#[test]
fn a_contract_excludes_what_was_proven_before_its_safe_release() {
    let back =
        |to: &str, contract: Sample| Scene::update("v3", to).records(history()).records([contract]);
    let own = || contract("c", "v3", 300);
    assert_eq!(back("v1", own()).verdict(), "excluded by c");
    assert_eq!(back("v2", own()).verdict(), "excluded by c");
    assert_eq!(back("v1", own().safe_from("v2")).verdict(), "excluded by c");
    assert_eq!(back("v2", own().safe_from("v2")).verdict(), "proven");
    assert_eq!(back("v2", own().safe_from("shop/api:v2")).verdict(), "proven");
    // Forward is never barred.
    let forward = Scene::update("v2", "v3").records(history()).records([own()]);
    assert_eq!(forward.verdict(), "proven");
    // Only a contract that succeeded removed anything.
    assert_eq!(back("v1", own().failed(310)).verdict(), "proven");
}

#[test]
fn a_contract_excludes_what_ran_before_the_first_record() {
    let back = |contract: Sample| {
        Scene::update("v3", "v0").records(history()).records([contract]).revision("v0", -10)
    };
    assert_eq!(back(contract("c", "v3", 300)).verdict(), "excluded by c");
    assert_eq!(back(contract("c", "v3", 300).safe_from("v0")).verdict(), "ran here");
}

#[test]
fn a_contract_that_nobody_declared_only_warns() {
    let guessed = contract("c", "v3", 300).phase(MigrationPhase::Contract, false);
    let scene = Scene::update("v3", "v1").records(history()).records([guessed]);
    assert_eq!(scene.verdict(), "proven");
    assert_eq!(scene.remarks(), ["guessed contract c"]);
}

#[test]
fn a_contract_whose_safe_release_is_unknown_is_the_border_itself() {
    let scene = |to: &str| {
        let typo = contract("c", "v3", 300).safe_from("v9");
        Scene::update("v3", to).records(history()).records([typo])
    };
    assert_eq!(scene("v1").verdict(), "excluded by c");
    let later = Sample::new("m4", "v4").created(400).succeeded(430);
    assert_eq!(scene("v4").records([later]).verdict(), "proven");
}

#[test]
fn a_contract_is_not_required_by_its_own_release() {
    let failing = contract("c", "v2", 140).failed(150);
    let scene = Scene::create("v2").records([v1(), v2("m2").succeeded(130), failing]);
    assert_eq!(scene.verdict(), "proven", "re-created after its contract failed");
    let alone = |contract: Sample| Scene::update("v1", "v2").records([v1(), contract]);
    assert_eq!(alone(contract("c", "v2", 140)).verdict(), "proven", "all that the release has");
    assert_eq!(alone(contract("c", "v2", 140).failed(150)).verdict(), "Failed c");
}

#[test]
fn a_revert_takes_the_newest_release_back() {
    let revert = |second: i64| {
        let revert = Sample::new("r", "v3").named("revert").phase(MigrationPhase::Revert, false);
        revert.created(second).succeeded(second + 5)
    };
    let reverted = |to: &str| Scene::update("v1", to).records(history()).records([revert(300)]);
    assert_eq!(reverted("v3").verdict(), "Succeeded m3", "which a revert took back");
    assert_eq!(reverted("v2").verdict(), "proven");
    let again = Sample::new("m3b", "v3").created(400).succeeded(430);
    assert_eq!(reverted("v3").records([again]).verdict(), "proven", "it was migrated again");
    let twice = reverted("v2").records([revert(310).with(|a| a.uid = "r2".to_owned())]);
    assert_eq!(twice.verdict(), "Succeeded m2", "the next one is then the newest");
    let failed = revert(300).failed(305);
    let not = Scene::update("v1", "v3").records(history()).records([failed]);
    assert_eq!(not.verdict(), "proven");
    // What it undid was the contract: what that excluded works again.
    let undone = Scene::update("v3", "v1").records(history());
    let undone = undone.records([contract("c", "v3", 300), revert(400)]);
    assert_eq!(undone.verdict(), "proven");
}

fn launch<T>(state: &ClusterState, patch: &str, read: impl FnOnce(&Launch<'_>) -> T) -> T {
    let job = crate::policy::sample::migration(patch);
    read(&Launch::of(&job, "shop", state, &Policy::default()))
}

/// A migration Job of `shop/api` with this tag, and further metadata.
fn job(tag: &str, metadata: &str) -> String {
    format!(
        r#"{{"metadata":{{{metadata}}},"spec":{{"template":{{"spec":{{"containers":[
            {{"name":"m","image":"shop/api:{tag}","command":["manage.py","migrate"]}}]}}}}}}}}"#
    )
}

fn running(pods: &[(&str, Option<&str>)]) -> Vec<WorkloadFacts> {
    let fact = |(tag, floor): &(&str, Option<&str>)| WorkloadFacts {
        key: ObjectKey { kind: "Pod", namespace: "shop".to_owned(), name: format!("pod-{tag}") },
        ties: crate::cluster::Ties::default(),
        images: vec![
            ImageRef::parse("prom/exporter:1").unwrap(),
            ImageRef::parse(&format!("shop/api:{tag}")).unwrap(),
        ],
        floor: floor.map(str::to_owned),
    };
    pods.iter().map(fact).collect()
}

#[test]
fn a_contract_waits_for_the_last_pod_that_needs_the_old_schema() {
    let scene = Scene::create("v3").records(history());
    let old = |metadata: &str, pods: &[(&str, Option<&str>)]| {
        launch(&scene.state, &job("v3", metadata), |launch| {
            let old = launch.old_releases(&running(pods), &Policy::default());
            old.into_iter().map(|one| one.object).collect::<Vec<_>>()
        })
    };
    let own = r#""labels":{"wavegate.dev/phase":"contract"}"#;
    let from_v2 =
        r#""labels":{"wavegate.dev/phase":"contract","wavegate.dev/contract-safe-from":"v2"}"#;
    let plain = [("v3", None), ("v2", None), ("v1", None)];
    assert_eq!(old(own, &plain), ["Pod pod-v2", "Pod pod-v1"]);
    assert_eq!(old(from_v2, &plain), ["Pod pod-v1"]);
    assert_eq!(old(own, &[("v3", None)]), [""; 0], "PostSync, after the rollout");
    assert_eq!(old(own, &[]), [""; 0]);
    assert_eq!(old(own, &[("v2.1", None)]), ["Pod pod-v2.1"], "never proven");
    assert_eq!(old(from_v2, &[("v2.1", Some("v2"))]), [""; 0], "a hotfix on a proven floor");
    // A release without a success of its own is at least as new as itself.
    let typo =
        r#""labels":{"wavegate.dev/phase":"contract","wavegate.dev/contract-safe-from":"v9"}"#;
    assert_eq!(old(typo, &[("v3", None)]), ["Pod pod-v3"]);
}

#[test]
fn a_second_attempt_of_a_migration_is_told_from_another_migration() {
    let scene = Scene::create("v2").jobs([v2("a")]).records([v1(), v2("gone")]);
    let active = |metadata: &str| {
        launch(&scene.state, &job("v2", metadata), |launch| launch.active().map(|a| a.uid.clone()))
    };
    assert_eq!(active(r#""name":"shop-migrate-x7k2p""#), Some("a".to_owned()));
    assert_eq!(active(r#""name":"shop-migrate-billing""#), None);
    assert_eq!(active(r#""labels":{"wavegate.dev/migration":"x"}"#), None);
    assert_eq!(active(r#""labels":{"app.kubernetes.io/instance":"x"}"#), Some("a".to_owned()));
    let ended = Scene::create("v2").jobs([v2("a").failed(130)]);
    let active = launch(&ended.state, &job("v2", ""), |launch| launch.active().is_some());
    assert!(!active, "a Job that has ended runs no more");
}

#[test]
fn failures_are_counted_since_the_last_success() {
    let failures = |samples: Vec<Sample>| {
        let scene = Scene::create("v2").records(samples);
        launch(&scene.state, &job("v2", ""), |launch| launch.failures().0)
    };
    let bad = |uid: &str, second: i64| v2(uid).created(second).failed(second + 1);
    assert_eq!(failures(vec![v1(), bad("a", 100), bad("b", 200)]), 2);
    assert_eq!(
        failures(vec![bad("a", 100), v2("s").created(150).succeeded(160), bad("b", 200)]),
        1
    );
    assert_eq!(failures(vec![Sample::new("x", "v1").failed(5), bad("a", 100)]), 1);
    let interrupted = v2("i").created(300).ended(Outcome::Interrupted, 301);
    assert_eq!(failures(vec![bad("a", 100), interrupted]), 2);
}
