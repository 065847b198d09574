//! What a decision costs, as a ratio: `/validate/enforce` against a route on the same server, in the same run, that
//! only reads the body and answers its uid. Over TLS 1.3 keep-alive and HTTP/1.1, as the API server asks.
//!
//! One thread serves and one asks, which never sleeps: the ratio is that of the server where both routes keep it busy.
//! Rounds alternate between the two, so that a machine that changes its speed changes both; the median of the rounds'
//! ratios is what counts.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot run stops"
)]

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/server/client.rs"]
mod client;
mod memory;
mod state;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use client::{LoadClient, LoadReport, trusting};
use serde::Deserialize;
use wavegate::certs::{Validity, issue};
use wavegate::policy::Policy;
use wavegate::server::webhook::{Answer, Cluster, ContentType, Endpoint, Webhook};
use wavegate::server::{
    Decide, Drain, Limits, Metrics, Readiness, RequestSpan, ServerConfig, Step, Timeouts,
    TlsSource, listen, run,
};

const NAME: &str = "wavegate.wavegate.svc";
const ROUNDS: usize = 41;
const REQUESTS: usize = 6_000;
const CONNECTIONS: usize = 16;

/// A Deployment that opted in, created, about 6 KiB; and one whose image changes, about 14 KiB. Their migrations have run.
const BODIES: [(&str, &str); 2] = [
    ("create", "tests/fixtures/bench/create-deployment.json"),
    ("update", "tests/fixtures/bench/update-deployment.json"),
];

/// `/validate/enforce` decides; `/validate/warn` is the route that does not.
struct Both(Webhook);

#[derive(Deserialize)]
struct UidOnly<'b> {
    #[serde(borrow)]
    request: RequestUid<'b>,
}

#[derive(Deserialize)]
struct RequestUid<'b> {
    uid: &'b str,
}

impl Decide for Both {
    fn answer(&self, endpoint: Endpoint, body: &[u8], span: &mut RequestSpan) -> Step {
        if endpoint == Endpoint::ValidateEnforce {
            return self.0.answer(endpoint, body, span);
        }
        let review: UidOnly<'_> = serde_json::from_slice(body).expect("a review");
        let body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{}","allowed":true}}}}"#,
            review.request.uid
        );
        Answer { status: 200, content_type: ContentType::Json, body: body.into_bytes() }.into()
    }
}

fn main() {
    // `cargo test --all-targets` runs benchmarks with this argument; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let bodies = BODIES.map(|(_, path)| fs::read(path).expect("a body"));
    // First, while this process is small.
    state::measure(&bodies[1]);
    let files = tempfile::tempdir().expect("a directory");
    let names = [NAME.parse().expect("a name"), "127.0.0.1".parse().expect("an address")];
    let issued = issue(&names, Validity::default(), SystemTime::now()).expect("certificates");
    issued.write(files.path(), false).expect("files");
    let server = Server::start(files.path());
    let client = Client { address: server.address, tls: trusting(&[&issued.ca]) };
    for ((name, _), body) in BODIES.iter().zip(&bodies) {
        compare(name, body, &client);
    }
    compare("create that is warned about", &elsewhere(&bodies[0]), &client);
    drop(server);
    memory::measure(files.path(), &issued.ca, &bodies);
}

