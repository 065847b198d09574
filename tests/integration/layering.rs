//! What the compiler does not enforce: who may use whom, and how long a file may get.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and the layers below it that it may name. `admission` and `engine` are one layer: the engine
/// decides on an admission, and the answer is written from a decision.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("cluster", &["domain"]),
    ("policy", &["cluster", "domain"]),
    ("engine", &["admission", "cluster", "domain", "policy"]),
    ("admission", &["cluster", "domain", "engine", "policy"]),
    ("check", &["admission", "cluster", "domain", "engine", "policy"]),
    ("why", &["admission", "cluster", "domain", "engine", "policy"]),
    ("certs", &[]),
    ("server", &["admission", "cluster", "domain", "engine", "policy"]),
    ("wait", &["domain"]),
    ("watch", &["certs", "cluster", "domain", "policy", "server"]),
    (
        "cli",
        &[
            "admission",
            "certs",
            "check",
            "cluster",
            "domain",
            "engine",
            "policy",
            "server",
            "wait",
            "watch",
            "why",
        ],
    ),
];

const MAX_LINES: usize = 500;

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources(root: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    rust_files(Path::new(root), &mut found);
    found.sort();
    assert!(!found.is_empty(), "{root} holds no Rust file");
    found
}

#[test]
fn layers_only_name_those_below_them() {
    for path in sources("src") {
        let inside = path.strip_prefix("src").unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if matches!(first, "lib" | "main") {
            continue;
        }
        let (_, allowed) = LAYERS
            .iter()
            .find(|(layer, _)| *layer == first)
            .unwrap_or_else(|| panic!("{first} is no layer: add it to LAYERS"));
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            for rest in code.split("crate::").skip(1) {
                let head: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let known = LAYERS.iter().any(|(layer, _)| *layer == head);
                assert!(
                    !known || head == first || allowed.contains(&head.as_str()),
                    "{}:{}: {first} may not use {head}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for root in ["src", "tests", "benches"] {
        for path in sources(root) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        }
    }
    let main = fs::read_to_string("src/main.rs").unwrap().lines().count();
    assert!(main < 40, "main.rs only wires: {main} lines");
}

#[test]
fn modules_are_named_after_what_they_hold() {
    for path in sources("src") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        for vague in ["mod", "utils", "helpers", "common", "manager", "service"] {
            assert_ne!(stem, vague, "{}", path.display());
        }
    }
}
