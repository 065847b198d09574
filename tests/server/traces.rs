//! Traces: what becomes a span, what it says, and what becomes of the server where the collector fails.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::time::timeout;
use wavegate::certs::{Validity, issue};
use wavegate::cluster::Question;
use wavegate::policy::Policy;
use wavegate::server::webhook::{Answer, Cluster, Endpoint, Webhook};
use wavegate::server::{Decide, Limits, Metrics, RequestSpan, Step, traces};

use crate::client::post;
use crate::collector::{Collector, called, closed, hanging, hex, text_of};
use crate::program::{Serving, certs, wavegate};
use crate::rig::{NAME, PATIENCE, Scripted, Server, Setting, echo};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
/// What no span may say.
const SECRET: &str = "hunter2";

fn to(url: &str, sample_ratio: f64) -> traces::Collector {
    traces::Collector { url: url.parse().expect("a URL"), ca: None, sample_ratio }
}

fn setting(collector: traces::Collector) -> Setting {
    Setting { collector: Some(collector), ..Setting::default() }
}

fn webhook() -> Webhook {
    Webhook::new(Policy::default(), Cluster::default(), Arc::new(Metrics::new()))
}

/// A migration that may run again after a failure, with a secret in it.
fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "operation": "CREATE", "namespace": "shop", "name": "shop-migrate",
            "kind": {"group": "batch", "version": "v1", "kind": "Job"},
            "userInfo": {"username": SECRET},
            "object": {
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": "shop-migrate", "labels": {"wavegate.dev/role": "migration"}},
                "spec": {"backoffLimit": 3, "template": {"spec": {
                    "restartPolicy": "Never",
                    "containers": [{
                        "name": "migrate", "image": "registry.example.com/shop:v1",
                        "command": ["python", "manage.py", "migrate"],
                        "env": [{"name": "PASSWORD", "value": SECRET}],
                    }],
                }}},
            },
        },
    })
}

/// A request of a caller whose trace has these flags, or that has no trace.
fn traced(path: &str, flags: Option<&str>, body: &[u8]) -> Vec<u8> {
    let request = post(path, NAME, body);
    let Some(flags) = flags else { return request };
    let request = String::from_utf8(request).expect("text");
    let header = format!("\r\ntraceparent: 00-{TRACE}-{PARENT}-{flags}\r\nHost:");
    request.replacen("\r\nHost:", &header, 1).into_bytes()
}

fn attribute(span: &Span, key: &str) -> String {
    text_of(&span.attributes, key).unwrap_or_default()
}

fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

/// The spans of a server that has ended its delivery.
async fn delivered(server: Server, collector: &Collector) -> Vec<Span> {
    server.stop_traces().await;
    let spans = collector.spans();
    server.abort();
    spans
}

#[tokio::test]
async fn a_denial_becomes_a_span_of_the_callers_trace_without_what_the_object_holds() {
    let collector = Collector::start();
    let server = Server::start_with(setting(to(&collector.url(), 0.0)), webhook()).await;
    let body = review().to_string();
    let reply =
        server.ask(&traced("/validate/enforce?timeout=3s", Some("01"), body.as_bytes())).await;
    let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    let spans = delivered(server, &collector).await;
    let [span] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!((span.name.as_str(), span.kind()), ("admission review", SpanKind::Server));
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("url.path", "/validate/enforce"),
        ("wavegate.endpoint", "validate_enforce"),
        ("k8s.admission.uid", "u-1"),
        ("k8s.operation", "CREATE"),
        ("k8s.object.kind", "Job"),
        ("k8s.namespace.name", "shop"),
        ("k8s.object.name", "shop-migrate"),
        ("wavegate.verdict", "denied"),
        ("wavegate.dry_run", "false"),
    ] {
        assert_eq!(attribute(span, key), value, "{key}");
    }
    assert!(attribute(span, "wavegate.denied").split(',').any(|code| code == "WG101"));
    assert!(!failed(span), "a denial is no failure");
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    assert!(!collector.knows(SECRET) && !collector.knows("manage.py"));
    assert!(collector.knows("shop-migrate"));
    assert_eq!(collector.sender("service.name").as_deref(), Some("wavegate"));
    assert_eq!(collector.sender("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn the_caller_decides_what_is_traced_and_without_one_the_share_does() {
    for (ratio, flags, wanted) in [
        (0.0, None, 0),
        (0.0, Some("00"), 0),
        (1.0, Some("00"), 0),
        (0.0, Some("01"), 1),
        (1.0, None, 1),
    ] {
        let collector = Collector::start();
        let server = Server::start(setting(to(&collector.url(), ratio))).await;
        let reply = server.ask(&traced("/mutate", flags, b"{}")).await;
        assert_eq!(reply.status, 200);
        let spans = delivered(server, &collector).await;
        assert_eq!(spans.len(), wanted, "{ratio} {flags:?}");
        let parent = flags.map(|_| PARENT).unwrap_or_default();
        assert!(spans.iter().all(|span| hex(&span.parent_span_id) == parent));
    }
}

#[tokio::test]
async fn what_is_refused_or_panics_leaves_a_span_as_well() {
    let collector = Collector::start();
    let limits = Limits { body_bytes: 10, ..Limits::default() };
    let panics = |endpoint, body: &[u8]| {
        assert_ne!(body, b"panic");
        echo(endpoint, body)
    };
    let setting = Setting { limits, ..setting(to(&collector.url(), 0.0)) };
    let server = Server::start_with(setting, Scripted(panics)).await;
    for (path, body, status) in [
        ("/mutate", &b"far too long"[..], 413),
        ("/nowhere", b"{}", 404),
        ("/validate/warn", b"panic", 500),
    ] {
        assert_eq!(server.ask(&traced(path, Some("01"), body)).await.status, status, "{path}");
    }
    let spans = delivered(server, &collector).await;
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let status = attribute(span, "http.response.status_code");
            let (refused, path) =
                (attribute(span, "wavegate.refused"), attribute(span, "url.path"));
            (path, status, refused, failed(span))
        })
        .collect();
    let row = |path: &str, status: &str, refused: &str, failed| {
        (path.to_owned(), status.to_owned(), refused.to_owned(), failed)
    };
    let wanted = vec![
        row("/mutate", "413", "body_too_large", false),
        row("/nowhere", "404", "not_found", false),
        row("/validate/warn", "500", "panic", true),
    ];
    assert_eq!(told, wanted);
}

