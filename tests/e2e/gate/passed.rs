//! What the gate never holds.

use serde_json::{Value, json};

use super::manifests::{REPOSITORY, app, files, labelled, migration, named, release, workload};
use super::{application, becomes_recorded, image_of, succeeds, wait_for};
use crate::cluster::argocd::{
    self, Application, Health, Phase, Refresh, Resource, Sync, SyncStatus,
};
use crate::guard::guarded;

/// v1 and then v2 have migrated, and v2 runs.
fn shop(test: &str) -> Application<'static> {
    let shop = application(test).files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(release("v2", "succeed"));
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded")]);
    shop
}

fn kubectl(shop: &Application<'_>, arguments: &[&str]) {
    shop.kubectl().args(arguments.iter().copied()).ok();
}

#[test]
fn a_first_install_without_a_migration_of_its_own() {
    let app = labelled(app("v1"), "wavegate.dev/app", "shop");
    let shop = application("passed::first_install").files(files(&[("app.json", app)])).create();
    succeeds(&shop.sync(&Sync::full()));
}

#[test]
fn what_changes_no_release() {
    let shop = shop("passed::unchanged");
    succeeds(&shop.sync(&Sync::full()));
    succeeds(&shop.sync(&Sync::apply_only().server_side_apply()));
    kubectl(&shop, &["scale", "deployment/shop-api", "--replicas=3"]);
    kubectl(&shop, &["autoscale", "deployment/shop-api", "--min=4", "--max=5", "--cpu=50%"]);
    // Without metrics the autoscaler raises what is below its minimum, and no more.
    wait_for(&shop, "deployment/shop-api", "jsonpath={.spec.replicas}=4");
    kubectl(&shop, &["rollout", "restart", "deployment/shop-api"]);
    kubectl(&shop, &["label", "deployment/shop-api", "team=checkout"]);
    kubectl(&shop, &["annotate", "deployment/shop-api", "example.com/reloaded=now"]);
    kubectl(&shop, &["patch", "deployment/shop-api", "--patch", r#"{"spec":{"paused":true}}"#]);
}

#[test]
fn a_rollback_to_a_proven_image() {
    let shop = shop("passed::rollback");
    kubectl(&shop, &["rollout", "undo", "deployment/shop-api"]);
    assert!(image_of(&shop, "shop-api").ends_with(":v1"));
    kubectl(&shop, &["rollout", "undo", "deployment/shop-api"]);
    assert!(image_of(&shop, "shop-api").ends_with(":v2"));
}

/// Rolling back in Git runs the old image's migration again, which may well fail against the newer schema.
#[test]
fn a_rollback_while_and_after_the_old_images_migration_fails() {
    let shop = shop("passed::failing_rollback");
    shop.commit(release("v1", "run"));
    let run = shop.start(&Sync::full());
    run.until("the migration runs", |operation| {
        operation.outcome("Job", "shop-migrate").map(|_| ())
    });
    kubectl(&shop, &["set", "image", "deployment/shop-api", &format!("app={REPOSITORY}:v1")]);
    kubectl(&shop, &["set", "image", "deployment/shop-api", &format!("app={REPOSITORY}:v2")]);
    shop.end_job("shop-migrate", crate::cluster::Ending::Fail);
    assert_eq!(run.end().phase, Phase::Failed);
    becomes_recorded(&shop, &[("v1", "Succeeded"), ("v2", "Succeeded"), ("v1", "Failed")]);
    let only = Sync::only(&[Resource::deployment("shop-api")]);
    succeeds(&shop.sync(&only));
    assert!(image_of(&shop, "shop-api").ends_with(":v1"));
}

/// The diff asks about the new Deployment before its migration has run. It is warned, and the sync can start.
#[test]
fn a_server_side_diff_before_its_migration() {
    let shop =
        application("passed::diff").server_side_diff().files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(release("v2", "succeed"));
    let compared = shop.refresh(Refresh::Hard);
    assert_eq!(compared.sync, SyncStatus::OutOfSync, "{compared:#?}");
    let (_, wavegate) = guarded();
    // The diff was asked about, and warned.
    wavegate.until_decided(shop.namespace(), "shop-api", |decisions| {
        decisions.iter().any(|decision| {
            decision["dry_run"] == true && decision["warned"].to_string().contains("WG302")
        })
    });
    succeeds(&shop.sync(&Sync::full()));
    shop.becomes(SyncStatus::Synced, Health::Healthy);
}

/// A chart's Redis, an exporter and a user interface are part of the application and have no schema.
#[test]
fn images_that_the_migration_is_not_of() {
    let others = |tag: &str| {
        let image = |name: &str| format!("example.com/{name}:{tag}");
        files(&[
            ("redis.json", workload("redis", &image("redis"))),
            ("exporter.json", workload("exporter", &image("exporter"))),
            ("ui.json", workload("ui", &image("shop/ui"))),
        ])
    };
    let mut first = release("v1", "succeed");
    first.extend(others("1"));
    let shop = application("passed::others").files(first).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(others("2"));
    let names = ["redis", "exporter", "ui"].map(Resource::deployment);
    succeeds(&shop.sync(&Sync::only(&names)));
    assert!(image_of(&shop, "ui").ends_with(":2"));
}

#[test]
fn web_worker_and_beat_of_one_image() {
    let fleet = |tag: &str| {
        let image = format!("{REPOSITORY}:{tag}");
        files(&[
            ("migration.json", migration(tag, "succeed")),
            ("web.json", workload("web", &image)),
            ("worker.json", workload("worker", &image)),
            ("beat.json", workload("beat", &image)),
        ])
    };
    let shop = application("passed::fleet").files(fleet("v1")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(fleet("v2"));
    succeeds(&shop.sync(&Sync::full()));
    for name in ["web", "worker", "beat"] {
        assert!(image_of(&shop, name).ends_with(":v2"), "{name}");
    }
    // And held together, all three, where it did not migrate.
    shop.commit(fleet("v3"));
    let operation = shop.sync(&Sync::apply_only());
    for name in ["web", "worker", "beat"] {
        super::held_at(&operation, "Deployment", name, "WG302", "no migration ran for it");
    }
}

/// Two releases of one chart in one namespace: blue's failed migration does not hold green.
#[test]
fn another_release_of_the_same_chart() {
    let of = |name: &str, tag: &str, outcome: &str| {
        let job = named(migration(tag, outcome), &format!("{name}-migrate"));
        let app = workload(&format!("{name}-api"), &format!("{REPOSITORY}:{tag}"));
        files(&[("migration.json", job), ("app.json", app)])
    };
    let blue = application("passed::blue").files(of("blue", "v1", "succeed")).create();
    succeeds(&blue.sync(&Sync::full()));
    let green = argocd::shared()
        .application("passed::green")
        .namespace(blue.namespace())
        .files(of("green", "v1", "succeed"))
        .create();
    succeeds(&green.sync(&Sync::full()));
    blue.commit(of("blue", "v2", "fail"));
    assert_eq!(blue.sync(&Sync::full()).phase, Phase::Failed);
    green.commit(of("green", "v2", "succeed"));
    succeeds(&green.sync(&Sync::full()));
    let only = Sync::only(&[Resource::deployment("blue-api")]);
    super::held_at(&blue.sync(&only), "Deployment", "blue-api", "WG302", "blue-migrate failed");
}

/// Flyway runs SQL from a ConfigMap: Job and app share no image, and say by a token what belongs together.
#[test]
fn a_runner_image_with_release_tokens() {
    let tokens = |mut object: Value, release: &str| {
        object["metadata"]["labels"] =
            json!({"wavegate.dev/app": "shop", "wavegate.dev/release": release});
        object
    };
    let of = |release: &str, tag: &str| {
        let mut job = migration("11", "succeed");
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["image"] = json!("flyway/flyway:11");
        container["command"] = json!(["flyway", "migrate"]);
        files(&[("migration.json", tokens(job, release)), ("app.json", tokens(app(tag), release))])
    };
    let shop = application("passed::tokens").files(of("7", "v1")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(of("8", "v2"));
    super::held(&shop.sync(&Sync::apply_only()), "WG302", "is 8, and no migration ran for it");
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("7", "Succeeded"), ("8", "Succeeded")]);
}

#[test]
fn a_fixed_attempt_under_a_new_hashed_name() {
    let hashed = |hash: &str, outcome: &str| {
        let job = named(migration("v2", outcome), &format!("shop-migrate-{hash}"));
        files(&[("migration.json", job), ("app.json", app("v2"))])
    };
    let shop = application("passed::fixed").files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit(hashed("5f7d8c9b4", "fail"));
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Failed);
    shop.commit(hashed("6c8b2f1", "succeed"));
    succeeds(&shop.sync(&Sync::full()));
    assert!(image_of(&shop, "shop-api").ends_with(":v2"));
}

#[test]
fn a_self_heal_that_creates_a_deleted_deployment_anew() {
    let shop =
        application("passed::self_heal").self_heal().files(release("v1", "succeed")).create();
    succeeds(&shop.automated(&shop.repository().head()));
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    kubectl(&shop, &["delete", "deployment", "shop-api"]);
    shop.until("it is there again", |status| {
        let operation = status.operation.as_ref()?;
        (operation.selective && operation.phase == Phase::Succeeded).then_some(())
    });
    wait_for(&shop, "deployment/shop-api", "condition=Available");
}

/// wavegate comes to a namespace whose app has run and migrated for long.
#[test]
fn a_namespace_that_was_there_before_wavegate() {
    guarded();
    let shop = argocd::shared()
        .application("passed::before")
        .label("wavegate.dev/mode", "off")
        .files(release("v1", "succeed"))
        .create();
    succeeds(&shop.sync(&Sync::full()));
    let (control_plane, _) = guarded();
    let label =
        ["label", "--overwrite", "namespace", shop.namespace(), "wavegate.dev/mode=enforce"];
    control_plane.kubectl().args(label).ok();
    succeeds(&shop.sync(&Sync::apply_only()));
    shop.commit(release("v2", "succeed"));
    succeeds(&shop.sync(&Sync::full()));
    becomes_recorded(&shop, &[("v2", "Succeeded")]);
    // Back to what ran before the first record.
    kubectl(&shop, &["rollout", "undo", "deployment/shop-api"]);
    assert!(image_of(&shop, "shop-api").ends_with(":v1"));
}
