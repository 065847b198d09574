//! PgBouncer, which answers before its server does.

use crate::postgres_server::Postgres;
use crate::process::{Server, find, folder, free_port, unprivileged, write};
use crate::waiter::{PASSWORD, Waiter};
use tempfile::TempDir;

struct Pooler {
    _server: Server,
    _folder: TempDir,
    url: String,
}

/// A pooler in front of this server.
fn pooler(postgres: &Postgres, authentication: &str) -> Pooler {
    let (folder, port) = (folder(), free_port());
    let path = |name: &str| folder.path().join(name);
    write(&path("users"), "\"postgres\" \"another\"\n");
    let settings = format!(
        "[databases]\nshop = host=127.0.0.1 port={} dbname=postgres user=postgres\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = {authentication}\nauth_file = {}\nserver_login_retry = 1\n",
        postgres.port,
        path("users").display(),
    );
    write(&path("ini"), &settings);
    let mut command = unprivileged(&find(&["pgbouncer"]));
    command.arg(path("ini"));
    let mut server = Server::start(command, path("log"), "KILL");
    server.says("process up");
    let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/shop");
    Pooler { _server: server, _folder: folder, url }
}

/// It asks for the password itself, so nobody without one can tell; a second answer tells no more.
#[test]
fn a_pooler_that_asks_for_a_password_hides_its_server() {
    let postgres = Postgres::new();
    let pooler = pooler(&postgres, "scram-sha-256");
    Waiter::new(20).target(&pooler.url).run().ready();
    Waiter::new(20).target(&pooler.url).arg("--retry-once-ready").run().ready();
}

/// Without a password it lets nobody in before its server did.
#[test]
fn a_pooler_that_trusts_is_waited_for_with_its_server() {
    let mut postgres = Postgres::new();
    let pooler = pooler(&postgres, "trust");
    let said = Waiter::new(5).target(&pooler.url).arg("--retry-once-ready").run();
    said.gave_up(5, &[]);
    let waiting = Waiter::new(40).target(&pooler.url).arg("--retry-once-ready").start();
    postgres.start(&[], "ready to accept connections");
    waiting.end().ready();
}
