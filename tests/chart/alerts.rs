//! The expressions of the alerts and of the dashboard, on what a running wavegate tells a real Prometheus.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Server, chart, eventually};
use crate::rig::{installed, objects, registered};

/// Labels that a scrape gives, not wavegate.
const OF_THE_SCRAPE: [&str; 3] = ["job", "instance", "pod"];

fn alerts() -> PathBuf {
    chart::folder().join("files/alerts.yaml")
}

/// The rules of the alerts.
fn rules() -> Vec<Value> {
    let text = std::fs::read_to_string(alerts()).unwrap();
    let groups = objects(&text).remove(0);
    groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

/// The dashboard's expressions, with its only variable that is not a data source put in.
fn panels() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(chart::folder().join("files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
            assert!(!expression.contains('$'), "{title}: {expression}");
            // Its legend is filled in by labels, as an alert's description is.
            let legend = target["legendFormat"].as_str().unwrap();
            let legend = legend.replace("{{", "{{ $labels.");
            found.push((format!("{title}: {legend}"), expression));
        }
    }
    found
}

fn promtool(arguments: &[&str]) -> Command {
    let mut promtool = Command::new("promtool");
    promtool.args(arguments);
    promtool
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// A Prometheus that scrapes wavegate every second and evaluates the alerts.
struct Prometheus {
    address: String,
    _server: Server,
}

impl Prometheus {
    fn start(target: &str) -> Self {
        let (control_plane, _) = installed();
        let folder = control_plane.directory().join("prometheus");
        std::fs::create_dir_all(&folder).unwrap();
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n\
             - job_name: wavegate\n  honor_labels: true\n  static_configs:\n  - targets: ['{target}']\n    \
             labels: {{pod: wavegate-0, namespace: wavegate}}\n",
            alerts().display()
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let server = control_plane.spawn("prometheus", command).expect("Prometheus starts");
        Self { address, _server: server }
    }

    /// The series that an expression has, as JSON.
    fn query(&self, expression: &str) -> Value {
        let url = format!("http://{}", self.address);
        let mut query = promtool(&["query", "instant", "--format=json", &url, expression]);
        let text = succeeds(&mut query);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{expression}: {error}: {text}"))
    }

    fn has(&self, expression: &str) -> bool {
        !self.query(expression).as_array().unwrap().is_empty()
    }
}

/// The selectors of an expression, each a metric with its matchers.
fn selectors(expression: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (start, _) in expression.match_indices("wavegate_").chain(expression.match_indices("up{")) {
        if expression[..start].ends_with(is_name) {
            continue;
        }
        let rest = &expression[start..];
        let mut end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if rest[end..].starts_with('{') {
            end += rest[end..].find('}').unwrap() + 1;
        }
        found.push(&rest[..end]);
    }
    found
}

/// What stands between an opening and the next closing mark, split at commas, for every occurrence.
fn lists<'a>(text: &'a str, opening: &str, closing: char) -> BTreeSet<&'a str> {
    text.match_indices(opening)
        .filter_map(|(start, _)| text[start + opening.len()..].split(closing).next())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|label| !label.is_empty())
        .collect()
}

/// The labels that an expression groups by or passes over, and those that its text is filled in with.
fn labels<'a>(expression: &'a str, text: &'a str) -> BTreeSet<&'a str> {
    let mut labels = BTreeSet::new();
    for opening in ["by (", "without (", "ignoring (", "on ("] {
        labels.extend(lists(expression, opening, ')'));
    }
    labels.extend(
        lists(text, "$labels.", '}')
            .into_iter()
            .map(|label| label.split([' ', '|']).next().unwrap()),
    );
    labels
}

