//! What the gate holds, each with its code and a message that names the cause.

use serde_json::json;

use super::manifests::{annotated, app, files, migration, named, release};
use super::{application, becomes_recorded, held, image_of, succeeds, wait_for};
use crate::cluster::Ending;
use crate::cluster::argocd::{
    self, Application, Health, Phase, Refresh, Resource, Sync, SyncStatus,
};

/// v1 has migrated and runs.
fn shop(test: &str) -> Application<'static> {
    let shop = application(test).files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("v1", "Succeeded")]);
    shop
}

fn only_the_app() -> Sync {
    Sync::only(&[Resource::deployment("shop-api")])
}

fn still_runs(shop: &Application<'_>, tag: &str) {
    assert!(image_of(shop, "shop-api").ends_with(tag), "{}", image_of(shop, "shop-api"));
}

#[test]
fn a_failed_migration() {
    let shop = shop("held::failed");
    shop.commit(release("v2", "fail"));
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Failed);
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Failed")]);
    held(&shop.sync(&only_the_app()), "WG302", "migration Job shop-migrate failed");
    held(&shop.sync(&Sync::apply_only()), "WG302", "kubectl logs");
    still_runs(&shop, "v1");
    shop.becomes(SyncStatus::OutOfSync, Health::Healthy);
}

#[test]
fn a_migration_that_still_runs() {
    let shop = shop("held::running");
    let mut job = named(migration("v2", "run"), "shop-migrate-by-hand");
    job["metadata"]["labels"] = json!({"wavegate.dev/migration": "by-hand"});
    shop.kubectl().args(["create", "--filename=-"]).stdin(job.to_string()).ok();
    shop.commit(release("v2", "succeed"));
    held(&shop.sync(&only_the_app()), "WG302", "Job shop-migrate-by-hand still runs, since 20");
    shop.end_job("shop-migrate-by-hand", Ending::Succeed);
    wait_for(&shop, "job/shop-migrate-by-hand", "condition=Complete");
    succeeds(&shop.sync(&only_the_app()));
}

#[test]
fn a_migration_interrupted_by_a_terminated_sync() {
    let shop = shop("held::interrupted");
    shop.commit(release("v2", "run"));
    let run = shop.start(&Sync::full());
    run.until("the migration runs", |operation| {
        operation.outcome("Job", "shop-migrate").map(|_| ())
    });
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Running")]);
    shop.terminate();
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Interrupted")]);
    held(&shop.sync(&only_the_app()), "WG302", "was deleted before it ended");
}

#[test]
fn a_migration_that_ran_another_tag() {
    let shop = shop("held::another_tag");
    shop.commit(files(&[("migration.json", migration("v2", "succeed")), ("app.json", app("v3"))]));
    let operation = shop.sync(&Sync::full());
    held(
        &operation,
        "WG301",
        "is example.com/shop/api:v3, but migration Job shop-migrate ran example.com/shop/api:v2",
    );
    still_runs(&shop, "v1");
}

#[test]
fn a_selective_sync() {
    let shop = shop("held::selective");
    shop.commit(release("v2", "succeed"));
    held(
        &shop.sync(&only_the_app()),
        "WG302",
        "partial and apply-only syncs and self-heal skip hooks",
    );
    still_runs(&shop, "v1");
    succeeds(&shop.sync(&Sync::full()));
    still_runs(&shop, "v2");
}

#[test]
fn an_apply_only_sync() {
    let shop = shop("held::apply_only");
    shop.commit(release("v2", "succeed"));
    held(&shop.sync(&Sync::apply_only()), "WG302", "no migration ran for it");
    held(&shop.sync(&Sync::apply_only().server_side_apply()), "WG302", "no migration ran for it");
    held(&shop.sync(&Sync::apply_only().replace()), "WG302", "no migration ran for it");
    still_runs(&shop, "v1");
}

