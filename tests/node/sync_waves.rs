//! The recipe as it is meant: two releases synced by Argo CD, on a node.

use std::sync::OnceLock;

use crate::cluster::argocd::{ArgoCd, Health, Phase, Sync, SyncStatus};
use crate::installation;
use crate::shop::{LABELS, Shop, app, migration, verification};

/// The Argo CD of the shared cluster, which is guarded.
pub(crate) fn argocd() -> Option<&'static ArgoCd<'static>> {
    static SHARED: OnceLock<Result<ArgoCd<'static>, String>> = OnceLock::new();
    let cluster = installation::shared()?;
    match SHARED.get_or_init(|| ArgoCd::start(cluster).map_err(|error| error.to_string())) {
        Ok(argocd) => Some(argocd),
        Err(error) => panic!("there is no Argo CD for this test: {error}"),
    }
}

/// A release of the shop, as files.
pub(crate) fn files(release: &str) -> [(&'static str, String); 3] {
    [
        ("migration.yaml", migration(release)),
        ("app.yaml", app(release)),
        ("verification.yaml", verification(release)),
    ]
}

#[test]
fn two_releases_migrate_then_roll_out_then_are_verified() {
    let Some(argocd) = argocd() else { return };
    let mut application = argocd.application("sync_waves").files(files("v1"));
    for (label, value) in LABELS {
        application = application.label(label, value);
    }
    let application = application.create();
    let shop = Shop::new(|| application.kubectl());
    shop.start_database();

    for number in ["v1", "v2"] {
        if number != "v1" {
            application.commit(files(number));
        }
        let operation = application.sync(&Sync::full());
        let verified = shop.log("shop-verify", "check");
        assert_eq!(operation.phase, Phase::Succeeded, "{verified}\n{operation:#?}");
        application.becomes(SyncStatus::Synced, Health::Healthy);
        assert_eq!(shop.record(number)["status"]["outcome"], "Succeeded");
        assert_eq!(shop.end_of("shop-verify"), "Complete");
        assert!(verified.contains(&format!("shop {number}")), "{verified}");
    }
    assert_eq!(shop.query("SELECT name, colour FROM item").trim(), "lamp|grey");

    // Code whose migration is left out is held, and what runs goes on.
    application.commit([("app.yaml", app("v3"))]);
    let operation = application.sync(&Sync::apply_only());
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    assert!(operation.message.contains("WG302"), "{operation:#?}");
    assert!(shop.image().ends_with(":v2"));
    shop.rolls_out();
}
