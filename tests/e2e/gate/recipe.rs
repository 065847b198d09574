//! The recipe end to end, and what becomes of its hooks in between.

use serde_json::json;

use super::manifests::{app, files, migration, release, verification};
use super::{application, becomes_recorded, image_of, succeeds};
use crate::cluster::argocd::{Health, Sync, SyncStatus};

#[test]
fn two_releases_migrate_roll_out_and_are_verified() {
    let shop = application("gate::recipe").files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    becomes_recorded(&shop, &[("v1", "Succeeded")]);
    shop.commit(release("v2", "succeed"));
    succeeds(&shop.sync(&Sync::full()));
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded")]);
    assert!(image_of(&shop, "shop-api").ends_with(":v2"));
    let table = shop.kubectl().args(["get", "migrationrecords"]).ok();
    for part in ["APP", "MIGRATION", "RELEASE", "OUTCOME", "shop-migrate", "v2", "Succeeded"] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
}

/// The Job is gone when the sync has ended; what proves the release is its record.
#[test]
fn a_hook_that_is_deleted_once_it_succeeded_has_proven_its_release() {
    let policy = "argocd.argoproj.io/hook-delete-policy";
    let release = |tag: &str| {
        let mut job = migration(tag, "succeed");
        job["metadata"]["annotations"][policy] = json!("HookSucceeded");
        files(&[
            ("migration.json", job),
            ("app.json", app(tag)),
            ("verification.json", verification(tag)),
        ])
    };
    releases_prove_themselves("gate::hook_succeeded", release);
}

/// The Job may be gone before the Deployment is applied.
#[test]
fn a_hook_whose_time_to_live_is_over_has_proven_its_release() {
    let release = |tag: &str| {
        let mut job = migration(tag, "succeed");
        job["spec"]["ttlSecondsAfterFinished"] = json!(0);
        files(&[
            ("migration.json", job),
            ("app.json", app(tag)),
            ("verification.json", verification(tag)),
        ])
    };
    releases_prove_themselves("gate::ttl", release);
}

fn releases_prove_themselves(test: &str, release: impl Fn(&str) -> Vec<(&'static str, String)>) {
    let shop = application(test).files(release("v1")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(release("v2"));
    succeeds(&shop.sync(&Sync::full()));
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded")]);
    shop.kubectl().args(["wait", "--for=delete", "job/shop-migrate", "--timeout=50s"]).ok();
    // Argo CD re-creates what somebody deletes, without hooks.
    shop.kubectl().args(["delete", "deployment", "shop-api"]).ok();
    succeeds(&shop.sync(&Sync::apply_only()));
    assert!(image_of(&shop, "shop-api").ends_with(":v2"));
}

#[test]
fn a_hook_with_a_generated_name_is_one_migration() {
    let release = |tag: &str| {
        let mut job = migration(tag, "succeed");
        let metadata = job["metadata"].as_object_mut().unwrap();
        metadata.remove("name");
        metadata.insert("generateName".to_owned(), json!("shop-migrate-"));
        files(&[("migration.json", job), ("app.json", app(tag))])
    };
    let shop = application("gate::generate_name").files(release("v1")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(release("v2"));
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded")]);
    let rows = super::records_in(&|| shop.kubectl());
    assert!(rows.iter().all(|(migration, _, _)| migration == "shop-migrate"), "{rows:?}");
}

#[test]
fn every_way_to_apply_is_let_through() {
    let shop = application("gate::ways").files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full().server_side_apply()));
    for (tag, sync) in [
        ("v2", Sync::full().server_side_apply()),
        ("v3", Sync::full().replace()),
        ("v4", Sync::full()),
    ] {
        shop.commit(release(tag, "succeed"));
        succeeds(&shop.sync(&sync));
        assert!(image_of(&shop, "shop-api").ends_with(tag));
    }
}
