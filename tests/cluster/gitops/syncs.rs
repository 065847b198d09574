//! Syncs of the recipe, as a person asks for them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::manifests::{app, image_of, migration, recipe, release};
use crate::cluster::Ending;
use crate::cluster::argocd::{self, Deletion, Health, Phase, Resource, Sync, SyncStatus, USER};

#[test]
fn the_recipe_is_synced_step_by_step() {
    let shop = recipe("syncs::recipe", "1.37", "run").create();
    let run = shop.start(&Sync::full());
    run.until("the migration runs", |operation| {
        let hook = operation.outcome("Job", "shop-migrate")?;
        (hook.hook_phase == Some(Phase::Running)).then_some(())
    });
    let deployments = shop.kubectl().args(["get", "deployments"]).json();
    assert_eq!(deployments["items"].as_array().map(Vec::len), Some(0));
    shop.end_job("shop-migrate", Ending::Succeed);
    let operation = run.end();
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    let steps: Vec<_> =
        operation.resources.iter().map(|it| (&*it.name, &*it.sync_phase, &*it.hook_type)).collect();
    let expected = [
        ("shop-migrate", "PreSync", "PreSync"),
        ("shop-api", "Sync", ""),
        ("shop-verify", "PostSync", "PostSync"),
    ];
    assert_eq!(steps, expected);
    shop.becomes(SyncStatus::Synced, Health::Healthy);

    shop.commit(release("1.38", "succeed"));
    let operation = shop.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    assert_eq!(operation.revision, shop.repository().head());
    assert_eq!(image_of(&shop, "job", "shop-migrate"), "example.com/shop:1.38");
    assert_eq!(image_of(&shop, "deployment", "shop-api"), "example.com/shop:1.38");
}

#[test]
fn a_failed_migration_ends_the_sync_before_the_app() {
    let shop = recipe("syncs::failure", "1.37", "succeed").create();
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    shop.commit(release("1.38", "fail"));
    let operation = shop.sync(&Sync::full().retry(1));
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    assert_eq!(operation.retries, 1);
    let hook = operation.outcome("Job", "shop-migrate").expect("the hook was run");
    assert_eq!(hook.hook_phase, Some(Phase::Failed), "{hook:#?}");
    assert_eq!(operation.outcome("Deployment", "shop-api"), None);
    assert_eq!(image_of(&shop, "deployment", "shop-api"), "example.com/shop:1.37");
    shop.becomes(SyncStatus::OutOfSync, Health::Healthy);
}

#[test]
fn selective_and_apply_only_syncs_run_no_hooks() {
    let shop = recipe("syncs::skipped", "1.37", "succeed").create();
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    let ways = [
        ("1.38", Sync::only(&[Resource::deployment("shop-api")]), true),
        ("1.39", Sync::apply_only(), false),
    ];
    for (tag, sync, selective) in ways {
        shop.commit(release(tag, "fail"));
        let operation = shop.sync(&sync);
        assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
        assert_eq!(operation.selective, selective);
        assert_eq!(operation.outcome("Job", "shop-migrate"), None);
        let image = format!("example.com/shop:{tag}");
        assert_eq!(image_of(&shop, "deployment", "shop-api"), image);
        assert_eq!(image_of(&shop, "job", "shop-migrate"), "example.com/shop:1.37");
    }
}

#[test]
fn a_running_sync_is_terminated() {
    let shop = recipe("syncs::terminated", "1.37", "run").create();
    let run = shop.start(&Sync::full());
    run.until("the migration runs", |operation| {
        operation.outcome("Job", "shop-migrate").map(|_| ())
    });
    let operation = shop.terminate();
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    assert_eq!(operation.message, "Operation terminated");
    assert_eq!(run.end(), operation);
    shop.kubectl().args(["wait", "--for=delete", "job/shop-migrate", "--timeout=50s"]).ok();
}

#[test]
fn options_of_a_sync_reach_the_api_server() {
    let shop = recipe("syncs::options", "1.37", "succeed").create();
    let managers = |kind: &str, name: &str| -> BTreeMap<String, String> {
        let get = ["get", kind, name, "--show-managed-fields"];
        let object = shop.kubectl().args(get).json();
        let fields = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        fields.iter().map(|it| (text(&it["manager"]), text(&it["operation"]))).collect()
    };
    assert_eq!(shop.sync(&Sync::full().server_side_apply()).phase, Phase::Succeeded);
    let fields = managers("deployment", "shop-api");
    assert_eq!(fields.get("argocd-controller").map(String::as_str), Some("Apply"), "{fields:?}");

    shop.commit([("migration.yaml", migration("1.38", "succeed")), ("app.yaml", app("1.38"))]);
    let operation = shop.sync(&Sync::full().replace());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    let outcome = operation.outcome("Deployment", "shop-api").expect("the app was applied");
    assert!(outcome.message.ends_with("replaced"), "{outcome:#?}");
}

#[test]
fn a_rollback_runs_no_hooks() {
    let shop = recipe("syncs::rollback", "1.37", "succeed").create();
    let before = shop.repository().head();
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    shop.commit(release("1.38", "succeed"));
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    let operation = shop.sync(&Sync::apply_only().revision(&before));
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    assert_eq!(operation.revision, before);
    assert_eq!(image_of(&shop, "deployment", "shop-api"), "example.com/shop:1.37");
    assert_eq!(image_of(&shop, "job", "shop-migrate"), "example.com/shop:1.38");
}

#[test]
fn a_dry_run_changes_nothing() {
    let shop = recipe("syncs::dry_run", "1.37", "succeed").create();
    let operation = shop.sync(&Sync::full().dry_run());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    let objects = shop.kubectl().args(["get", "deployments,jobs"]).json();
    assert_eq!(objects["items"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_wait_in_vain_tells_all_there_is() {
    let shop = recipe("syncs::in_vain", "1.37", "succeed").create();
    let wait = || shop.until_within(Duration::from_secs(1), "it flies", |_| None::<()>);
    let failure = catch_unwind(AssertUnwindSafe(wait)).expect_err("it does not fly");
    let text = failure.downcast_ref::<String>().expect("a formatted panic");
    for part in ["not within 1s: it flies", "status: OutOfSync", "Comparing app state"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn argo_cd_acts_as_its_own_service_account() {
    let argocd = argocd::shared();
    let who = argocd.kubectl_as_controller().args(["auth", "whoami"]).json();
    assert_eq!(who["status"]["userInfo"]["username"], USER);
    let groups = who["status"]["userInfo"]["groups"].to_string();
    assert!(!groups.contains("system:masters"), "{groups}");
}

#[test]
fn a_deleted_application_takes_what_it_applied_with_it_or_leaves_it() {
    for (deletion, left) in [(Deletion::Cascade, 0), (Deletion::Orphan, 1)] {
        let shop = argocd::shared()
            .application("syncs::deleted")
            .files([("app.yaml", app("1.37"))])
            .create();
        assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
        shop.delete(deletion);
        let deployments = shop.kubectl().args(["get", "deployments"]).json();
        assert_eq!(deployments["items"].as_array().map(Vec::len), Some(left), "{deletion:?}");
    }
}
