//! The program as users run it, in an environment without their settings.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn wavegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavegate"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    wavegate(arguments).output().unwrap()
}

pub(crate) fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = wavegate(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn exit_statuses_tell_clean_denied_and_could_not() {
    let cases: [(&[&str], i32); 9] = [
        (&["check", "examples/shop"], 0),
        (&["check", "examples/warn"], 0),
        (&["check", "--fail-on", "warn", "examples/warn"], 1),
        (&["check", "examples/bad/wg101-no-backoff-limit.yaml"], 1),
        (&["check", "examples/bad"], 1),
        (&["check", "no-such-file.yaml"], 2),
        (&["check"], 2),
        (&["explain", "WG999"], 2),
        (&["rules"], 0),
    ];
    for (arguments, want) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(want), "{arguments:?}: {output:?}");
    }
}

#[test]
fn json_findings_have_every_field() {
    let output =
        run(&["check", "-o", "json", "-n", "shop", "examples/bad/wg101-backoff-limit-3.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!(report["version"], 1);
    assert_eq!(report["summary"]["denials"], 1);
    let finding = &report["findings"][0];
    let fields = [
        ("code", "WG101"),
        ("name", "retries-enabled"),
        ("severity", "deny"),
        ("kind", "Job"),
        ("namespace", "shop"),
        ("object", "shop-migrate"),
        ("path", "spec.backoffLimit"),
        ("file", "examples/bad/wg101-backoff-limit-3.yaml"),
    ];
    for (field, want) in fields {
        assert_eq!(finding[field], want, "{field}");
    }
    assert_eq!(finding["line"], 11);
    for field in ["message", "help", "docs"] {
        assert!(finding[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
}

#[test]
fn json_jobs_tell_role_reason_and_pairs() {
    let report = json(&run(&["check", "-o", "json", "examples/shop"]));
    let jobs = report["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 2, "{jobs:#?}");
    let migration = jobs.iter().find(|job| job["object"] == "shop-migrate").unwrap();
    assert_eq!(migration["role"], "migration");
    assert_eq!(migration["confidence"], "strong");
    assert_eq!(migration["phase"], "expand");
    assert!(migration["reason"].as_str().unwrap().contains("manage.py migrate"));
    assert_eq!(migration["pairs"][0]["object"], "shop-api");
    assert!(migration["pairs"][0]["reason"].as_str().unwrap().contains("repository"));
    let verification = jobs.iter().find(|job| job["object"] == "shop-verify").unwrap();
    assert_eq!(verification["role"], "verification");
}

#[test]
fn standard_input_is_a_bundle() {
    let bad = std::fs::read_to_string("examples/bad/wg105-suspended.yaml").unwrap();
    let output = with_input(&["check", "-"], &bad);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("error[WG105]"), "{}", stdout(&output));
    assert!(stdout(&output).contains("<stdin>:"), "{}", stdout(&output));
}

#[test]
fn yaml_is_read_as_helm_and_the_api_server_read_it() {
    let text = r"
apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: Job
    metadata:
      name: shop-migrate
      annotations: &notes
        argocd.argoproj.io/hook: PreSync
    spec:
      backoffLimit: 3
      backoffLimit: 0
      activeDeadlineSeconds: 0454
      suspend: null
      template:
        metadata:
          annotations: *notes
        spec:
          restartPolicy: Never
          containers:
            - name: migrate
              image: registry.example.com/shop/api:v1
              command: [python, manage.py, migrate]
              envFrom: [{secretRef: {name: shop}}]
  - {apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {on: yes}}
";
    let output = with_input(&["check", "-o", "json", "-"], text);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["summary"]["objects"], 2);
    assert_eq!(report["findings"].as_array().unwrap().len(), 0, "{report:#}");
    let notice = report["notices"][0]["message"].as_str().unwrap();
    assert!(notice.contains("backoffLimit"), "{notice}");
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    let cases = [
        ("Error: the chart has failed\n", "no Kubernetes object"),
        ("kind: Job\nmetadata: {name: m}\n", "apiVersion"),
        ("a: [1, 2", "<stdin>"),
        ("kind: Job\n  bad: indent\n", "<stdin>"),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m}\nspec:\n  backoffLimit: three\n",
            "spec.backoffLimit",
        ),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: m\n  annotations:\n    argocd.argoproj.io/sync-wave: -1\n",
            "string",
        ),
    ];
    for (text, want) in cases {
        let output = with_input(&["check", "-"], text);
        assert_eq!(output.status.code(), Some(2), "{text}: {output:?}");
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains(want) && said.contains("<stdin>:"), "{text}: {said}");
    }
}

/// What a broken pipe or a failed `helm template` leaves must not be green.
#[test]
fn nothing_to_check_is_no_success() {
    for text in ["", "---\n# nothing\n", "null\n"] {
        let output = with_input(&["check", "-"], text);
        assert_eq!(output.status.code(), Some(2), "{text:?}: {output:?}");
        assert!(stderr(&output).contains("holds no object"), "{}", stderr(&output));
    }
}

#[test]
fn rules_and_explain_print_text_and_json() {
    assert!(stdout(&run(&["rules"])).starts_with("WG101  deny  retries-enabled"));
    let rules = json(&run(&["rules", "-o", "json"]));
    assert_eq!(rules[0]["code"], "WG101");
    for name in ["WG101", "wg101", "retries-enabled"] {
        let output = run(&["explain", name]);
        assert!(stdout(&output).starts_with("# WG101: retries-enabled\n"), "{name}");
    }
    let explained = json(&run(&["explain", "WG101", "--output", "json"]));
    assert!(explained["docs"].as_str().unwrap().contains("backoffLimit"));
    assert!(stderr(&run(&["explain", "WG999"])).contains("wavegate rules"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = wavegate(&["check", "examples/bad"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[cfg(feature = "serve")]
#[test]
fn a_server_without_a_certificate_hears_of_both_ways_to_one() {
    for (arguments, wanted) in [
        (&["serve"][..], &["--tls-cert <TLS_CERT>|--managed-certificates"][..]),
        (&["serve", "--tls-cert", "tls.crt"], &["--tls-key <TLS_KEY>"]),
        (&["serve", "--tls-key", "tls.key"], &["--tls-cert <TLS_CERT>"]),
        (&["serve", "--managed-certificates", "--tls-key", "k"], &["cannot be used with"]),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        for wanted in wanted {
            assert!(stderr(&output).contains(wanted), "{arguments:?}: {}", stderr(&output));
        }
    }
}
