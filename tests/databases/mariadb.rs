//! MariaDB, and what it holds against hosts that connect and leave.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::network::Network;
use crate::process::{Server, done, find, folder, free_port, is_root, unprivileged};
use crate::waiter::{PASSWORD, PROGRAM, Waiter};

/// A data folder, and where its server listens.
struct MariaDb {
    folder: TempDir,
    port: u16,
}

impl MariaDb {
    fn new() -> Self {
        let mariadb = Self { folder: folder(), port: free_port() };
        let mut install = unprivileged(&find(&["mariadb-install-db"]));
        install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        install.args(["--skip-test-db", "--innodb-flush-method=nosync"]);
        done(install.arg(format!("--datadir={}", mariadb.path("data").display())));
        mariadb
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the server by this command, which ends in the program.
    fn start(&self, mut command: Command, settings: &[&str]) -> Server {
        command.arg("--no-defaults").arg(format!("--datadir={}", self.path("data").display()));
        command.arg(format!("--socket={}", self.path("socket").display()));
        command.args([&format!("--port={}", self.port), "--innodb-flush-method=nosync"]);
        if !is_root() {
            // In a namespace that makes them root.
            command.arg("--user=root");
        }
        command.args(settings);
        // Not in order, which takes seconds.
        Server::start(command, self.path("log"), "KILL")
    }

    /// The first column of the first row that a query gives.
    fn ask(&self, query: &str) -> String {
        let mut command = Command::new(find(&["mariadb"]));
        command.args([
            "--no-defaults",
            "--user=root",
            "--batch",
            "--skip-column-names",
            "--socket",
        ]);
        command.arg(self.path("socket")).args(["--execute", query]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().next().unwrap_or_default().to_owned()
    }

    fn url(&self, host: &str) -> String {
        format!("mysql://ann:{PASSWORD}@{host}:{}/shop", self.port)
    }
}

const READY: &str = "ready for connections.";

fn program() -> PathBuf {
    find(&["mariadbd"])
}

#[test]
fn it_is_waited_for_while_it_starts() {
    let mariadb = MariaDb::new();
    let url = mariadb.url("127.0.0.1");
    let waiting = Waiter::new(30).target(&url).start();
    thread::sleep(Duration::from_secs(2));
    let mut server = mariadb.start(unprivileged(&program()), &["--bind-address=127.0.0.1"]);
    let said = waiting.end();
    assert!(said.ready().took > Duration::from_secs(2), "{said:?}");
    // The port of a database that no scheme tells of is asked as its greeting wants.
    server.says(READY);
    let lines = server.log().matches("closed normally without authentication").count();
    Waiter::new(20).target(&format!("127.0.0.1:{}", mariadb.port)).run().ready();
    assert_eq!(server.log().matches("closed normally without authentication").count(), lines);
}

#[test]
fn it_is_waited_for_while_it_has_too_many_connections() {
    let mariadb = MariaDb::new();
    let settings = ["--bind-address=127.0.0.1", "--max-connections=10", "--connect-timeout=60"];
    let mut server = mariadb.start(unprivileged(&program()), &settings);
    server.says(READY);
    // One more than the setting says is let in, for an administrator.
    let connect = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, mariadb.port)).unwrap();
    let connections: Vec<TcpStream> = (0..11).map(connect).collect();
    let url = mariadb.url("127.0.0.1");
    Waiter::new(2).target(&url).run().gave_up(2, &["it says \"Too many connections\", error 1040"]);
    let waiting = Waiter::new(30).target(&url).start();
    drop(connections);
    waiting.end().ready();
}

const ADDRESS: &str = "10.111.0.7";

/// Connects and leaves, as often as that.
fn knock(network: &Network, port: u16, times: u32) {
    let script = format!("for i in {{1..{times}}}; do : < /dev/tcp/{ADDRESS}/{port}; done");
    done(network.command("bash").args(["-c", &script]));
}

#[test]
fn a_thousand_probes_leave_no_trace_in_its_host_cache() {
    // It holds errors against hosts only whose address has a name that leads back to it.
    let hosts = format!("127.0.0.1 localhost\n{ADDRESS} waiter.test\n");
    let network = Network::new(&[&format!("{ADDRESS}/32")], &hosts);
    let mariadb = MariaDb::new();
    let settings =
        ["--bind-address=0.0.0.0", "--performance-schema=ON", "--max-connect-errors=100"];
    let mut server = mariadb.start(network.server(&program()), &settings);
    server.says(READY);
    let waiter = || Waiter::by(network.command(PROGRAM), 30);
    let url = mariadb.url(ADDRESS);
    let said = waiter().target(&url).run();
    said.ended(0, &["is not allowed to connect to this MariaDB server\", error 1130"]);

    mariadb.ask("CREATE USER ann@'%' IDENTIFIED BY 'another'; FLUSH HOSTS");
    let connections = || mariadb.ask("SHOW STATUS WHERE Variable_name = 'Connections'");
    let count = |text: String| text.split('\t').nth(1).unwrap().parse::<u32>().unwrap();
    let before = count(connections());
    for _ in 0..25 {
        (0..40).fold(waiter(), |waiter, _| waiter.target(&url)).run().ended(0, &["is ready after"]);
    }
    assert!(count(connections()) >= before + 1000);
    let cache = "SELECT CONCAT_WS(' ', host_validated, sum_connect_errors, count_handshake_errors) \
                 FROM performance_schema.host_cache WHERE ip = '10.111.0.7'";
    assert_eq!(mariadb.ask(cache), "YES 0 0");

    // That it would have been counted, and what comes of it.
    knock(&network, mariadb.port, 99);
    assert_eq!(mariadb.ask(cache), "YES 99 99");
    waiter().target(&url).run().ready();
    knock(&network, mariadb.port, 21);
    let said = waiter().target(&url).run();
    said.ended(3, &["error 1129", "refuses this host", "mysqladmin flush-hosts"]);
    mariadb.ask("FLUSH HOSTS");
    waiter().target(&url).run().ready();
}
