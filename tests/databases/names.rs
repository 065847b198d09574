//! Names that lead nowhere, or nowhere yet.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::network::Network;
use crate::process::{Server, find, signal};
use crate::waiter::{PROGRAM, Waiter};

const LOCAL: &str = "127.0.0.1 localhost\n";

/// A server in this network.
fn server(network: &Network, address: &str) -> Server {
    let program = network.file("redis-server");
    symlink(find(&["redis-server", "redis-check-rdb"]), &program).unwrap();
    let mut command = network.server(&program);
    command.args(["--bind", address, "--port", "7000", "--save", "", "--protected-mode", "no"]);
    let mut server = Server::start(command, network.file("log"), "KILL");
    server.says("eady to accept connections");
    server
}

const URL: &str = "redis://db.test:7000";

/// A DNS server for names that end in `.test`, which it reads from a file.
fn dns(network: &Network) -> Server {
    fs::write(network.file("names"), "").unwrap();
    let mut command = network.command(find(&["dnsmasq"]).to_str().unwrap());
    command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--log-facility=-"]);
    command.args(["--user=root", "--group=root", "--local=/test/", "--conf-file=/dev/null"]);
    command.arg("--pid-file").arg(format!("--addn-hosts={}", network.file("names").display()));
    let mut server = Server::start(command, network.file("dnsmasq.log"), "KILL");
    server.says("started");
    server
}

fn waiter(network: &Network, seconds: u64) -> Waiter {
    Waiter::by(network.command(PROGRAM), seconds)
}

#[test]
fn a_name_that_appears_late_is_found() {
    let network = Network::new(&[], LOCAL);
    let _server = server(&network, "127.0.0.1");
    let said = waiter(&network, 1).env("DATABASE_URL", URL).run();
    said.gave_up(1, &["db.test:7000 (from DATABASE_URL)", "the name db.test cannot be resolved"]);
    let waiting = waiter(&network, 30).env("DATABASE_URL", URL).start();
    thread::sleep(Duration::from_secs(1));
    network.write_hosts(&format!("{LOCAL}127.0.0.1 db.test\n"));
    let said = waiting.end();
    assert!(said.ready().took >= Duration::from_secs(1), "{said:?}");
}

#[test]
fn a_name_that_a_dns_server_learns_late_is_found() {
    let network = Network::new(&[], LOCAL);
    let _server = server(&network, "127.0.0.1");
    let dns = dns(&network);
    let said = waiter(&network, 1).target(URL).run();
    said.gave_up(1, &["the name db.test cannot be resolved: "]);
    let waiting = waiter(&network, 30).target(URL).start();
    thread::sleep(Duration::from_secs(1));
    fs::write(network.file("names"), "127.0.0.1 db.test\n").unwrap();
    signal("HUP", dns.id());
    let said = waiting.end();
    assert!(said.ready().took >= Duration::from_secs(1), "{said:?}");
}

#[test]
fn a_resolver_that_never_answers_does_not_outlast_the_bound() {
    let network = Network::new(&[], LOCAL);
    let dns = dns(&network);
    // Its questions are kept in the kernel and never answered.
    signal("STOP", dns.id());
    let said = waiter(&network, 4).target(URL).run();
    said.gave_up(4, &["the name db.test was not resolved within 3 s"]);
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    let addresses = ["10.111.0.1/32", "10.111.0.2/32", "10.111.0.3/32"];
    let hosts = format!("{LOCAL}10.111.0.1 db.test\n10.111.0.2 db.test\n10.111.0.3 db.test\n");
    let network = Network::new(&addresses, &hosts);
    let said = waiter(&network, 1).target(URL).run();
    said.gave_up(1, &["10.111.0.1: connection refused", "10.111.0.3: connection refused"]);
    let _server = server(&network, "10.111.0.3");
    waiter(&network, 20).target(URL).run().ready();
}

/// The control for what the other tests take for granted: this machine's loopback device is not the network's.
#[test]
fn a_network_is_apart_from_the_machine() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let network = Network::new(&[], LOCAL);
    waiter(&network, 1).target(&target).run().gave_up(1, &["connection refused"]);
    Waiter::by(Command::new(PROGRAM), 1).target(&target).run().ready();
}
