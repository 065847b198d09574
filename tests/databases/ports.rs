//! What is known of a server by its port alone, and what its port does to those who know better.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::process::free_port;
use crate::waiter::{PASSWORD, Waiter};

/// A port whose connections are held open in silence.
fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port that says this to everybody and closes the connection.
fn saying(text: &'static str) -> u16 {
    let (listener, port) = silent();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = (&stream).write_all(text.as_bytes());
        }
    });
    port
}

#[test]
fn a_port_that_accepts_and_says_nothing_is_enough_for_tcp_alone() {
    let (_listener, port) = silent();
    Waiter::new(20).target(&format!("127.0.0.1:{port}")).run().ready();
    Waiter::new(20).target(&format!("tcp://127.0.0.1:{port}")).run().ready();
    for scheme in ["postgres", "mysql", "redis"] {
        let url = format!("{scheme}://u:{PASSWORD}@127.0.0.1:{port}");
        let said = Waiter::new(4).target(&url).run();
        said.gave_up(4, &["it accepts connections and does not answer within 3 s"]);
    }
}

#[test]
fn a_port_that_closes_its_connections_is_not_ready() {
    let port = saying("");
    for scheme in ["tcp", "postgres", "mysql", "redis"] {
        let said = Waiter::new(1).target(&format!("{scheme}://127.0.0.1:{port}")).run();
        said.ended(1, &["the connection"]);
    }
}

#[test]
fn a_server_of_another_kind_is_not_ready() {
    let port = saying("HTTP/1.1 400 Bad Request\r\n\r\n");
    Waiter::new(20).target(&format!("127.0.0.1:{port}")).run().ready();
    let said = Waiter::new(1).target(&format!("mysql://u:{PASSWORD}@127.0.0.1:{port}")).run();
    said.ended(1, &["its answer is not one of MySQL"]);
}

#[test]
fn nothing_at_all_is_waited_for_until_the_bound() {
    let said = Waiter::new(6).target(&format!("127.0.0.1:{}", free_port())).run();
    said.gave_up(6, &["connection refused"]);
    let lines: Vec<&str> = said.text.lines().collect();
    assert_eq!(lines.len(), 3, "{}", said.text);
    assert!(lines[0].contains("(from --target), TCP, 6 s at most"), "{}", said.text);
    assert!(lines[1].contains(", 5 s of 6 s: connection refused"), "{}", said.text);
}

#[test]
fn an_ipv6_address_is_asked() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        panic!("this machine has no IPv6 on its loopback device");
    };
    let port = listener.local_addr().unwrap().port();
    let said = Waiter::new(20).target(&format!("[::1]:{port}")).run();
    said.ready().ended(0, &[&format!("[::1]:{port} (from --target)")]);
}

#[test]
fn all_targets_are_waited_for_within_one_bound() {
    let (_listener, open) = silent();
    let (closed, late) = (free_port(), free_port());
    let target = |port: u16| format!("127.0.0.1:{port}");
    let said = Waiter::new(2).target(&target(open)).target(&target(closed)).run();
    said.gave_up(2, &[&format!("{} (from --target 2)", target(closed))]);
    assert!(said.text.contains(&format!("{} (from --target 1) is ready", target(open))));
    assert!(!said.last().contains("--target 1"), "{}", said.text);
    let waiting = Waiter::new(20).target(&target(late)).target(&target(open)).start();
    thread::sleep(Duration::from_millis(500));
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, late)).unwrap();
    waiting.end().ready();
}

#[test]
fn what_was_given_and_cannot_be_used_is_refused() {
    let url = format!("postgres://u:{PASSWORD}/x@db/shop");
    for (target, reason) in [
        (url.as_str(), "it cannot be told apart from its credentials"),
        ("", "it is empty"),
        ("sqlite:///shop.db", "its database is a file of its own"),
        ("db", "it names no port"),
        ("oracle://db", "its scheme is not known"),
        ("/var/run/postgresql", "it names a Unix socket"),
    ] {
        let said = Waiter::new(20).target(target).run();
        said.ended(
            2,
            &["--target is not usable: ", reason, "; write host:port, or a URL such as "],
        );
    }
    let said = Waiter::new(20).target("db:1").target("db").run();
    said.ended(2, &["--target 2 is not usable: it names no port"]);
    let url = format!("postgres://u:{PASSWORD}@db/shop");
    Waiter::new(20).arg(&url).run().ended(2, &["write --target before each address"]);
    Waiter::within("1h").target("db").run().ended(2, &["it names no port"]);
    Waiter::within("25h").target("db:1").run().ended(2, &["--timeout is no duration"]);
    Waiter::within("1").target("db:1").run().ended(2, &["--timeout is no duration"]);
    Waiter::within(&url).target("db:1").run().ended(2, &["--timeout is no duration"]);
}

/// A port that says this after a while, and then holds the connection.
fn slow(patience: Duration, text: &'static [u8]) -> u16 {
    let (listener, port) = silent();
    let say = move |mut stream: TcpStream| {
        thread::sleep(patience);
        let _ = stream.write_all(text);
        thread::sleep(Duration::from_secs(30));
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || say(stream));
        }
    });
    port
}

const GREETING: &[u8] = b"\x0f\0\0\0\x0a8.4.0\0\x01\0\0\0salt";
const BLOCKED: &[u8] = b"\x18\0\0\0\xff\x69\x04#HY000Host is blocked";

#[test]
fn a_server_that_takes_longer_than_an_attempt_gets_a_longer_one() {
    let port = slow(Duration::from_secs(4), b"+PONG\r\n");
    let said = Waiter::new(20).target(&format!("redis://127.0.0.1:{port}")).run();
    assert!(said.ready().took > Duration::from_secs(7), "{said:?}");
    let said = Waiter::new(1).target(&format!("redis://127.0.0.1:{port}")).run();
    said.gave_up(1, &["it accepts connections and does not answer within 0.9 s"]);
}

#[test]
fn a_greeting_is_enough_where_the_login_is_never_answered() {
    let port = slow(Duration::ZERO, GREETING);
    for target in [format!("mysql://127.0.0.1:{port}"), format!("127.0.0.1:{port}")] {
        let said = Waiter::new(20).target(&target).run();
        assert!(said.ready().took < Duration::from_secs(4), "{said:?}");
    }
    // Nor does it matter that the attempt ends meanwhile.
    let port = slow(Duration::from_millis(2500), GREETING);
    let said = Waiter::new(20).target(&format!("mysql://127.0.0.1:{port}")).run();
    assert!(said.ready().took < Duration::from_secs(4), "{said:?}");
}

#[test]
fn a_blocked_host_ends_the_wait_only_if_no_other_address_may_become_ready() {
    let (blocked, other) = (slow(Duration::ZERO, BLOCKED), slow(Duration::ZERO, BLOCKED));
    let target = |other: u16| format!("mysql://127.0.0.1:{blocked},127.0.0.1:{other}/shop");
    Waiter::new(20).target(&target(other)).run().ended(3, &["error 1129"]);
    let ready = slow(Duration::from_millis(500), GREETING);
    Waiter::new(20).target(&target(ready)).run().ready();
    let said = Waiter::new(2).target(&target(free_port())).run();
    said.gave_up(2, &["connection refused", "error 1129"]);
}
