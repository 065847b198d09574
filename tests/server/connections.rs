//! How long connections live, and what they survive.

use std::time::Duration;

use rustls::version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use wavegate::server::webhook::{Answer, ContentType};
use wavegate::server::{Timeouts, TlsVersion};

use crate::client::{Connection, post, trusting_with};
use crate::rig::{NAME, Scripted, Server, Setting, certificates, source};

const ANSWERED: &str = r#"wavegate_requests_total{endpoint="mutate",status="2xx"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_outlive_the_header_limit_and_end_at_their_own() {
    let header = Duration::from_millis(100);
    let idle = Duration::from_millis(900);
    let timeouts = Timeouts { header, idle, ..Timeouts::default() };
    let server = Server::start(Setting { timeouts, ..Setting::default() }).await;
    let request = post("/mutate", NAME, b"{}");
    let mut fresh = server.connect().await;
    let mut used = server.connect().await;
    for _ in 0..2 {
        used.send(&request).await.expect("sent");
        assert_eq!(used.reply().await.expect("an answer").status, 200);
        // The passing of time is what is tested.
        sleep(header * 3).await;
    }
    let last = Instant::now();
    for (name, connection) in [("fresh", &mut fresh), ("used", &mut used)] {
        connection.send(&request).await.expect("sent");
        let reply = connection.reply().await;
        assert_eq!(reply.expect("idle connections are kept").status, 200, "{name}");
    }
    assert!(fresh.is_closed().await && used.is_closed().await);
    assert!(last.elapsed() >= idle, "closed after {:?} of {idle:?}", last.elapsed());
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="header_timeout"}"#), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_a_connection_pipelined_and_split_anywhere() {
    let server = Server::start(Setting::default()).await;
    let mut connection = server.connect().await;
    let requests: Vec<u8> =
        (0..50).flat_map(|number| post("/mutate", NAME, &vec![b' '; number * 37])).collect();
    // Pieces of a prime length, so that every kind of border meets a border of TLS records.
    for piece in requests.chunks(1_009) {
        connection.send(piece).await.expect("sent");
    }
    for number in 0..50 {
        let reply = connection.reply().await.expect("an answer");
        assert_eq!(reply.body, format!("/mutate {}", number * 37).into_bytes());
    }
    assert_eq!(server.metric("wavegate_connections"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut() {
    let timeouts = Timeouts { write: Duration::from_millis(100), ..Timeouts::default() };
    let large = Scripted(|_, _: &[u8]| Answer {
        status: 200,
        content_type: ContentType::Json,
        body: vec![b' '; 32 << 20],
    });
    let server = Server::start_with(Setting { timeouts, ..Setting::default() }, large).await;
    let mut connection = server.connect().await;
    connection.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
    server.metric_becomes(ANSWERED, 1).await;
    server.metric_becomes("wavegate_connections", 0).await;
    assert!(connection.reply().await.is_err(), "the answer is cut short");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_larger_than_every_buffer_waits_for_its_reader() {
    let length = 8 << 20;
    let large = Scripted(move |_, _: &[u8]| Answer {
        status: 200,
        content_type: ContentType::Json,
        body: vec![b' '; length],
    });
    let server = Server::start_with(Setting::default(), large).await;
    let mut connection = server.connect().await;
    for number in 1..=2 {
        connection.send(&post("/mutate", NAME, b"{}")).await.expect("sent");
        server.metric_becomes(ANSWERED, number).await;
        let reply = connection.reply().await.expect("an answer");
        assert_eq!((reply.status, reply.body.len()), (200, length));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_do_not_speak_tls_are_let_go() {
    let timeouts = Timeouts { handshake: Duration::from_millis(100), ..Timeouts::default() };
    let server = Server::start(Setting { timeouts, ..Setting::default() }).await;
    let mut silent = TcpStream::connect(server.address).await.expect("connected");
    let mut plain = TcpStream::connect(server.address).await.expect("connected");
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    assert_eq!(silent.read_to_end(&mut answer).await.expect("closed"), 0);
    // A TLS alert, or a reset as it did not understand the alert: an end in either case.
    let _ = plain.read_to_end(&mut answer).await;
    server.metric_becomes(r#"wavegate_tls_handshake_failures_total{cause="timeout"}"#, 1).await;
    server.metric_becomes(r#"wavegate_tls_handshake_failures_total{cause="failed"}"#, 1).await;
    server.metric_becomes("wavegate_connections", 0).await;
    assert!(server.serves().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_2_is_spoken_only_where_asked_for() {
    for (oldest_version, spoken) in [(TlsVersion::V1_3, false), (TlsVersion::V1_2, true)] {
        let files = tempfile::tempdir().expect("a directory");
        let issued = certificates();
        issued.write(files.path(), false).expect("files");
        let tls = wavegate::server::TlsSource { oldest_version, ..source(files.path()) };
        let server = Server::start(Setting { tls: Some(tls), ..Setting::default() }).await;
        let old = trusting_with(&[&issued.ca], &[&version::TLS12]);
        let connected = Connection::open(server.address, NAME, &old).await;
        assert_eq!(connected.is_ok(), spoken, "oldest {oldest_version:?}");
        let new = trusting_with(&[&issued.ca], &[&version::TLS13]);
        assert!(Connection::open(server.address, NAME, &new).await.is_ok());
    }
}
