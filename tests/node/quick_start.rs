//! The page about the installation from top to bottom, each block as it stands, with an app that the real Argo CD syncs.

use std::time::{Duration, Instant};

use crate::cluster::argocd::{Health, Phase, Sync, SyncStatus};
use crate::installation;
use crate::shop::{Shop, app};
use crate::sync_waves::{argocd, files};

/// What all commands of the page and two syncs may take.
const BOUND: Duration = Duration::from_mins(2);

#[test]
fn a_reader_of_the_page_is_guarded_within_two_minutes() {
    let Some(cluster) = installation::shared() else { return };
    let Some(argocd) = argocd() else { return };
    let [install, guard, refuse, records] = installation::blocks()[..] else {
        panic!("the page has other blocks than this test knows")
    };
    assert!(install.contains("helm install") && install.contains("helm test"), "{install}");
    let installed = installation::took().expect("the cluster's wavegate was installed by it");
    let begin = Instant::now();

    let told = installation::run(cluster, guard);
    assert!(told.status.success(), "{guard}{}", told.stderr);
    let told = installation::run(cluster, refuse);
    assert!(!told.status.success(), "{refuse}{}", told.stdout);
    assert!(told.stderr.contains("WG101"), "{}", told.stderr);

    let shop = argocd.application("quick_start").namespace("shop").files(files("v1")).create();
    let api = Shop::new(|| shop.kubectl());
    api.start_database();
    let operation = shop.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    shop.becomes(SyncStatus::Synced, Health::Healthy);
    // A later release without its migration.
    shop.commit([("app.yaml", app("v2"))]);
    let operation = shop.sync(&Sync::apply_only());
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    assert!(operation.message.contains("WG302"), "{operation:#?}");
    assert!(api.image().ends_with(":v1"));

    assert_eq!(api.record("v1")["status"]["outcome"], "Succeeded");
    let told = installation::run(cluster, records);
    assert!(told.status.success(), "{}", told.stderr);
    let took = installed + begin.elapsed();
    println!(
        "the page took {took:.0?}, of which {installed:.0?} the installation\n{}",
        told.stdout
    );
    readable(&told.stdout);
    assert!(took < BOUND, "{took:?}");
    cluster.kubectl().args(["delete", "namespace", "shop", "--wait=false"]).ok();
}

/// A person reads of the table which migration ran for which release, and how it ended.
fn readable(table: &str) {
    let [head, row] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    for word in ["MIGRATION", "RELEASE", "OUTCOME"] {
        assert!(head.contains(word), "{word} is not in {head}");
    }
    for word in ["shop-migrate", "v1", "Succeeded"] {
        assert!(row.contains(word), "{word} is not in {row}");
    }
    assert!(row.len() < 160, "{row}");
}
