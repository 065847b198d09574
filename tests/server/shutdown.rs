//! From the signal to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use wavegate::server::{Drain, Timeouts};

use crate::client::{LoadClient, post};
use crate::rig::{NAME, PATIENCE, Server, Setting, eventually, probe};

fn setting(delay: Duration, grace: Duration) -> Setting {
    Setting { drain: Drain { delay, grace }, ..Setting::default() }
}

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_when_clients_stop_as_readiness_does() {
    let mut server = Server::start(setting(SHORT, PATIENCE)).await;
    assert!(eventually(async || server.probe("/readyz").await.is_ok_and(|(s, _)| s == 200)).await);
    let client = LoadClient {
        address: server.address,
        tls: server.tls(),
        server_name: NAME.to_owned(),
        path: "/validate/enforce?timeout=3s".to_owned(),
        body: vec![b' '; 6000],
        connections: 8,
        requests: 1_000_000,
        at_most: PATIENCE,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move { client.run(&stop).await }
    });
    let answered = r#"wavegate_requests_total{endpoint="validate_enforce",status="2xx"}"#;
    assert!(eventually(async || server.metric(answered) > 200).await);
    server.signal();
    let unready = async || server.probe("/readyz").await.is_ok_and(|(status, _)| status == 503);
    assert!(eventually(unready).await);
    let before = server.metric(answered);
    assert!(eventually(async || server.metric(answered) > before + 20).await, "served on");
    stop.store(true, Ordering::Relaxed);
    let report = load.await.expect("no panic");
    assert_eq!(report.failures, Vec::<String>::new());
    assert!(report.connections > 8, "answers during the drain end their connections");
    let succeeded = i64::try_from(report.succeeded).expect("few");
    assert_eq!(server.metric(answered), succeeded);
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_serves_on_and_ends_each_connection_with_its_answer() {
    let mut server = Server::start(setting(SHORT, PATIENCE)).await;
    let request = post("/mutate", NAME, b"{}");
    let mut kept = server.connect().await;
    kept.send(&request).await.expect("sent");
    assert!(!kept.reply().await.expect("an answer").closes());
    server.signal();
    assert!(eventually(async || server.readiness.is_draining()).await);
    assert_eq!(server.probe("/readyz").await.expect("an answer").0, 503);
    assert_eq!(server.probe("/healthz").await.expect("an answer").0, 200, "alive to the end");
    kept.send(&request).await.expect("sent");
    let reply = kept.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.closes()), (200, true));
    assert!(kept.is_closed().await);
    drop(kept);
    let reply = server.ask(&request).await;
    assert_eq!((reply.status, reply.closes()), (200, true), "new connections too");
    let reply = server.ask(&post("/nowhere", NAME, b"{}")).await;
    assert_eq!((reply.status, reply.closes()), (404, true), "refusals too");
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_is_finished_and_idle_connections_are_closed() {
    let mut server = Server::start(setting(Duration::ZERO, PATIENCE)).await;
    let head = "POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut idle = server.connect().await;
    idle.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
    assert_eq!(idle.reply().await.expect("an answer").status, 200);
    let mut busy = server.connect().await;
    busy.send(head.as_bytes()).await.expect("sent");
    assert_eq!(busy.reply().await.expect("an answer").status, 100);
    let mut begun = server.connect().await;
    begun.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
    assert_eq!(begun.reply().await.expect("an answer").status, 200);
    begun.send(b"POST /mutate HTTP/1.1\r\nContent-Type: app").await.expect("sent");

    let started = Instant::now();
    server.signal();
    assert!(idle.is_closed().await, "nothing is on its way there");
    busy.send(b"{}").await.expect("sent");
    let reply = busy.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.closes()), (200, true));
    begun.send(b"lication/json\r\nContent-Length: 2\r\n\r\n{}").await.expect("sent");
    let reply = begun.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.closes()), (200, true));
    busy.close().await;
    begun.close().await;
    idle.close().await;
    server.ended().await.expect("a clean end");
    assert!(started.elapsed() < PATIENCE, "no waiting for the grace to pass");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_finish_within_the_grace_is_cut() {
    let mut server = Server::start(setting(Duration::ZERO, SHORT)).await;
    let mut stuck = server.connect().await;
    stuck
        .send(
            b"POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n",
        )
        .await
        .expect("sent");
    server.metric_becomes("wavegate_requests_in_flight", 1).await;
    let started = Instant::now();
    server.signal();
    let (address, health) = (server.address, server.health);
    server.ended().await.expect("a clean end");
    assert!((SHORT..Timeouts::default().body).contains(&started.elapsed()));
    assert!(stuck.reply().await.is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is closed");
    assert!(probe(health, "/healthz").await.is_err(), "the health port too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_just_connected_may_still_ask() {
    let mut server = Server::start(setting(Duration::ZERO, PATIENCE)).await;
    let mut fresh = server.connect().await;
    let mut used = server.connect().await;
    used.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
    assert_eq!(used.reply().await.expect("an answer").status, 200);
    server.signal();
    // The used one is closed when the server stops accepting, so the fresh one knows as well.
    assert!(used.is_closed().await);
    fresh.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
    let reply = fresh.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.closes()), (200, true));
    drop(fresh);
    drop(used);
    server.ended().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_future_is_dropped_leaves_nothing_behind() {
    let server = Server::start(Setting::default()).await;
    let mut connection = server.connect().await;
    let address = server.address;
    server.abort();
    assert!(connection.is_closed().await);
    assert!(eventually(async || tokio::net::TcpStream::connect(address).await.is_err()).await);
}
