//! Servers, ports and kubectl.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cluster::{self, ControlPlane, eventually};
use crate::play;

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_taken_port_is_given_up_for_another() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = other.local_addr().expect("its address").port();
    let mut proposals = Vec::new();
    let control_plane = ControlPlane::start_on(|| {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let port = if proposals.is_empty() { taken } else { free };
        proposals.push(port);
        Ok(port)
    });
    let control_plane = control_plane.unwrap_or_else(|error| panic!("{error}"));
    control_plane.kubectl().args(["get", "--raw=/readyz"]).ok();
    assert!(proposals.len() > 1);
    assert_eq!(control_plane.servers().len(), 5);
}

#[test]
fn the_api_server_can_be_restarted() {
    let mut control_plane = ControlPlane::start().unwrap_or_else(|error| panic!("{error}"));
    let create = ["create", "configmap", "kept", "--namespace=default"];
    control_plane.kubectl().args(create).ok();
    let pid = |control_plane: &ControlPlane| {
        let mut servers = control_plane.servers().iter();
        servers.find(|server| server.name() == "kube-apiserver").map(cluster::Server::pid)
    };
    let before = pid(&control_plane);
    control_plane.restart_api_server();
    assert_ne!(pid(&control_plane), before);
    control_plane.kubectl().args(["get", "configmap", "kept", "--namespace=default"]).ok();
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    if play::role().is_some() {
        // The API server refuses port 0, and tells so in its log only.
        let error = ControlPlane::start_on(|| Ok(0)).expect_err("a start on port 0");
        println!("{error}");
        return;
    }
    let child =
        play::again(module_path!(), "a_start_that_fails_says_why_and_leaves_nothing", "any")
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary once more");
    let prefix = format!("wavegate-{}-", child.id());
    let output = child.wait_with_output().expect("its output");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("kube-apiserver ended during the start"), "{stdout}");
    assert!(stdout.contains("--secure-port"), "{stdout}");
    let left: Vec<_> = fs::read_dir(env::temp_dir())
        .expect("the temporary directory")
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| name.to_string_lossy().starts_with(&prefix))
        .collect();
    assert_eq!(left, Vec::<OsString>::new());
}

#[test]
fn a_server_can_be_watched_signalled_and_stopped() {
    let control_plane = cluster::shared();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap 'echo bye >&2; exit 3' TERM; echo hello; while :; do sleep 0.1; done"]);
    let mut server = control_plane.spawn("greeter", command).expect("sh");
    eventually("the server says hello", BOUND, || server.log().contains("hello").then_some(()));
    assert_eq!(server.log_path(), control_plane.directory().join("greeter.log"));
    assert!(server.try_wait().expect("its state").is_none());

    server.signal("TERM").expect("a running server takes signals");
    let status = eventually("the server ends", BOUND, || server.try_wait().expect("its state"));
    assert_eq!(status.code(), Some(3));
    assert_eq!(server.log(), "hello\nbye\n");
    assert_eq!(server.signal("TERM").expect_err("it has ended").kind(), io::ErrorKind::NotFound);
    assert_eq!(server.stop().expect("its status").code(), Some(3));

    let mut command = Command::new("sleep");
    command.arg("1000");
    let mut server = control_plane.spawn("sleeper", command).expect("sleep");
    assert_eq!(server.stop().expect("its status").signal(), Some(9));

    let error = control_plane.spawn("none", Command::new("/nonexistent/program"));
    let error = error.expect_err("no such program").to_string();
    assert!(error.contains("/nonexistent/program"), "{error}");
}

#[test]
fn kubectl_is_bounded_and_tells_what_failed() {
    let kubectl = || cluster::shared().kubectl();
    let watch = kubectl().args(["get", "namespaces", "--watch"]).within(Duration::from_secs(2));
    let error = watch.try_run().expect_err("a watch has no end");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let output = kubectl().args(["get", "configmap", "none"]).namespace("default").run();
    assert!(!output.status.success());
    assert!(output.stderr.contains(r#"configmaps "none" not found"#), "{output:?}");

    let failure = std::panic::catch_unwind(|| kubectl().args(["get", "unicorns"]).ok());
    let failure = failure.expect_err("there are no unicorns");
    let text = failure.downcast_ref::<String>().expect("a formatted panic");
    assert!(text.contains("kubectl get unicorns") && text.contains("resource type"), "{text}");
}