/// Asks the cluster, which there is none of.
struct Asking;

impl Decide for Asking {
    fn answer(&self, _: Endpoint, _: &[u8], _: &mut RequestSpan) -> Step {
        Step::Ask(Question::default())
    }

    fn conclude(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        told: Result<wavegate::cluster::Reading, wavegate::server::live::Unread>,
        _: &mut RequestSpan,
    ) -> Answer {
        assert!(told.is_err());
        echo(endpoint, body)
    }
}

#[tokio::test]
async fn the_live_read_is_a_span_within_that_of_its_request() {
    let collector = Collector::start();
    let server = Server::start_with(setting(to(&collector.url(), 0.0)), Asking).await;
    let reply = server.ask(&traced("/validate/enforce", Some("01"), b"{}")).await;
    assert_eq!(reply.status, 200);
    let spans = delivered(server, &collector).await;
    let [read, review] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((read.name.as_str(), read.kind()), ("read the cluster", SpanKind::Client));
    assert_eq!(hex(&read.trace_id), TRACE);
    assert_eq!(read.parent_span_id, review.span_id);
    assert!(failed(read) && !failed(review), "the read failed, the request did not");
}

#[tokio::test]
async fn a_collector_with_tls_is_trusted_by_the_ca_that_is_named() {
    let now = std::time::SystemTime::now();
    let names = ["127.0.0.1".parse().expect("a name")];
    let issued = issue(&names, Validity::from_days(1).expect("a day"), now).expect("a pair");
    let directory = tempfile::tempdir().expect("a directory");
    issued.write(directory.path(), false).expect("files");
    let file = |name: &str| directory.path().join(name);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            CertificateDer::pem_file_iter(file("tls.crt"))
                .expect("a chain")
                .collect::<Result<_, _>>()
                .expect("certificates"),
            PrivateKeyDer::from_pem_file(file("tls.key")).expect("a key"),
        )
        .expect("a pair");
    let collector = Collector::start_tls(Arc::new(config));
    let named = |ca: &str| traces::Collector { ca: Some(file(ca)), ..to(&collector.url(), 0.0) };
    let server = Server::start(setting(named("ca.crt"))).await;
    server.ask(&traced("/mutate", Some("01"), b"{}")).await;
    assert_eq!(delivered(server, &collector).await.len(), 1);

    // Another CA than the one that signed.
    let stranger = issue(&names, Validity::from_days(1).expect("a day"), now).expect("a pair");
    fs::write(file("stranger.crt"), &stranger.ca).expect("a file");
    let server = Server::start(setting(named("stranger.crt"))).await;
    server.ask(&traced("/mutate", Some("01"), b"{}")).await;
    server.stop_traces().await;
    assert_eq!(server.metric(UNDELIVERED), 1);
    assert_eq!(collector.spans().len(), 1, "no other came");
    server.abort();
}

const UNDELIVERED: &str = r#"wavegate_trace_spans_dropped_total{reason="undelivered"}"#;

