//! The same files through `wavegate check`, a server dry run and a real apply: the same denials.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cluster::Namespace;
use crate::guard::{codes, enforcing, verdict};

fn files(directory: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The denials of `wavegate check`, as its users get them.
fn checked(file: &Path) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_wavegate"))
        .args(["check", "--output", "json"])
        .arg(file)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let denials = findings.filter(|finding| finding["severity"] == "deny");
    denials.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

/// The denials of the API server, which must be the same on a dry run.
fn applied(namespace: &Namespace<'_>, file: &Path) -> BTreeSet<String> {
    let file = format!("--filename={}", file.display());
    let dry = verdict(&namespace.kubectl().args(["apply", "--dry-run=server", &file]).run());
    let real = verdict(&namespace.kubectl().args(["apply", &file]).run());
    assert_eq!(dry.denied, real.denied, "{file}: dry run and real run differ");
    real.denied
}

#[test]
fn bad_manifests_get_their_one_code_everywhere() {
    let namespace = enforcing("parity::bad");
    let files = files("examples/bad");
    assert!(files.len() >= 20);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let want = codes(&[&name.split('-').next().unwrap().to_uppercase()]);
        assert_eq!(checked(&file), want, "check {name}");
        assert_eq!(applied(&namespace, &file), want, "apply {name}");
    }
    let left = namespace.kubectl().args(["get", "jobs,deployments", "--output=name"]).ok();
    assert_eq!(left, "", "something that was refused exists");
}

#[test]
fn good_manifests_pass_everywhere() {
    let namespace = enforcing("parity::good");
    for file in files("examples/shop") {
        assert_eq!(checked(&file), codes(&[]), "{}", file.display());
        assert_eq!(applied(&namespace, &file), codes(&[]), "{}", file.display());
    }
}

#[test]
fn without_the_role_the_same_jobs_warn() {
    let namespace = enforcing("parity::warn");
    for file in files("examples/warn") {
        assert_eq!(checked(&file), codes(&[]), "{}", file.display());
        let argument = format!("--filename={}", file.display());
        let real = verdict(&namespace.kubectl().args(["apply", &argument]).run());
        assert_eq!(real.denied, codes(&[]), "{argument}");
        assert!(real.warned.contains("WG201"), "{argument}: {:?}", real.warned);
    }
}

#[test]
fn lookalikes_are_created_without_a_word() {
    let namespace = enforcing("parity::lookalikes");
    for file in files("tests/fixtures/lookalikes") {
        let argument = format!("--filename={}", file.display());
        let output = namespace.kubectl().args(["create", &argument]).run();
        let found = verdict(&output);
        assert_eq!((found.denied, found.warned), (codes(&[]), codes(&[])), "{argument}");
        assert!(!output.stderr.contains("wavegate"), "{argument}: {}", output.stderr);
    }
    let jobs = namespace.kubectl().args(["get", "jobs"]).json();
    for job in jobs["items"].as_array().unwrap() {
        let text = job["metadata"].to_string();
        assert!(!text.contains("stamp.wavegate.dev"), "{text}");
    }
}

#[test]
fn a_denial_is_403() {
    let namespace = enforcing("parity::status");
    let file = "--filename=examples/bad/wg101-no-backoff-limit.yaml";
    let output = namespace.kubectl().args(["create", "--v=6", file]).run();
    assert!(output.stderr.contains("403 Forbidden"), "{}", output.stderr);
}
