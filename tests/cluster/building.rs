//! How the programs are built, with a stand-in for `go`: the real one is what all other tests use.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::cluster::eventually;
use crate::cluster::programs::{self, Program};
use crate::cluster::reaper::Reaper;
use crate::play;

/// Notes its last argument, the package, and makes the file named behind `-o`, once it may.
const GO: &str = r#"#!/bin/sh
for package in "$@"; do :; done
echo "$package" >>"$CALLS"
while [ "$1" != -o ]; do shift; done
while [ ! -e "$CALLS.may" ]; do sleep 0.05; done
echo program >"$2"
chmod +x "$2"
"#;

const BROKEN_GO: &str = r#"#!/bin/sh
for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do echo "line $line" >&2; done
exit 1
"#;

#[test]
fn two_processes_build_each_program_once() {
    let Some(folder) = folder_or_role() else {
        return;
    };
    fake_go(folder.directory(), GO);
    let said = ["one", "two"].map(|name| folder.directory().join(name));
    let children = said.each_ref().map(|path| {
        rerun("two_processes_build_each_program_once", folder.directory())
            .stdout(Stdio::null())
            .stderr(File::create(path).expect("a file"))
            .spawn()
            .expect("this binary once more")
    });
    eventually("one process waits for the other", Duration::from_secs(30), || {
        let waits = |path| read(path).contains("another process builds the programs; waiting");
        said.iter().any(waits).then_some(())
    });
    fs::write(folder.directory().join("calls.may"), "").expect("a file");
    let ends = children.map(|mut child| child.wait().expect("its status"));
    let said = said.each_ref().map(read);
    assert!(ends.iter().all(ExitStatus::success), "{said:#?}");
    let last = format!("built argocd ({0} of {0}) in ", Program::ALL.len());
    assert!(said.concat().contains(&last), "{said:#?}");
    let calls = || read(&folder.directory().join("calls")).lines().count();
    assert_eq!(calls(), Program::ALL.len());

    let assets = folder.directory().join("assets");
    fs::create_dir(&assets).expect("a folder");
    fs::write(assets.join("etcd"), "").expect("a file");
    let output = rerun("two_processes_build_each_program_once", folder.directory())
        .env("KUBEBUILDER_ASSETS", &assets)
        .output()
        .expect("this binary once more");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(&format!("\n{}/etcd\n", assets.display())), "{stdout}");
    assert!(stdout.contains(&format!("{}/cache/control-plane/", folder.directory().display())));
    assert_eq!(calls(), Program::ALL.len(), "nothing more was built");
}

#[test]
fn a_failed_build_quotes_the_end_of_its_output() {
    let Some(folder) = folder_or_role() else {
        return;
    };
    fake_go(folder.directory(), BROKEN_GO);
    let test = "a_failed_build_quotes_the_end_of_its_output";
    let output = rerun(test, folder.directory()).output().expect("this binary once more");
    let stderr = stderr(&output);
    assert!(stderr.contains("`go build` of etcd failed (exit status: 1)"), "{stderr}");
    assert!(stderr.contains("\nline 2\n") && stderr.contains("line 21"), "{stderr}");
    assert!(!stderr.contains("line 1\n"), "{stderr}");
}

#[test]
fn without_go_the_error_says_what_to_do() {
    let Some(folder) = folder_or_role() else {
        return;
    };
    let output = rerun("without_go_the_error_says_what_to_do", folder.directory())
        .env("PATH", folder.directory())
        .output()
        .expect("this binary once more");
    let stderr = stderr(&output);
    for part in ["`go` is not on PATH", "install Go 1.", "KUBEBUILDER_ASSETS", "etcd, containerd"] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

/// A folder for the test, or nothing in the child, which has played its role: to print where all
/// programs are, or to fail with the error.
fn folder_or_role() -> Option<Reaper> {
    if play::role().is_none() {
        return Some(Reaper::start().expect("a folder"));
    }
    let programs = programs::ensure().unwrap_or_else(|error| panic!("{error}"));
    for program in Program::ALL {
        println!("\n{}", programs.path(program).display());
    }
    None
}

fn rerun(test: &str, folder: &Path) -> Command {
    let mut path = folder.join("bin").into_os_string();
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    let mut command = play::again(module_path!(), test, "builder");
    command
        .env_remove("KUBEBUILDER_ASSETS")
        .env("WAVEGATE_CACHE", folder.join("cache"))
        .env("CALLS", folder.join("calls"))
        .env("PATH", path);
    command
}

fn fake_go(folder: &Path, script: &str) {
    let go = folder.join("bin/go");
    fs::create_dir(folder.join("bin")).expect("a folder");
    fs::write(&go, script).expect("a file");
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).expect("an executable file");
}

fn read(path: &PathBuf) -> String {
    fs::read_to_string(path).expect("what was written")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