/// argo-cd#22795: a commit during a sync is taken for drift and healed, without its migration.
#[test]
fn a_self_heal_that_is_none() {
    super::guarded();
    let argocd = argocd::shared();
    let repository = argocd.repository("held-monorepo");
    let in_shop = |files: Vec<(&'static str, String)>| {
        files.into_iter().map(|(file, text)| (format!("shop/{file}"), text)).collect::<Vec<_>>()
    };
    repository.commit(in_shop(release("v0", "succeed")));
    let shop = application("held::monorepo")
        .repository(&repository)
        .path("shop")
        .manifest_generate_paths(".")
        .self_heal()
        // A denied self-heal is tried again, in vain: it keeps its list of resources, and with it skips hooks.
        .retry(1)
        .files(release("v1", "run"))
        .create();
    shop.until("the migration of v1 runs", |status| {
        status.operation.as_ref()?.outcome("Job", "shop-migrate").map(|_| ())
    });
    shop.commit(release("v2", "succeed"));
    assert_eq!(shop.refresh(Refresh::Normal).sync, SyncStatus::OutOfSync);
    repository.commit([("elsewhere/app.json", app("v9").to_string())]);
    shop.refresh(Refresh::Normal);
    shop.end_job("shop-migrate", Ending::Succeed);
    let operation = shop.until("the self-heal has ended", |status| {
        let operation = status.operation.as_ref()?;
        (operation.selective && operation.phase.is_end()).then(|| operation.clone())
    });
    held(&operation, "WG302", "no migration ran for it");
    still_runs(&shop, "v1");
}

#[test]
fn a_job_whose_name_did_not_change() {
    let plain = |tag: &str| {
        let mut job = migration(tag, "succeed");
        job["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": "-1"});
        job
    };
    let shop = application("held::not_re_run")
        .files(files(&[("migration.json", plain("v1")), ("app.json", app("v1"))]))
        .create();
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("v1", "Succeeded")]);
    shop.commit(files(&[("app.json", app("v2"))]));
    held(&shop.sync(&Sync::full()), "WG302", "the newest, migration Job shop-migrate, ran for v1");
    still_runs(&shop, "v1");
}

/// Argo CD takes a Job with a condition `Suspended: False` for healthy while it runs.
#[test]
fn a_resumed_job_that_argo_cd_takes_for_done() {
    let shop = shop("held::resumed");
    shop.commit(release("v2", "run"));
    let run = shop.start(&Sync::full());
    run.until("the migration runs", |operation| {
        operation.outcome("Job", "shop-migrate").map(|_| ())
    });
    for suspend in ["true", "false"] {
        let patch = format!(r#"{{"spec":{{"suspend":{suspend}}}}}"#);
        shop.kubectl().args(["patch", "job", "shop-migrate", "--patch", &patch]).ok();
        wait_for(&shop, "job/shop-migrate", &format!("condition=Suspended={suspend}"));
    }
    held(&run.end(), "WG302", "still runs");
    still_runs(&shop, "v1");
}

#[test]
fn one_of_two_migrations_that_failed() {
    let wave = "argocd.argoproj.io/sync-wave";
    let two = |tag: &str, outcome: &str| {
        let first = annotated(migration(tag, "succeed"), wave, "-2");
        let second = annotated(named(migration(tag, outcome), "billing-migrate"), wave, "-1");
        files(&[("first.json", first), ("second.json", second), ("app.json", app(tag))])
    };
    let shop = application("held::one_of_two").files(two("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(two("v2", "fail"));
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Failed);
    held(&shop.sync(&only_the_app()), "WG302", "migration Job billing-migrate failed");
    still_runs(&shop, "v1");
}

#[test]
fn a_floor_that_never_migrated() {
    let shop = shop("held::floor");
    let hotfix = |floor: &str| annotated(app("v1.0.1"), "wavegate.dev/requires-release", floor);
    shop.commit(files(&[("app.json", hotfix("v7"))]));
    held(&shop.sync(&only_the_app()), "WG302", "no migration ran for it");
    shop.commit(files(&[("app.json", hotfix("v1"))]));
    succeeds(&shop.sync(&only_the_app()));
}
