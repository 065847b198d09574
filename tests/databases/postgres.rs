//! PostgreSQL in every state.

use std::fs;
use std::time::Duration;

use crate::postgres_server::Postgres;
use crate::process::free_port;
use crate::waiter::{PASSWORD, Waiter};

#[test]
fn it_is_ready_where_it_asks_for_a_password() {
    let mut postgres = Postgres::new();
    postgres.write("pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n");
    postgres.start(&[], "ready to accept connections");
    let lines = postgres.log().lines().count();
    let said = Waiter::new(20).env("DATABASE_URL", &postgres.url("/shop")).run();
    // A loopback address that was only discovered is never asked.
    said.ended(0, &["DATABASE_URL names this pod itself; nothing to wait for"]);
    Waiter::new(20).target(&postgres.url("/shop")).run().ready();
    Waiter::new(20).target(&format!("host=127.0.0.1 port={}", postgres.port)).run().ready();
    let said = Waiter::new(20).target(&postgres.url("/shop")).arg("--retry-once-ready").run();
    assert!(said.ready().took >= Duration::from_secs(1), "{said:?}");
    assert_eq!(postgres.log().lines().count(), lines, "{}", postgres.log());
}

#[test]
fn it_is_waited_for_while_it_starts() {
    let mut postgres = Postgres::new();
    postgres.write("recovery.signal", "");
    // The server looks for a history of its timeline before it begins to recover, and does not get on.
    let restore = "restore_command=while ! test -e go; do sleep 0.1; done; false";
    postgres.start(&[restore], "database system was shut down at");
    let url = postgres.url("/shop");
    let said = Waiter::new(2).target(&url).run();
    said.gave_up(2, &["it says \"the database system is starting up\""]);
    let waiting = Waiter::new(30).target(&url).start();
    std::thread::sleep(Duration::from_millis(500));
    fs::write(postgres.data().join("go"), "").unwrap();
    waiting.end().ended(0, &["is ready after"]);
}

#[test]
fn it_is_waited_for_while_it_recovers() {
    let mut postgres = Postgres::new();
    postgres.write("standby.signal", "");
    postgres.start(&["hot_standby=off"], "entering standby mode");
    let url = postgres.url("/postgres");
    let said = Waiter::new(2).target(&url).run();
    let text = "it says \"the database system is not accepting connections\" (Hot standby mode is disabled.)";
    said.gave_up(2, &[text]);
    let waiting = Waiter::new(30).target(&url).start();
    postgres.promote();
    waiting.end().ready();
}

#[test]
fn it_is_waited_for_while_it_refuses_connections() {
    let mut postgres = Postgres::new();
    let url = postgres.url("/postgres");
    Waiter::new(1).target(&url).run().gave_up(1, &["connection refused", "(from --target)"]);
    let waiting = Waiter::new(30).target(&url).start();
    postgres.start(&[], "ready to accept connections");
    waiting.end().ready();
    postgres.stop();
    Waiter::new(1).target(&url).run().gave_up(1, &["connection refused"]);
}

#[test]
fn it_is_asked_over_tls_where_it_wants_that() {
    let key = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
    let mut postgres = Postgres::new();
    postgres.write("server.crt", &key.cert.pem());
    postgres.write("server.key", &key.signing_key.serialize_pem());
    postgres.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    postgres.start(&["ssl=on"], "ready to accept connections");
    for rest in ["/shop", "/shop?sslmode=require", "/shop?sslmode=verify-full"] {
        Waiter::new(20).target(&postgres.url(rest)).run().ready();
    }
    let said = Waiter::new(20).target(&postgres.url("/shop?sslmode=disable")).run();
    said.ended(0, &["no pg_hba.conf entry for host", "no encryption", "SQLSTATE 28000"]);
}

#[test]
fn it_is_asked_without_tls_where_the_handshake_fails() {
    let key = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
    let mut postgres = Postgres::new();
    postgres.write("server.crt", &key.cert.pem());
    postgres.write("server.key", &key.signing_key.serialize_pem());
    // A cipher suite that nobody should speak any more.
    let settings = ["ssl=on", "ssl_max_protocol_version=TLSv1.2", "ssl_ciphers=AES128-SHA"];
    postgres.start(&settings, "ready to accept connections");
    Waiter::new(20).target(&postgres.url("/postgres")).run().ready();
}

#[test]
fn it_is_ready_without_the_database_or_the_user() {
    let postgres = Postgres::serving(&[]);
    let said = Waiter::new(20).target(&postgres.url("/shop")).run();
    said.ended(
        0,
        &["is ready after", "it says \"database \\\"shop\\\" does not exist\", SQLSTATE 3D000"],
    );
    let url = format!("postgres://ann:{PASSWORD}@127.0.0.1:{}/postgres", postgres.port);
    Waiter::new(20).target(&url).run().ended(0, &["is ready after", "SQLSTATE 28000"]);
    Waiter::new(20).target(&postgres.url("/postgres")).run().ready();
    // Not an address of the ones before: the first that is ready will do.
    let url = format!(
        "postgres://127.0.0.1:{},127.0.0.1:{}/postgres?user=postgres",
        free_port(),
        postgres.port
    );
    Waiter::new(20).target(&url).run().ready();
}

#[test]
fn it_is_waited_for_while_it_has_too_many_connections() {
    let settings = ["max_connections=2", "superuser_reserved_connections=0", "max_wal_senders=0"];
    let postgres = Postgres::serving(&settings);
    let url = postgres.url("/postgres");
    let sessions = [postgres.session(), postgres.session()];
    let said = Waiter::new(2).target(&url).run();
    said.gave_up(2, &["it says \"sorry, too many clients already\""]);
    let waiting = Waiter::new(30).target(&url).start();
    std::thread::sleep(Duration::from_millis(300));
    drop(sessions);
    waiting.end().ready();
}
