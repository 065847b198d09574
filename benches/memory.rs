//! Resident memory of the program itself, idle and after many reviews.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Client;
use crate::client::trusting;

const REVIEWS: usize = 100_000;

/// Starts `wavegate serve`, asks it and prints what it takes.
pub(crate) fn measure(certificates: &Path, ca: &str, bodies: &[Vec<u8>]) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_wavegate"))
        .args(["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"])
        .arg("--standalone")
        .arg("--tls-cert")
        .arg(certificates.join("tls.crt"))
        .arg("--tls-key")
        .arg(certificates.join("tls.key"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("wavegate starts");
    let mut log = BufReader::new(server.stdout.take().expect("its log"));
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(log.read_line(&mut line).expect("its log") > 0, "wavegate ended");
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if event["message"] == "serving" {
            let address = event["listen"].as_str().expect("an address").to_owned();
            break address.parse().expect("an address");
        }
    };
    std::thread::spawn(move || std::io::copy(&mut log.by_ref(), &mut std::io::sink()));
    let client = Client { address, tls: trusting(&[ca]) };
    // The first connections make what every server makes once.
    client.post("/validate/enforce", &bodies[0], 100);
    let idle = resident(&server);
    let mut after = Vec::new();
    for _ in 0..4 {
        for body in bodies {
            client.post("/validate/enforce", body, REVIEWS / 4 / bodies.len());
        }
        after.push(resident(&server));
    }
    let quarters: Vec<String> = after.iter().map(|kib| format!("{:.1}", mib(*kib))).collect();
    println!(
        "memory: {:.1} MiB idle; {} MiB after each quarter of {REVIEWS} reviews (wanted: under 20, and flat)",
        mib(idle),
        quarters.join(", ")
    );
    server.kill().expect("it runs");
    server.wait().expect("it ends");
}

fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}

fn resident(server: &Child) -> u32 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
