//! What the container image costs: its size, and how soon and in how much memory its program asks the database.
//!
//! The program is the image's own, run as an injected waiter runs it. A listener holds its first connection while its
//! memory is read.

#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot run stops"
)]

#[path = "../tests/cluster/cluster.rs"]
mod cluster;

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cluster::image::{release, sbom};

const STARTS: usize = 50;

/// A waiter that has not connected by then never will.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    // `cargo test --all-targets` runs benchmarks with this argument; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let output = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/image/wavegate.tar");
    let image = release::build(&output, &release::default_name()).expect("an image");
    println!(
        "image: {:.1} MB to pull, {:.1} MB unpacked (wanted: under 20)",
        megabytes(image.compressed),
        megabytes(image.uncompressed)
    );
    let target = sbom::host().expect("a target");
    start(&release::static_program(&target).expect("the program"));
}

fn start(program: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let (mut waits, mut peaks): (Vec<_>, Vec<_>) =
        (0..STARTS).map(|_| once(program, &listener)).unzip();
    waits.sort_unstable();
    peaks.sort_unstable();
    println!(
        "waiter: {:.1} ms from start to its first connection, median of {STARTS} (wanted: under 20); {:.1} MiB at most (wanted: under 8)",
        waits[STARTS / 2].as_secs_f64() * 1e3,
        f64::from(peaks[STARTS - 1]) / 1024.0
    );
}

/// Time from the start to the first connection, and most memory until then in KiB.
fn once(program: &Path, listener: &TcpListener) -> (Duration, u32) {
    let address = listener.local_addr().expect("an address").to_string();
    let start = Instant::now();
    let mut waiter = Command::new(program)
        .args(["wait-for-db", "--target", &address])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let connection = loop {
        match listener.accept() {
            Ok((connection, _)) => break connection,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        if let Some(status) = waiter.try_wait().expect("its status") {
            panic!("wait-for-db ended before it asked: {status}");
        }
        assert!(start.elapsed() < PATIENCE, "wait-for-db does not ask");
        // Short beside what is measured, and leaves the processor to the program.
        thread::sleep(Duration::from_micros(50));
    };
    let wait = start.elapsed();
    // Until it waits for an answer it still takes what it needs for that.
    thread::sleep(Duration::from_millis(5));
    let peak = peak(&waiter);
    waiter.kill().expect("it runs");
    waiter.wait().expect("it ends");
    drop(connection);
    (wait, peak)
}

fn peak(process: &Child) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn megabytes(bytes: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "an image is far smaller than 2^52 bytes")]
    let bytes = bytes as f64;
    bytes / 1e6
}