#[tokio::test]
async fn a_collector_that_never_answers_keeps_no_answer_and_no_end_waiting() {
    let (listener, address) = hanging();
    let server = Server::start(setting(to(&format!("http://{address}"), 0.0))).await;
    for _ in 0..3 {
        let reply = server.ask(&traced("/mutate", Some("01"), b"{}")).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(server.metric(UNDELIVERED), 0);
    // The end waits for two seconds, the request to the collector for ten.
    timeout(PATIENCE, server.stop_traces()).await.expect("an end");
    let mut head = [0; 4];
    called(&listener).read_exact(&mut head).expect("a request");
    assert_eq!(&head, b"POST");
    assert_eq!(server.metric(UNDELIVERED), 3);
    let reply = server.ask(&traced("/mutate", Some("01"), b"{}")).await;
    assert_eq!(reply.status, 200, "it serves on");
    server.abort();
}

fn decisions(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|line| line["message"] == "decision").collect()
}

/// The program's own log, which tells of the collector once in each direction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_down_is_told_once_and_so_is_its_return() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(certs(directory.path(), &[]).status.success());
    let address = closed();
    let url = format!("http://{address}");
    let delay = [("OTEL_BSP_SCHEDULE_DELAY", "10"), ("OTEL_SERVICE_NAME", "the-gate")];
    let serving = Serving::start_in(directory.path(), "0s", &["--otlp-endpoint", &url], &delay);
    serving.until_ready();
    let body = review().to_string();
    let ask = async |flags| {
        let request = traced("/validate/enforce", flags, body.as_bytes());
        serving.ask(directory.path(), &request).await
    };
    for lost in 1..=3 {
        assert_eq!(ask(Some("01")).await.status, 200);
        let line = format!("{UNDELIVERED} {lost}");
        serving.until(|serving| serving.get("/metrics").contains(&line));
    }
    let collector = Collector::on(TcpListener::bind(address).expect("the same port"), None);
    assert_eq!(ask(Some("01")).await.status, 200);
    serving.until(|_| !collector.spans().is_empty());
    assert_eq!(collector.sender("service.name").as_deref(), Some("the-gate"));
    assert_eq!(ask(None).await.status, 200);

    let log = serving.end();
    let told: Vec<_> = log.iter().filter(|line| line["message"] == "traces get lost").collect();
    let [told] = told.as_slice() else { panic!("{log:?}") };
    let reason = told["reason"].as_str().expect("a reason");
    assert!(reason.contains("Connection refused"), "{reason}");
    let again = log.iter().filter(|line| line["message"] == "traces are delivered again");
    assert_eq!(again.count(), 1);
    let ids: Vec<_> = decisions(&log).iter().map(|line| line["trace_id"].as_str()).collect();
    assert_eq!(ids, [Some(TRACE), Some(TRACE), Some(TRACE), Some(TRACE), None]);
}

/// Threads of the SDK, by the beginning of their name.
fn exporters(process: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("Linux").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("OpenTelemetry")).count()
}

/// An empty variable is one that is not set, by OpenTelemetry's specification; a platform may set them so for everyone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_there_is_nothing_of_traces() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(certs(directory.path(), &[]).status.success());
    let url = format!("http://{}", closed());
    let empty = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", ""),
        ("WAVEGATE_OTLP_SAMPLE_RATIO", ""),
    ];
    for (arguments, variables, threads) in [
        (&["--otlp-endpoint", ""][..], &[][..], 0),
        (&[], &empty, 0),
        (&["--otlp-endpoint", &url], &[], 1),
    ] {
        let serving = Serving::start_in(directory.path(), "0s", arguments, variables);
        serving.until_ready();
        let request = traced("/validate/enforce", Some("01"), review().to_string().as_bytes());
        assert_eq!(serving.ask(directory.path(), &request).await.status, 200);
        assert_eq!(exporters(serving.id()), threads);
        let log = serving.end();
        let traced = decisions(&log).iter().filter(|line| line.get("trace_id").is_some()).count();
        assert_eq!(traced, threads, "{log:?}");
    }
}

#[test]
fn settings_of_traces_that_cannot_be_are_refused_by_name() {
    let nowhere: SocketAddr = closed();
    let https = format!("https://{nowhere}");
    for (arguments, told) in [
        (&["--otlp-endpoint", "collector:4318"][..], "a URL such as http://collector:4318"),
        (&["--otlp-endpoint", "http://me:hunter2@collector"], "OTEL_EXPORTER_OTLP_HEADERS"),
        (&["--otlp-sample-ratio", "10%"], "no number from 0 to 1"),
        (&["--otlp-endpoint", &https, "--otlp-ca", "/no/such.crt"], "/no/such.crt cannot be read"),
        (&["--otlp-endpoint", &https, "--otlp-ca", "Cargo.toml"], "Cargo.toml holds no cert"),
    ] {
        let mut command = wavegate(&["serve", "--standalone", "--listen", "127.0.0.1:0"]);
        command.args(["--health-listen", "127.0.0.1:0", "--tls-cert", "a", "--tls-key", "b"]);
        let output = command.args(arguments).output().expect("wavegate runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(told), "{told}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}
