//! Contracts, reverts and concurrent attempts, under real syncs.

use serde_json::{Value, json};

use super::manifests::{annotated, app, files, migration, named, release};
use super::{application, becomes_recorded, held, held_at, image_of, succeeds};
use crate::cluster::argocd::{Application, Phase, Resource, Sync};
use crate::guard::{codes, verdict};

const HOOK: &str = "argocd.argoproj.io/hook";

/// A contract of a release, in a phase of the sync.
fn contract(tag: &str, hook: &str, safe_from: Option<&str>) -> Value {
    let mut job = named(migration(tag, "succeed"), "shop-contract");
    job["metadata"]["labels"] =
        json!({"wavegate.dev/phase": "contract", "wavegate.dev/role": "migration"});
    job["metadata"]["annotations"][HOOK] = json!(hook);
    match safe_from {
        Some(release) => annotated(job, "wavegate.dev/contract-safe-from", release),
        None => job,
    }
}

fn with(tag: &str, contract: &Value) -> Vec<(&'static str, String)> {
    let mut objects = release(tag, "succeed");
    objects.push(("contract.json", contract.to_string()));
    objects
}

/// v1 and then v2 have migrated, and v2 runs everywhere.
fn shop(test: &str) -> Application<'static> {
    let shop = application(test).files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(release("v2", "succeed"));
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded")]);
    shop.kubectl().args(["rollout", "status", "deployment/shop-api", "--timeout=50s"]).ok();
    gone(&shop, "v1");
    shop
}

/// Waits until no pod runs a release any more: the last ones end after the rollout.
fn gone(shop: &Application<'_>, tag: &str) {
    crate::cluster::eventually("the old pods are gone", super::BOUND, || {
        let pods = shop.kubectl().args(["get", "pods", "--selector=app=shop-api"]).json();
        (!pods.to_string().contains(&format!("api:{tag}\""))).then_some(())
    });
}

#[test]
fn a_contract_in_presync_waits_for_its_safe_release() {
    let shop = shop("contracts::presync");
    shop.commit(with("v3", &contract("v3", "PreSync", None)));
    let operation = shop.sync(&Sync::full());
    held_at(&operation, "Job", "shop-contract", "WG307", "(example.com/shop/api:v2)");
    assert!(image_of(&shop, "shop-api").ends_with(":v2"));
    shop.commit(with("v3", &contract("v3", "PreSync", Some("v2"))));
    succeeds(&shop.sync(&Sync::full()));
    assert!(image_of(&shop, "shop-api").ends_with(":v3"));
}

#[test]
fn a_contract_in_postsync_follows_the_rollout_and_bars_the_way_back() {
    let shop = shop("contracts::postsync");
    shop.commit(with("v3", &contract("v3", "PostSync", None)));
    let operation = shop.sync(&Sync::full());
    // The last old pods may still be ending when Argo CD takes the rollout for healthy.
    if operation.phase != Phase::Succeeded {
        held_at(&operation, "Job", "shop-contract", "WG307", "example.com/shop/api:v2");
        gone(&shop, "v2");
        succeeds(&shop.sync(&Sync::full()));
    }
    assert!(image_of(&shop, "shop-api").ends_with(":v3"));
    let undo = shop.kubectl().args(["rollout", "undo", "deployment/shop-api"]).run();
    assert_eq!(verdict(&undo).denied, codes(&["WG306"]), "{}", undo.stderr);
    shop.commit(release("v1", "succeed"));
    let only = Sync::only(&[Resource::deployment("shop-api")]);
    held(
        &shop.sync(&only),
        "WG306",
        "contract Job shop-contract removed what releases before v3 need",
    );
    revert_lets_back(&shop);
}

/// What the contract removed is restored, and said so.
fn revert_lets_back(shop: &Application<'_>) {
    let mut revert = named(migration("v3", "succeed"), "shop-revert");
    revert["metadata"]["labels"] =
        json!({"wavegate.dev/phase": "revert", "wavegate.dev/role": "migration"});
    shop.kubectl().args(["create", "--filename=-"]).stdin(revert.to_string()).ok();
    let wait = ["wait", "job/shop-revert", "--for=condition=Complete", "--timeout=50s"];
    shop.kubectl().args(wait).ok();
    let only = Sync::only(&[Resource::deployment("shop-api")]);
    succeeds(&shop.sync(&only));
    assert!(image_of(shop, "shop-api").ends_with(":v1"));
    // And the release whose success it took back is not proven any more.
    let set = ["set", "image", "deployment/shop-api", "app=example.com/shop/api:v3"];
    let forward = shop.kubectl().args(set).run();
    assert_eq!(verdict(&forward).denied, codes(&["WG302"]), "{}", forward.stderr);
    assert!(forward.stderr.contains("a revert took that back"), "{}", forward.stderr);
}

#[test]
fn a_contract_that_is_only_guessed_warns() {
    let shop = shop("contracts::guessed");
    let mut finish = named(migration("v2", "succeed"), "shop-finish");
    finish["spec"]["template"]["spec"]["containers"][0]["command"] =
        json!(["kong", "migrations", "finish"]);
    shop.kubectl().args(["create", "--filename=-"]).stdin(finish.to_string()).ok();
    let wait = ["wait", "job/shop-finish", "--for=condition=Complete", "--timeout=50s"];
    shop.kubectl().args(wait).ok();
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded"), ("v2", "Succeeded")]);
    let undo = shop.kubectl().args(["rollout", "undo", "deployment/shop-api"]).run();
    let found = verdict(&undo);
    assert_eq!(found.denied, codes(&[]), "{}", undo.stderr);
    assert!(found.warned.contains("WG306"), "{}", undo.stderr);
}

#[test]
fn a_second_attempt_is_refused_and_another_migration_is_not() {
    let shop = shop("contracts::concurrent");
    let create = |job: Value| {
        verdict(&shop.kubectl().args(["create", "--filename=-"]).stdin(job.to_string()).run())
    };
    let first = create(named(migration("v3", "run"), "shop-migrate-7c9d2"));
    assert_eq!(first.denied, codes(&[]));
    let second = create(named(migration("v3", "succeed"), "shop-migrate-8d2f4"));
    assert_eq!(second.denied, codes(&["WG304"]));
    let other = create(named(migration("v3", "succeed"), "billing-migrate"));
    assert_eq!(other.denied, codes(&[]));
    // Under Argo CD the same: its hook is refused while somebody migrates by hand.
    shop.commit(files(&[("migration.json", migration("v3", "succeed")), ("app.json", app("v3"))]));
    held_at(
        &shop.sync(&Sync::full()),
        "Job",
        "shop-migrate",
        "WG304",
        "shop-migrate-7c9d2, which still runs",
    );
}
