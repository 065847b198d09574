//! What Argo CD does without being asked.

use super::manifests::{app, image_of, recipe, release};
use crate::cluster::Ending;
use crate::cluster::argocd::{self, Health, Phase, Refresh, SyncStatus};

#[test]
fn a_commit_is_synced_with_its_hooks() {
    let shop = recipe("automation::commit", "1.37", "succeed").automated().create();
    assert_eq!(shop.automated(&shop.repository().head()).phase, Phase::Succeeded);
    let revision = shop.commit(release("1.38", "succeed"));
    shop.refresh(Refresh::Normal);
    let operation = shop.automated(&revision);
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    assert!(operation.outcome("Job", "shop-migrate").is_some(), "{operation:#?}");
}

#[test]
fn a_change_in_the_cluster_is_undone_without_hooks() {
    let shop = recipe("automation::self_heal", "1.37", "succeed").self_heal().create();
    assert_eq!(shop.automated(&shop.repository().head()).phase, Phase::Succeeded);
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    let set = ["set", "image", "deployment/shop-api", "api=example.com/shop:other"];
    shop.kubectl().args(set).ok();
    let operation = shop.until("it is healed", |status| {
        let operation = status.operation.as_ref()?;
        (operation.selective && operation.phase.is_end()).then(|| operation.clone())
    });
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    assert_eq!(operation.outcome("Job", "shop-migrate"), None);
    assert_eq!(image_of(&shop, "deployment", "shop-api"), "example.com/shop:1.37");
}

/// argo-cd#22795, as far as Argo CD 3.6.1 has it: the commit that changed the app during a sync is taken for a
/// change in the cluster, because the next one changed something else. So it is healed, without its migration.
#[test]
fn new_code_gets_in_without_its_migration() {
    let argocd = argocd::shared();
    let repository = argocd.repository("automation-monorepo");
    repository
        .commit(release("1.36", "succeed").map(|(file, text)| (format!("shop/{file}"), text)));
    let shop = argocd
        .application("automation::monorepo")
        .repository(&repository)
        .path("shop")
        .manifest_generate_paths(".")
        .self_heal()
        .files(release("1.37", "run"))
        .create();
    shop.until("the migration of 1.37 runs", |status| {
        let operation = status.operation.as_ref()?;
        operation.outcome("Job", "shop-migrate").map(|_| ())
    });
    shop.commit(release("1.38", "run"));
    assert_eq!(shop.refresh(Refresh::Normal).sync, SyncStatus::OutOfSync);
    repository.commit([("elsewhere/app.yaml", app("1.0"))]);
    shop.refresh(Refresh::Normal);
    shop.end_job("shop-migrate", Ending::Succeed);

    let operation = shop.until("it is healed", |status| {
        let operation = status.operation.as_ref()?;
        (operation.selective && operation.phase.is_end()).then(|| operation.clone())
    });
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    assert_eq!(image_of(&shop, "job", "shop-migrate"), "example.com/shop:1.37");
    assert_eq!(image_of(&shop, "deployment", "shop-api"), "example.com/shop:1.38");
}