/// The same request in a namespace where no migration has ever run, so that the decision has something to say.
fn elsewhere(body: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(body).expect("text");
    let known = format!(r#""namespace":"{}""#, state::NAMESPACE);
    assert!(text.contains(&known), "the namespace is written otherwise");
    text.replace(&known, r#""namespace":"nothing-ran-here""#).into_bytes()
}

fn compare(name: &str, body: &[u8], client: &Client) {
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let noop = measure("/validate/warn", body, client);
        let decide = measure("/validate/enforce", body, client);
        // The first round warms up.
        if round > 0 {
            rounds.push((noop, decide));
        }
    }
    let median = |of: fn(&(Figures, Figures)) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    println!("{name}, {} bytes, {CONNECTIONS} connections, median of {ROUNDS} rounds:", body.len());
    println!(
        "  throughput   {:>7.0} reviews/s against {:>7.0}: ratio {:.2} (wanted: at least 0.80)",
        median(|(_, decide)| decide.throughput),
        median(|(noop, _)| noop.throughput),
        median(|(noop, decide)| decide.throughput / noop.throughput),
    );
    println!(
        "  server CPU   {:>7.1} us a review against {:>6.1}: ratio {:.2}",
        median(|(_, decide)| decide.cpu_micros),
        median(|(noop, _)| noop.cpu_micros),
        median(|(noop, decide)| decide.cpu_micros / noop.cpu_micros),
    );
    println!(
        "  server busy  {:>6.0}% of the time against {:>6.0}%",
        median(|(_, decide)| decide.busy()),
        median(|(noop, _)| noop.busy()),
    );
}

struct Figures {
    throughput: f64,
    cpu_micros: f64,
}

impl Figures {
    /// Percentage of its time that the server spent.
    fn busy(&self) -> f64 {
        self.throughput * self.cpu_micros / 1e4
    }
}

fn measure(path: &str, body: &[u8], client: &Client) -> Figures {
    let before = server_cpu();
    let report = client.post(path, body, REQUESTS);
    let cpu = server_cpu().saturating_sub(before);
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let requests = f64::from(u32::try_from(report.succeeded).expect("a small number"));
    Figures { throughput: report.throughput(), cpu_micros: cpu.as_secs_f64() * 1e6 / requests }
}

/// Asks from a runtime of its own, with one thread.
struct Client {
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
}

impl Client {
    fn post(&self, path: &str, body: &[u8], requests: usize) -> LoadReport {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let load = LoadClient {
            address: self.address,
            tls: Arc::clone(&self.tls),
            server_name: NAME.to_owned(),
            path: path.to_owned(),
            body: body.to_vec(),
            connections: CONNECTIONS,
            requests,
            at_most: Duration::from_mins(1),
        };
        runtime.expect("a runtime").block_on(async {
            // A client that sleeps until it is answered makes the server wake it, which costs a virtual machine some
            // microseconds, and the slower route more often than the faster one.
            let awake = tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            let report = load.run(&Arc::new(AtomicBool::new(false))).await;
            awake.abort();
            report
        })
    }
}

/// The server in this process, on threads of its own: their CPU time is told apart by their name.
struct Server {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

const THREAD: &str = "bench-server";

impl Server {
    fn start(certificates: &std::path::Path) -> Self {
        log_to_a_pipe();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(THREAD)
            .enable_all()
            .build()
            .expect("a runtime");
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (webhook, health) = runtime.block_on(async {
            (listen(any_port).await.expect("a port"), listen(any_port).await.expect("a port"))
        });
        let address = webhook.local_addr().expect("bound");
        let metrics = Arc::new(Metrics::new());
        let cluster = Cluster { state: Arc::new(RwLock::new(state::own())), ..Cluster::default() };
        let decide = Arc::new(Both(Webhook::new(Policy::default(), cluster, Arc::clone(&metrics))));
        let config = ServerConfig {
            webhook,
            health,
            tls: TlsSource::new(certificates.join("tls.crt"), certificates.join("tls.key")),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            drain: Drain::default(),
            metrics,
            readiness: Arc::new(Readiness::new()),
            traces: None,
        };
        runtime.spawn(async { run(config, decide, std::future::pending()).await });
        Self { address, runtime: Some(runtime) }
    }
}

/// CPU time of the server's threads so far, its log's included.
fn server_cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let nanos = tasks.filter_map(|task| {
        let task = task.ok()?.path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let spent = fs::read_to_string(task.join("schedstat")).ok()?;
        matches!(name.trim(), THREAD | wavegate::server::log::THREAD)
            .then(|| spent.split(' ').next()?.parse::<u64>().ok())
            .flatten()
    });
    Duration::from_nanos(nanos.sum())
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Logs as `wavegate serve` does, into a pipe that somebody reads, as a container's standard output is.
fn log_to_a_pipe() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let level = tracing_subscriber::filter::LevelFilter::INFO;
    // The log ends with the process.
    std::mem::forget(wavegate::server::log::start(level, writer).expect("a log"));
}
