//! How a wait is ended from outside, and what it costs.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{eventually, free_port, is_root, signal};
use crate::waiter::{PROGRAM, Waiter, Waiting};

/// Until a wait has its handlers, which it sets up before anything else.
const START: Duration = Duration::from_millis(500);

#[track_caller]
fn ends_at_once(waiting: Waiting, name: &str, id: u32) {
    thread::sleep(START);
    let sent = Instant::now();
    signal(name, id);
    let said = waiting.end();
    assert!(sent.elapsed() < Duration::from_millis(500), "{:?} after the signal", sent.elapsed());
    let reason = format!("ended by SIG{name} after ");
    said.ended(143, &[&reason, "connection refused; the migration was not started"]);
}

#[test]
fn a_signal_ends_it_at_once() {
    for name in ["TERM", "INT"] {
        let waiting = Waiter::new(30).target(&format!("127.0.0.1:{}", free_port())).start();
        let id = waiting.id();
        ends_at_once(waiting, name, id);
    }
}

/// As in a container, where the kernel gives the first process no default action.
#[test]
fn a_signal_ends_the_first_process_at_once() {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]);
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--", PROGRAM]);
    let waiting = Waiter::by(command, 30).target(&format!("127.0.0.1:{}", free_port())).start();
    let outer = waiting.id();
    let id = eventually("the first process", || {
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    });
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    assert!(inner.ends_with("\t1"), "{inner}");
    ends_at_once(waiting, "TERM", id);
}

#[test]
fn it_asks_at_once_and_takes_little() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = format!("redis://{}", listener.local_addr().unwrap());
    let fastest = (0..10).map(|_| {
        let begin = Instant::now();
        let waiting = Waiter::new(20).target(&target).start();
        let _connection = listener.accept().unwrap();
        let took = begin.elapsed();
        let memory = waiting.memory();
        signal("TERM", waiting.id());
        let said = waiting.end();
        assert!(memory < 8 << 10, "{memory} KiB: {said:?}");
        took
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(20), "{fastest:?} until the first attempt");
}
