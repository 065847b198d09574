//! What happens at the limits of load: refused at once, with a time to come again, and never queued.

use wavegate::server::Limits;

use crate::client::{Connection, Reply, post};
use crate::rig::{NAME, Server, Setting, probe};

/// A request whose body the server waits for: its `100 Continue` tells that it is in handling.
async fn begin(connection: &mut Connection) {
    let head = format!(
        "POST /mutate HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    );
    connection.send(head.as_bytes()).await.expect("sent");
    assert_eq!(connection.reply().await.expect("an answer").status, 100);
}

async fn end(connection: &mut Connection) -> u16 {
    connection.send(b"{}").await.expect("sent");
    connection.reply().await.expect("an answer").status
}

fn assert_busy(reply: &Reply, line: &str, closes: bool) {
    let text = String::from_utf8_lossy(&reply.body);
    assert_eq!((reply.status, text.as_ref(), reply.closes()), (429, line, closes));
    // Without it the API server fails the request instead of asking again.
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_limit_are_told_to_come_again() {
    let limits = Limits { requests: 2, ..Limits::default() };
    let server = Server::start(Setting { limits, ..Setting::default() }).await;
    let mut one = server.connect().await;
    let mut two = server.connect().await;
    let mut three = server.connect().await;
    begin(&mut one).await;
    begin(&mut two).await;
    assert_eq!(server.metric("wavegate_requests_in_flight"), 2);
    for _ in 0..2 {
        // The connection stays: under load the last thing that helps is another TLS handshake.
        three.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
        let reply = three.reply().await.expect("an answer");
        assert_busy(&reply, "busy: 2 requests are in handling; retry in 1 s\n", false);
    }
    assert_eq!(end(&mut one).await, 200);
    three.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
    assert_eq!(three.reply().await.expect("an answer").status, 200);
    assert_eq!(end(&mut two).await, 200);
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="concurrency"}"#), 2);
    assert_eq!(server.metric("wavegate_requests_in_flight"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_in_the_middle_gives_its_place_back() {
    let limits = Limits { requests: 1, ..Limits::default() };
    let server = Server::start(Setting { limits, ..Setting::default() }).await;
    let mut one = server.connect().await;
    begin(&mut one).await;
    drop(one);
    server.metric_becomes("wavegate_requests_in_flight", 0).await;
    assert!(server.serves().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_told_so_and_beyond_the_bound_they_wait() {
    let limits = Limits { connections: 2, spare_connections: 1, ..Limits::default() };
    let server = Server::start(Setting { limits, ..Setting::default() }).await;
    let request = post("/mutate", NAME, b"{}");
    let mut one = server.connect().await;
    let mut two = server.connect().await;
    for connection in [&mut one, &mut two] {
        connection.send(&request).await.expect("sent");
        assert_eq!(connection.reply().await.expect("an answer").status, 200);
    }
    let mut spare = server.connect().await;
    let (address, tls) = (server.address, server.tls());
    let waiting = tokio::spawn(async move { Connection::open(address, NAME, &tls).await });
    spare.send(&request).await.expect("sent");
    let reply = spare.reply().await.expect("an answer");
    assert_busy(&reply, "busy: 2 connections are open; retry in 1 s\n", true);
    // The health port has places of its own.
    assert_eq!(probe(server.health, "/readyz").await.expect("an answer").0, 200);
    assert!(!waiting.is_finished(), "the spare connection still holds the last place");
    assert_eq!(server.metric("wavegate_connections"), 3);

    one.close().await;
    drop(one);
    drop(spare);
    server.metric_becomes("wavegate_connections", 2).await;
    let mut fourth = waiting.await.expect("no panic").expect("a connection");
    fourth.send(&request).await.expect("sent");
    // It was accepted with the first place that was free, which may have been the spare one.
    let status = fourth.reply().await.expect("an answer").status;
    assert!(matches!(status, 200 | 429), "{status}");
    drop(fourth);
    two.close().await;
    drop(two);
    server.metric_becomes("wavegate_connections", 0).await;
    assert!(server.serves().await);
    assert!(server.metric(r#"wavegate_refused_total{reason="connections"}"#) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_share_a_bound_of_memory() {
    let limits = Limits { buffered_bytes: 200_000, ..Limits::default() };
    let server = Server::start(Setting { limits, ..Setting::default() }).await;
    let mut connection = server.connect().await;
    connection.send(&post("/mutate", NAME, &vec![b' '; 300_000])).await.expect("sent");
    let reply = connection.reply().await.expect("an answer");
    assert_busy(&reply, "busy: bodies in handling fill 200000 bytes; retry in 1 s\n", false);
    connection.send(&post("/mutate", NAME, &vec![b' '; 100_000])).await.expect("sent");
    assert_eq!(connection.reply().await.expect("an answer").status, 200);
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="body_memory"}"#), 1);
}