#[test]
fn every_expression_is_about_metrics_and_labels_that_exist() {
    let (control_plane, wavegate) = registered();
    // A denial and a warning, so that what is only counted when it happens has happened.
    let warned = control_plane.namespace("warned", &[("wavegate.dev/mode", "warn")]);
    warned.kubectl().args(["create", "--filename=examples/bad/wg101-no-backoff-limit.yaml"]).ok();
    let namespace = control_plane.namespace("alerts", &[("wavegate.dev/mode", "enforce")]);
    let create = ["create", "--filename=examples/bad/wg101-no-backoff-limit.yaml"];
    assert!(namespace.kubectl().args(create).run().stderr.contains("WG101"));
    let prometheus = Prometheus::start(wavegate.health());
    eventually("Prometheus has scraped wavegate", Duration::from_mins(1), || {
        let mut query = promtool(&["query", "instant", "--format=json"]);
        query
            .arg(format!("http://{}", prometheus.address))
            .arg("wavegate_decisions_total{verdict=\"denied\",dry_run=\"false\"}");
        let output = query.output().ok()?;
        String::from_utf8_lossy(&output.stdout).contains("alerts").then_some(())
    });
    let alerts = rules().into_iter().map(|rule| {
        let text = format!("{} {}", rule["alert"], rule["annotations"]);
        (text, rule["expr"].as_str().unwrap().to_owned())
    });
    let mut count = 0;
    for (text, expression) in alerts.chain(panels()) {
        // Whether or not anything fires, it can be evaluated.
        prometheus.query(&expression);
        let selectors = selectors(&expression);
        assert!(!selectors.is_empty(), "{text} {expression}");
        for selector in &selectors {
            assert!(prometheus.has(selector), "no series {selector}: {text}");
            count += 1;
        }
        for label in labels(&expression, &text) {
            let with_label = |selector: &&str| match selector.split_once('{') {
                Some((name, rest)) => prometheus.has(&format!("{name}{{{label}!=\"\",{rest}")),
                None => prometheus.has(&format!("{selector}{{{label}!=\"\"}}")),
            };
            let exists = OF_THE_SCRAPE.contains(&label) || selectors.iter().any(with_label);
            assert!(exists, "no label {label}: {text} {expression}");
        }
    }
    assert!(count > 40, "only {count} selectors were looked at");
    assert!(!prometheus.has("ALERTS{alertstate=\"firing\"}"), "an alert fires for nothing");
}

/// Promtool reads Prometheus' older format, in which the comments on a counter have its whole name.
fn as_text(metrics: &str) -> String {
    let counters: BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::new();
    for line in metrics.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF") {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", keyword, name, rest] if counters.contains(name) => {
                writeln!(text, "# {keyword} {name}_total {rest}").unwrap();
            }
            _ => writeln!(text, "{line}").unwrap(),
        }
    }
    text
}

