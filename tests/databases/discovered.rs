//! What was only discovered must not break a migration that works.

use crate::process::free_port;
use crate::waiter::{PASSWORD, Waiter};

/// One line, and success.
#[track_caller]
fn skips(variables: &[(&str, &str)], reason: &str) {
    let waiter = variables.iter().fold(Waiter::new(20), |w, (name, value)| w.env(name, value));
    let said = waiter.run();
    assert_eq!(said.text, format!("wait-for-db: {reason}; nothing to wait for\n"));
    assert_eq!(said.code, Some(0));
}

#[test]
fn what_cannot_be_waited_for_ends_with_one_line() {
    skips(&[], "no variable names a database");
    skips(&[("DATABASE_URL", ""), ("PGPORT", "5432")], "no variable names a database");
    skips(&[("PGHOST", "/var/run/postgresql")], "PGHOST is not usable: it names a Unix socket");
    let url = format!("postgres://u:{PASSWORD}@/shop?host=/cloudsql/a:b:c");
    skips(&[("DATABASE_URL", &url)], "DATABASE_URL is not usable: it names a Unix socket");
    skips(
        &[("DATABASE_URL", "sqlite:///shop.db")],
        "DATABASE_URL is not usable: its database is a file of its own",
    );
    let url = format!("oracle://u:{PASSWORD}@db/shop");
    skips(&[("DATABASE_URL", &url)], "DATABASE_URL is not usable: its scheme is not known");
    let url = format!("postgres://u:{PASSWORD}/{PASSWORD}@db/shop");
    let reason = "DATABASE_URL is not usable: it cannot be told apart from its credentials";
    skips(&[("DATABASE_URL", &url)], reason);
    let url = format!("postgres://u:{PASSWORD}@$(DB_HOST)/shop");
    skips(&[("DATABASE_URL", &url)], "DATABASE_URL is not usable: its host is not readable");
    skips(&[("DB_HOST", "db")], "DB_HOST is not usable: it names no port");
}

#[test]
fn a_loopback_address_is_not_waited_for() {
    for host in ["localhost", "db.localhost", "127.0.0.1", "127.0.0.9", "::1", "0.0.0.0"] {
        skips(&[("PGHOST", host)], "PGHOST names this pod itself");
    }
    let url = format!("mysql://u:{PASSWORD}@localhost:{}/shop", free_port());
    skips(&[("MYSQL_URL", &url)], "MYSQL_URL names this pod itself");
}

#[test]
fn a_remote_server_that_stays_unready_fails() {
    let url = format!("postgres://u:{PASSWORD}@db.invalid/shop");
    let said = Waiter::new(1).env("DATABASE_URL", &url).run();
    said.gave_up(1, &["db.invalid:5432 (from DATABASE_URL)"]);
    let said = Waiter::new(1).env("PGHOST", "db.invalid").env("PGPORT", "1").run();
    said.gave_up(1, &["db.invalid:1 (from PGHOST)"]);
}
