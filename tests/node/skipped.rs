//! A waiter that finds nothing to wait for lets the migration run.

use crate::installation;
use crate::shop::{self, Shop, migration};

/// What names the database in the migration's variables, and a word of why there is nothing to wait for.
const CASES: [(&str, &str, &str); 5] = [
    ("DATABASE_URL", "sqlite:////data/shop.db", "file"),
    ("DATABASE_URL", "postgresql:///shop?host=/run/postgresql", "socket"),
    ("DATABASE_URL", "postgresql://shop@localhost:5432/shop", "this pod itself"),
    ("DATABASE_URL", "quarry://db:5432/shop", "scheme"),
    ("PGHOST", "", "no variable names a database"),
];

#[test]
fn a_migration_runs_where_there_is_nothing_to_wait_for() {
    let Some(cluster) = installation::shared() else { return };
    let namespace = shop::namespace(cluster, "skipped");
    let shop = Shop::new(|| namespace.kubectl());
    // One after the other: they are one migration.
    for (number, (variable, value, why)) in CASES.iter().enumerate() {
        shop.apply(&with(number, variable, value));
        let job = format!("shop-migrate-{number}");
        assert_eq!(shop.end_of(&job), "Complete", "{variable}={value}");
        let said = shop.log(&job, "wait-for-db");
        assert!(said.contains(why) && said.contains("nothing to wait for"), "{value}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(shop.log(&job, "migrate").contains("psql (PostgreSQL)"));
    }
}

/// The migration with this variable instead of the Secret's URL; it only says which psql it is.
fn with(number: usize, variable: &str, value: &str) -> String {
    let reference = "            - name: DATABASE_URL
              valueFrom:
                secretKeyRef: {name: shop-database, key: url}
";
    let manifest = migration("v1");
    assert!(manifest.contains(reference), "{manifest}");
    let command = manifest.lines().find(|line| line.contains("command:")).unwrap_or_default();
    manifest
        .replace("name: shop-migrate-v1", &format!("name: shop-migrate-{number}"))
        .replace(reference, &format!("            - {{name: {variable}, value: {value:?}}}\n"))
        .replace(command, "          command: [psql, --file=/migrations/v1.sql, --version]")
}