#[test]
fn promtool_finds_nothing_in_the_metrics_and_the_alerts() {
    succeeds(&mut promtool(&["check", "rules", alerts().to_str().unwrap()]));
    let (_, wavegate) = installed();
    let answer = wavegate.get("/metrics");
    let (_, metrics) = answer.split_once("\r\n\r\n").expect("a body");
    let mut check = promtool(&["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    check.stdin.take().unwrap().write_all(as_text(metrics).as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

/// An incident: the alert that it raises, and series as promtool writes them, one sample a minute.
const INCIDENTS: [(&str, &[(&str, &str)]); 18] = [
    ("WavegateDown", &[(r#"up{job="wavegate",pod="a"}"#, "1x5 _x40")]),
    ("WavegateReplicaDown", &[(UP, "1x40"), (r#"up{job="wavegate",pod="b"}"#, "0x40")]),
    (
        "WavegateCertificateExpires",
        // Promtool's time begins at 0.
        &[
            (UP, "1x120"),
            (r#"wavegate_certificate_not_after_timestamp_seconds{pod="a"}"#, "500000x120"),
        ],
    ),
    (
        "WavegateAuthorityExpires",
        &[(UP, "1x120"), (r#"wavegate_ca_not_after_timestamp_seconds{pod="a"}"#, "2000000x120")],
    ),
    (
        "WavegateCertificateNotRotated",
        &[
            (UP, "1x120"),
            (
                r#"wavegate_certificate_rotations_total{kind="leaf",pod="a",result="failed"}"#,
                "0+1x120",
            ),
        ],
    ),
    (
        "WavegateAuthorityNotPublished",
        &[
            (UP, "1x120"),
            (r#"wavegate_ca_not_after_timestamp_seconds{pod="a"}"#, "150000000x120"),
            (r#"wavegate_ca_bundle_current{pod="a"}"#, "0x120"),
        ],
    ),
    (
        "WavegateCertificateNotReloaded",
        &[
            (UP, "1x120"),
            (r#"wavegate_certificate_reloads_total{pod="a",result="failed"}"#, "0x55 1x60"),
        ],
    ),
    (
        "WavegateHandshakesFail",
        &[
            (UP, "1x120"),
            (r#"wavegate_tls_handshake_failures_total{cause="failed",pod="a"}"#, "0+5x120"),
        ],
    ),
    ("WavegatePanics", &[(UP, "1x120"), (r#"wavegate_panics_total{pod="a"}"#, "0x50 1x70")]),
    (
        "WavegateDecidesWithoutCluster",
        &[(UP, "1x120"), (r#"wavegate_unconfirmed_decisions_total{pod="a"}"#, "0x55 2x60")],
    ),
    (
        "WavegateOverloaded",
        &[(UP, "1x120"), (r#"wavegate_refused_total{pod="a",reason="concurrency"}"#, "0+3x120")],
    ),
    (
        "WavegateSlow",
        &[
            (UP, "1x120"),
            (
                r#"wavegate_request_duration_seconds_bucket{endpoint="validate_enforce",le="1.0"}"#,
                "0+90x120",
            ),
            (
                r#"wavegate_request_duration_seconds_bucket{endpoint="validate_enforce",le="5.0"}"#,
                "0+100x120",
            ),
            (
                r#"wavegate_request_duration_seconds_bucket{endpoint="validate_enforce",le="+Inf"}"#,
                "0+100x120",
            ),
        ],
    ),
    (
        "WavegateFails",
        &[
            (UP, "1x120"),
            (
                r#"wavegate_requests_total{endpoint="validate_enforce",pod="a",status="5xx"}"#,
                "0+1x120",
            ),
        ],
    ),
    (
        "WavegateWatchLost",
        &[(UP, "1x120"), (r#"wavegate_watch_connected{pod="a",resource="jobs"}"#, "1x5 0x120")],
    ),
    (
        "WavegateRecordsNotWritten",
        &[
            (UP, "1x120"),
            (r#"wavegate_record_writes_total{pod="a",result="failed"}"#, "0+1x120"),
            (r#"wavegate_record_writes_pending{pod="a"}"#, "2x120"),
        ],
    ),
    (
        "WavegatePolicyInvalid",
        &[(UP, "1x120"), (r#"wavegate_policy_invalid{pod="a"}"#, "0x5 1x120")],
    ),
    (
        "WavegateExemptionExpires",
        &[(UP, "1x120"), (r#"wavegate_exemptions{pod="a",state="expiring"}"#, "1x120")],
    ),
    (
        "WavegateOverrideUsed",
        &[(UP, "1x120"), (r#"wavegate_overrides_used_total{kind="bypass",pod="a"}"#, "0x55 1x60")],
    ),
];

const UP: &str = r#"up{job="wavegate",pod="a"}"#;

/// An hour later exactly its own alert fires.
#[test]
fn every_alert_fires_at_its_incident_and_no_other() {
    let names: Vec<_> =
        rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, INCIDENTS.map(|(alert, _)| alert), "every alert has its incident");
    let mut tests =
        format!("rule_files: [{}]\nevaluation_interval: 1m\ntests:\n", alerts().display());
    for (alert, series) in INCIDENTS {
        let minutes =
            if alert == "WavegateDown" || alert == "WavegateReplicaDown" { 20 } else { 61 };
        tests.push_str("- interval: 1m\n  input_series:\n");
        for (series, values) in series {
            writeln!(tests, "  - {{series: '{series}', values: '{values}'}}").unwrap();
        }
        writeln!(
            tests,
            "  promql_expr_test:\n  - expr: count by (alertname) (ALERTS{{alertstate=\"firing\"}})\n    \
             eval_time: {minutes}m\n    exp_samples: [{{labels: '{{alertname=\"{alert}\"}}', value: 1}}]"
        )
        .unwrap();
    }
    let file = installed().0.directory().join("alerts.test.yaml");
    std::fs::write(&file, tests).unwrap();
    succeeds(&mut promtool(&["test", "rules", file.to_str().unwrap()]));
}

/// Who is woken by an alert finds what to do.
#[test]
fn every_alert_has_a_runbook() {
    let page = std::fs::read_to_string(Path::new("docs/alerts.md")).unwrap();
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        for field in ["summary", "description"] {
            assert!(
                rule["annotations"][field].as_str().is_some_and(|text| text.len() > 20),
                "{alert}"
            );
        }
        let url = format!("https://wavegate.dev/alerts#{}", alert.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], *url);
        assert!(
            page.contains(&format!("\n## {alert}\n")),
            "docs/alerts.md says nothing of {alert}"
        );
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{alert}");
    }
}
