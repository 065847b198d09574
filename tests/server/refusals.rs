//! What is refused, with which status and which words.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::timeout;
use wavegate::server::Timeouts;
use wavegate::server::webhook::{Answer, ContentType};

use crate::client::{Connection, post};
use crate::rig::{NAME, Scripted, Server, Setting, echo};

const MIB: usize = 1 << 20;
const TOO_LARGE: &str = "the body is larger than the limit of 8 MiB\n";

/// A request with these lines between its request line and its body.
fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers = headers.join("\r\n") + if headers.is_empty() { "" } else { "\r\n" };
    let length = body.len();
    format!("{line} HTTP/1.1\r\nHost: {NAME}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_served_or_refused_with_a_line_that_says_why() {
    let server = Server::start(Setting::default()).await;
    let json = "Content-Type: application/json";
    let paths = "not found; served here: POST /mutate, /mutate/warn, /validate/enforce, \
                 /validate/warn, /validate/unknown-mode, /validate/policy\n";
    let not_json = "the body must be an AdmissionReview with Content-Type: application/json\n";
    let cases: [(&str, &[&str], u16, &str); 15] = [
        ("POST /mutate", &[json], 200, "/mutate 2"),
        ("POST /mutate/warn", &[json], 200, "/mutate/warn 2"),
        ("POST /validate/enforce", &[json], 200, "/validate/enforce 2"),
        ("POST /validate/warn", &[json], 200, "/validate/warn 2"),
        // The API server adds its timeout.
        ("POST /validate/warn?timeout=3s", &[json], 200, "/validate/warn 2"),
        ("POST /mutate", &["Content-Type: Application/JSON ; charset=utf-8"], 200, "/mutate 2"),
        ("POST /", &[json], 404, paths),
        ("POST /mutate/", &[json], 404, paths),
        ("GET /healthz", &[], 404, paths),
        ("GET /mutate", &[], 405, "method not allowed; served here: POST /mutate\n"),
        ("PUT /mutate/warn", &[json], 405, "method not allowed; served here: POST /mutate/warn\n"),
        ("POST /mutate", &[], 415, not_json),
        ("POST /mutate", &["Content-Type: text/plain"], 415, not_json),
        ("POST /mutate", &["Content-Type: application/jsonp"], 415, not_json),
        ("POST /mutate", &["Content-Type: \u{e4}"], 415, not_json),
    ];
    // All on one connection: a refusal of a small request does not end it.
    let mut connection = server.connect().await;
    for (line, headers, status, body) in cases {
        connection.send(&request(line, headers, "{}")).await.expect("sent");
        let reply = connection.reply().await.expect("an answer");
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!((reply.status, text.as_str()), (status, body), "{line} {headers:?}");
        assert!(!reply.closes(), "{line} {headers:?}: {}", reply.head);
        let json = reply.header("content-type") == Some("application/json");
        assert_eq!(json, status == 200, "{line} {headers:?}: {}", reply.head);
        assert_eq!(reply.header("allow").is_some(), status == 405, "{line}: {}", reply.head);
    }
    assert_eq!(server.metric(r#"wavegate_requests_total{endpoint="mutate",status="2xx"}"#), 2);
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="unsupported_media_type"}"#), 4);
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="not_found"}"#), 3);
    assert_eq!(server.metric(r#"wavegate_requests_total{endpoint="other",status="4xx"}"#), 3);
}

/// A client that writes its whole request before it reads.
async fn write_then_read(
    connection: &mut Connection,
    head: &str,
    body: &[u8],
) -> (u16, String, bool) {
    let head = format!(
        "POST /mutate HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
    );
    connection.send(head.as_bytes()).await.expect("the header is taken");
    connection.send(body).await.expect("the body is taken");
    let reply = connection.reply().await.expect("an answer");
    let closes = reply.closes();
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned(), closes)
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::with_capacity(body.len() + 64 * 1024);
    for chunk in body.chunks(100_000) {
        coded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\n\r\n");
    coded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_up_to_8_mib_are_read_and_larger_ones_answered_with_413() {
    let server = Server::start(Setting::default()).await;
    let body = vec![b' '; 40 * MIB];
    let wanted = |length: usize| format!("/mutate {length}");
    let cases = [
        ("8 MiB, declared", 8 * MIB, false, (200, wanted(8 * MIB), false)),
        ("8 MiB, chunked", 8 * MIB, true, (200, wanted(8 * MIB), false)),
        // Read to its end and forgotten, so the connection goes on.
        ("9 MiB, declared", 9 * MIB, false, (413, TOO_LARGE.to_owned(), false)),
        ("9 MiB, chunked", 9 * MIB, true, (413, TOO_LARGE.to_owned(), false)),
        // Too much to read to its end; the answer arrives all the same.
        ("40 MiB, declared", 40 * MIB, false, (413, TOO_LARGE.to_owned(), true)),
        ("40 MiB, chunked", 40 * MIB, true, (413, TOO_LARGE.to_owned(), true)),
    ];
    let mut connection = server.connect().await;
    for (name, length, in_chunks, wanted) in cases {
        let body = &body[..length];
        let got = if in_chunks {
            write_then_read(&mut connection, "Transfer-Encoding: chunked", &chunked(body)).await
        } else {
            write_then_read(&mut connection, &format!("Content-Length: {length}"), body).await
        };
        assert_eq!(got, wanted, "{name}");
        if got.2 {
            assert!(connection.is_closed().await, "{name}");
            connection = server.connect().await;
        }
    }
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="body_too_large"}"#), 4);
    assert!(server.serves().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_before_it_sends_is_told_before_it_sends() {
    let server = Server::start(Setting::default()).await;
    let head = |length: usize| {
        format!(
            "POST /mutate HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut connection = server.connect().await;
    connection.send(head(2).as_bytes()).await.expect("sent");
    assert_eq!(connection.reply().await.expect("an answer").status, 100);
    connection.send(b"{}").await.expect("sent");
    assert_eq!(connection.reply().await.expect("an answer").status, 200);
    connection.send(head(9 * MIB).as_bytes()).await.expect("sent");
    let reply = connection.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.closes()), (413, true));
    assert!(connection.is_closed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_answered_counted_and_contained() {
    let decide = Scripted(|endpoint, body: &[u8]| {
        assert!(body != b"panic", "a rule that panics");
        echo(endpoint, body)
    });
    let server = Server::start_with(Setting::default(), decide).await;
    let mut connection = server.connect().await;
    connection.send(&post("/validate/warn", NAME, b"panic")).await.expect("sent");
    let reply = connection.reply().await.expect("an answer");
    let line = "wavegate failed on this request; the fault is not yours, see wavegate's log\n";
    assert_eq!((reply.status, reply.body.as_slice()), (500, line.as_bytes()));
    connection.send(&post("/validate/warn", NAME, b"{}")).await.expect("sent");
    assert_eq!(connection.reply().await.expect("an answer").status, 200);
    assert_eq!(server.metric("wavegate_panics_total"), 1);
    assert_eq!(server.metric("wavegate_requests_in_flight"), 0);
    let failed = r#"wavegate_requests_total{endpoint="validate_warn",status="5xx"}"#;
    assert_eq!(server.metric(failed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decision_chooses_status_and_content_type() {
    let decide = Scripted(|_, _: &[u8]| Answer {
        status: 400,
        content_type: ContentType::Text,
        body: b"no uid\n".to_vec(),
    });
    let server = Server::start_with(Setting::default(), decide).await;
    let reply = server.ask(&post("/mutate", NAME, b"[]")).await;
    assert_eq!((reply.status, reply.body.as_slice()), (400, b"no uid\n".as_slice()));
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_end_early_are_answered_where_http_has_an_answer() {
    let server = Server::start(Setting::default()).await;
    let json = "Content-Type: application/json\r\n";
    let missing = "the body ended early: its framing is broken or bytes are missing\n";
    let inside = "the request ended inside its header\n";
    let cases = [
        (
            "a body shorter than declared",
            format!("POST /mutate HTTP/1.1\r\n{json}Content-Length: 10\r\n\r\n{{"),
            (400, missing),
        ),
        (
            "no byte of a declared body",
            format!("POST /mutate HTTP/1.1\r\n{json}Content-Length: 10\r\n\r\n"),
            (400, missing),
        ),
        (
            "chunks without an end",
            format!(
                "POST /mutate HTTP/1.1\r\n{json}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n"
            ),
            (400, missing),
        ),
        (
            "chunks that are none",
            format!("POST /mutate HTTP/1.1\r\n{json}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            (400, missing),
        ),
        ("half a header", format!("POST /mutate HTTP/1.1\r\n{json}Content-Le"), (400, inside)),
        ("one byte", "P".to_owned(), (400, inside)),
        // hyper answers these by itself, without words.
        ("no HTTP", "hello, is anybody there?\r\n\r\n".to_owned(), (400, "")),
        ("a long header", format!("POST /mutate HTTP/1.1\r\nX: {}", "x".repeat(40_000)), (431, "")),
        (
            "two lengths",
            "POST /mutate HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
            (400, ""),
        ),
    ];
    for (name, request, (status, body)) in cases {
        let mut connection = server.connect().await;
        connection.send(request.as_bytes()).await.expect("sent");
        connection.finish().await.expect("closed");
        let reply = connection.reply().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!((reply.status, text.as_ref()), (status, body), "{name}");
        assert!(connection.is_closed().await, "{name}");
    }
    // A complete request is served though its client sends nothing more: the request and the end of
    // the connection arrive together.
    let mut connection = server.connect().await;
    let (_, session) = connection.stream.get_mut();
    session.writer().write_all(&post("/mutate", NAME, b"{}")).expect("buffered");
    session.send_close_notify();
    connection.send(b"").await.expect("sent");
    assert_eq!(connection.reply().await.expect("an answer").status, 200);
    server.metric_becomes("wavegate_connections", 0).await;
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="header_truncated"}"#), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_requests_are_answered_with_408() {
    let timeouts = Timeouts {
        header: Duration::from_millis(150),
        body: Duration::from_millis(150),
        ..Timeouts::default()
    };
    let server = Server::start(Setting { timeouts, ..Setting::default() }).await;
    let body =
        b"POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    let cases: [(&[u8], &str); 2] = [
        (body, "the body did not arrive within 150ms\n"),
        (b"POST /mutate HTTP/1.1\r\nHo", "the header did not arrive within 150ms\n"),
    ];
    for (begun, line) in cases {
        let mut connection = server.connect().await;
        connection.send(begun).await.expect("sent");
        let reply = connection.reply().await.expect("an answer");
        let text = String::from_utf8_lossy(&reply.body);
        assert_eq!((reply.status, text.as_ref(), reply.closes()), (408, line, true));
        assert!(connection.is_closed().await, "{line}");
    }

    // Byte by byte is no way around the limit: it counts from the first byte.
    let mut connection = server.connect().await;
    let reply = loop {
        connection.send(b"x").await.expect("the server waits for the header's end, or answers");
        if let Ok(reply) = timeout(Duration::from_millis(20), connection.reply()).await {
            break reply.expect("an answer");
        }
    };
    assert_eq!(reply.status, 408);
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="header_timeout"}"#), 2);
    assert_eq!(server.metric(r#"wavegate_refused_total{reason="body_timeout"}"#), 1);
}
