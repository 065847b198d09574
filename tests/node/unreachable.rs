//! A migration whose database never comes.

use crate::installation;
use crate::shop::{self, PASSWORD, Shop, app, migration};

#[test]
fn it_ends_by_the_waiters_bound_and_says_why() {
    let Some(cluster) = installation::shared() else { return };
    let namespace = shop::namespace(cluster, "unreachable");
    let shop = Shop::new(|| namespace.kubectl());
    // Half of the deadline is less than the policy's bound.
    shop.apply(&migration("v1").replace("activeDeadlineSeconds: 120", "activeDeadlineSeconds: 60"));
    // The waiter ends it, not the Job's deadline.
    assert_eq!(shop.end_of("shop-migrate-v1"), "Failed: BackoffLimitExceeded");

    let reason = "postgres:5432 (from DATABASE_URL) was not ready within 30 s";
    let log = shop.log("shop-migrate-v1", "wait-for-db");
    assert!(log.contains(reason) && log.contains("the migration was not started"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    let record = shop.record("v1");
    assert_eq!(record["status"]["outcome"], "Failed");
    let failure = &record["status"]["failure"];
    assert_eq!(failure["container"], "wait-for-db", "{record:#}");
    assert_eq!(failure["exitCode"], 1, "{record:#}");
    assert!(failure["message"].as_str().unwrap_or_default().contains(reason), "{record:#}");

    let held = shop.try_apply(&app("v1"));
    assert!(!held.status.success() && held.stderr.contains("WG302"), "{held:?}");
    assert!(held.stderr.contains("was not ready within 30 s"), "{}", held.stderr);
    let deployments = shop.kubectl().args(["get", "deployments"]).json();
    assert_eq!(deployments["items"].as_array().map(Vec::len), Some(0));
}
