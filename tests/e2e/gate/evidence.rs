//! Records: who may write them, and what they outlive.

use super::manifests::{app, files, release};
use super::{application, becomes_recorded, succeeds};
use crate::cluster::argocd::{Deletion, Phase, Sync};
use crate::guard::guarded;

/// What a forger would commit: a success that never was.
fn forged() -> String {
    serde_json::json!({
        "apiVersion": "wavegate.dev/v1alpha1",
        "kind": "MigrationRecord",
        "metadata": {"name": "11111111-2222-3333-4444-555555555555"},
        "spec": {
            "app": "example.com/shop/api", "migration": "shop-migrate", "command": "manage.py migrate",
            "release": "v2", "image": "example.com/shop/api:v2", "phase": "expand", "confidence": "strong",
            "job": {
                "name": "shop-migrate", "uid": "11111111-2222-3333-4444-555555555555",
                "created": "2026-11-24T10:00:00Z",
            },
        },
        "status": {"outcome": "Succeeded"},
    })
    .to_string()
}

#[test]
fn a_record_in_git_is_refused_to_a_cluster_admin() {
    let shop = application("evidence::forged").files(release("v1", "succeed")).create();
    succeeds(&shop.sync(&Sync::full()));
    shop.commit([("app.json", app("v2").to_string()), ("record.json", forged())]);
    let operation = shop.sync(&Sync::apply_only());
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    let record = operation.outcome("MigrationRecord", "11111111-2222-3333-4444-555555555555");
    let record = record.unwrap_or_else(|| panic!("{operation:#?}"));
    assert_eq!(record.status, "SyncFailed", "{operation:#?}");
    becomes_recorded(&shop, &[("v1", "Succeeded")]);
}

#[test]
fn a_record_survives_pruning_and_the_application() {
    let shop = application("evidence::survives")
        .automated_with_prune()
        .finalizer()
        .files(release("v1", "succeed"))
        .create();
    succeeds(&shop.automated(&shop.repository().head()));
    becomes_recorded(&shop, &[("v1", "Succeeded")]);
    shop.repository().remove(&["migration.json"]);
    shop.commit(files(&[("app.json", super::manifests::annotated(app("v1"), "note", "2"))]));
    shop.refresh(crate::cluster::argocd::Refresh::Hard);
    succeeds(&shop.automated(&shop.repository().head()));
    shop.kubectl().args(["delete", "jobs", "--all"]).ok();
    becomes_recorded(&shop, &[("v1", "Succeeded")]);

    let (namespace, repository) = (shop.namespace().to_owned(), shop.repository().clone());
    shop.delete(Deletion::Cascade);
    let (control_plane, _) = guarded();
    let kubectl = || control_plane.kubectl().namespace(&namespace);
    let left = kubectl().args(["get", "deployments,jobs"]).json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "{left}");
    assert_eq!(super::records_in(&kubectl).len(), 1);
    // The same Application again, without its migration: its release is proven.
    let again = crate::cluster::argocd::shared()
        .application("evidence::again")
        .namespace(&namespace)
        .repository(&repository)
        .create();
    succeeds(&again.sync(&Sync::apply_only()));
}
