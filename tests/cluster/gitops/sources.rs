//! Where Applications come from, and how they are compared.

use serde_json::json;

use super::manifests::{app, image_of, recipe, release};
use crate::cluster::argocd::{self, BOUND, Health, Phase, Refresh, Sync, SyncStatus};
use crate::cluster::eventually;

/// Refuses dry runs of Deployments in namespaces with this label.
const REFUSAL: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-dry-runs}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {test.wavegate.dev/refuse: dry-runs}}
    resourceRules:
      - {apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments]}
  validations:
    - {expression: '!request.dryRun', message: no dry runs here}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-dry-runs}
spec: {policyName: no-dry-runs, validationActions: [Deny]}
";

const CHART: &str = "{apiVersion: v2, name: shop, version: 0.1.0}";

#[test]
fn a_helm_chart_is_rendered_and_its_hooks_are_mapped() {
    let migration = super::manifests::migration("TAG", "succeed")
        .replace("argocd.argoproj.io/hook: PreSync", "helm.sh/hook: pre-install,pre-upgrade")
        .replace(
            "argocd.argoproj.io/hook-delete-policy: BeforeHookCreation",
            "helm.sh/hook-weight: '-1'",
        )
        .replace("TAG", "{{ .Values.tag }}");
    let shop = argocd::shared()
        .application("sources::chart")
        .files([
            ("Chart.yaml", CHART),
            ("values.yaml", "tag: none"),
            ("templates/migration.yaml", &migration),
            ("templates/app.yaml", &app("{{ .Values.tag }}")),
        ])
        .helm_values(&json!({ "tag": "1.37" }))
        .create();
    let operation = shop.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    let hook = operation.outcome("Job", "shop-migrate").expect("the hook was run");
    assert_eq!(hook.hook_type, "PreSync");
    assert_eq!(image_of(&shop, "deployment", "shop-api"), "example.com/shop:1.37");
    shop.becomes(SyncStatus::Synced, Health::Healthy);
}

#[test]
fn a_server_side_diff_finds_what_has_changed() {
    let shop = recipe("sources::diff", "1.37", "succeed").server_side_diff().create();
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    shop.commit(release("1.38", "succeed"));
    let status = shop.refresh(Refresh::Normal);
    assert_eq!(status.sync, SyncStatus::OutOfSync, "{:#}", status.object["status"]);
    assert_eq!(status.revision, shop.repository().head());
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    shop.becomes(SyncStatus::Synced, Health::Healthy);
}

/// Why the gate must not refuse a dry run: it comes before the migration, which then cannot run. Worse, a
/// comparison that has failed is remembered as one that found no difference (argo-cd#28722): the next one
/// that nobody asks for says Synced.
#[test]
fn a_refused_server_side_diff_stops_every_sync() {
    let argocd = argocd::shared();
    let shop = recipe("sources::refused", "1.37", "succeed")
        .label("test.wavegate.dev/refuse", "dry-runs")
        .server_side_diff()
        .create();
    assert_eq!(shop.sync(&Sync::full()).phase, Phase::Succeeded);
    argocd.kubectl().args(["create", "--filename=-"]).stdin(REFUSAL).ok();
    let change = ["set", "image", "deployment/shop-api", "api=other", "--dry-run=server"];
    eventually("the API server refuses dry runs", BOUND, || {
        (!shop.kubectl().args(change).run().status.success()).then_some(())
    });

    shop.commit(release("1.38", "succeed"));
    let operation = shop.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Error, "{operation:#?}");
    assert!(operation.message.contains("no dry runs here"), "{operation:#?}");
    assert_eq!(operation.resources, []);
    assert_eq!(image_of(&shop, "job", "shop-migrate"), "example.com/shop:1.37");
    assert_eq!(shop.refresh(Refresh::Normal).sync, SyncStatus::Unknown);
}

#[test]
fn what_cannot_be_rendered_is_told_at_once() {
    let shop = recipe("sources::broken", "1.37", "succeed").create();
    // A file that does not look like a manifest would be left out in silence.
    shop.commit([("app.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: [")]);
    let status = shop.refresh(Refresh::Hard);
    assert_eq!(status.sync, SyncStatus::Unknown);
    assert!(status.conditions.iter().any(|it| it.kind == "ComparisonError"), "{status:#?}");
    let operation = shop.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Error, "{operation:#?}");
}

#[test]
fn two_applications_share_a_repository_and_a_namespace() {
    let argocd = argocd::shared();
    let repository = argocd.repository("sources-shared");
    let shop = argocd
        .application("sources::shop")
        .repository(&repository)
        .path("shop")
        .files([("app.yaml", app("1.37"))])
        .create();
    let other = app("1.37").replace("shop-api", "other-api");
    let other = argocd
        .application("sources::other")
        .repository(&repository)
        .path("other")
        .namespace(shop.namespace())
        .files([("app.yaml", other)])
        .create();
    for application in [&shop, &other] {
        let operation = application.sync(&Sync::full());
        assert_eq!(operation.resources.len(), 1, "{operation:#?}");
        application.becomes(SyncStatus::Synced, Health::Healthy);
    }
    let deployments = shop.kubectl().args(["get", "deployments"]).json();
    assert_eq!(deployments["items"].as_array().map(Vec::len), Some(2));
}
