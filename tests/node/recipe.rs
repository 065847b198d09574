//! The recipe with kubectl: migrate, then roll out, on a database that is late.

use std::thread;
use std::time::Duration;

use crate::installation;
use crate::shop::{self, PASSWORD, Shop, app, migration};

#[test]
fn a_migration_waits_for_its_database_and_the_app_for_its_migration() {
    let Some(cluster) = installation::shared() else { return };
    let namespace = shop::namespace(cluster, "recipe");
    let shop = Shop::new(|| namespace.kubectl());

    // The first release meets no database: its Job has no waiter of its own and gets one.
    let said = shop.apply(&migration("v1"));
    assert!(said.contains("init container wait-for-db was added"), "{said}");
    thread::sleep(Duration::from_secs(5));
    assert_eq!(shop.get("job", "shop-migrate-v1")["status"]["active"], 1);
    let held = shop.try_apply(&app("v1"));
    assert!(!held.status.success() && held.stderr.contains("WG302"), "{held:?}");
    shop.start_database();
    assert_eq!(shop.end_of("shop-migrate-v1"), "Complete");
    let waited = shop.log("shop-migrate-v1", "wait-for-db");
    assert!(waited.contains("postgres:5432 (from DATABASE_URL)"), "{waited}");
    assert!(waited.contains("is ready after"), "{waited}");
    assert!(!waited.contains(PASSWORD), "{waited}");
    assert_eq!(shop.record("v1")["status"]["outcome"], "Succeeded");
    assert_eq!(shop.query("SELECT name FROM item").trim(), "lamp");
    shop.apply(&app("v1"));
    shop.rolls_out();

    // The second release needs a column that only its migration adds.
    let held = shop.try_apply(&app("v2"));
    assert!(!held.status.success() && held.stderr.contains("WG302"), "{held:?}");
    assert!(shop.image().ends_with(":v1"));
    shop.apply(&migration("v2"));
    assert_eq!(shop.end_of("shop-migrate-v2"), "Complete");
    assert_eq!(shop.record("v2")["status"]["outcome"], "Succeeded");
    shop.apply(&app("v2"));
    shop.rolls_out();
    assert!(shop.image().ends_with(":v2"));
    assert_eq!(shop.query("SELECT colour FROM item").trim(), "grey");
}

/// What the waiter reads at run time, wavegate itself never may: of all Secrets only that of its own certificates.
#[test]
fn wavegate_reads_no_secret_but_its_own() {
    let Some(cluster) = installation::shared() else { return };
    let own = installation::NAMESPACE;
    for (namespace, what, wanted) in [
        ("default", "secrets", "no"),
        ("default", "secrets/wavegate-certificates", "no"),
        (own, "secrets", "no"),
        (own, "secrets/another", "no"),
        (own, "secrets/wavegate-certificates", "yes"),
    ] {
        for verb in ["get", "list", "watch"] {
            let ask = ["auth", "can-i", verb, what, "--as=system:serviceaccount:wavegate:wavegate"];
            let answer = cluster.kubectl().namespace(namespace).args(ask).run();
            assert_eq!(answer.stdout.trim(), wanted, "{verb} {what} in {namespace}");
        }
    }
}
