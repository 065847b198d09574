//! What `check` writes for other programs, read as those read it.

use quick_junit::{NonSuccessKind, TestCaseStatus};
use serde_json::Value;

use crate::cli::{json, run, stdout, with_input};

/// The standard's, from <https://github.com/oasis-tcs/sarif-spec>.
const SCHEMA: &str = include_str!("../fixtures/sarif-schema-2.1.0.json");

/// Two Jobs, one of them unreadable, something that is no object, and a field that is set twice.
const BROKEN: &str = r#"apiVersion: batch/v1
kind: Job
metadata: {name: "a <&> \"b\"", annotations: {argocd.argoproj.io/hook: PreSync}}
spec:
  activeDeadlineSeconds: 300
  backoffLimit: 1
  backoffLimit: 3
  template:
    spec:
      restartPolicy: Never
      containers: [{name: m, image: "shop/api:v1", command: [manage.py, migrate], envFrom: [{secretRef: {name: s}}]}]
---
no: object
---
apiVersion: batch/v1
kind: Job
metadata: {generateName: unreadable-}
spec: {backoffLimit: three}
"#;

/// The JSON report of some arguments, and another one's text.
fn both(format: &str, arguments: &[&str], input: &str) -> (Value, String) {
    let of = |format: &str| {
        let arguments = [&["check", "-o", format], arguments].concat();
        let output = with_input(&arguments, input);
        (output.status.code(), output)
    };
    let ((status, plain), (other_status, other)) = (of("json"), of(format));
    assert_eq!(status, other_status, "{arguments:?}");
    (json(&plain), stdout(&other).to_owned())
}

fn sarif(arguments: &[&str], input: &str) -> (Value, Value) {
    let (report, text) = both("sarif", arguments, input);
    let log: Value = serde_json::from_str(&text).unwrap();
    // The standard's schema has one pattern that is no regular expression: a bracket is not opened.
    let schema: Value = serde_json::from_str(&SCHEMA.replace("{2}]?$", "{2}$")).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&log).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new(), "{log:#}");
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    (report, log["runs"][0].clone())
}

#[test]
fn sarif_has_every_finding_at_its_place() {
    let (report, run) = sarif(&["examples/bad", "examples/warn"], "");
    let (findings, results) = (report["findings"].as_array(), run["results"].as_array());
    let (findings, results) = (findings.unwrap(), results.unwrap());
    assert_eq!(findings.len(), results.len());
    assert!(findings.len() > 30, "{}", findings.len());
    for (finding, result) in findings.iter().zip(results) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        let rule = &run["tool"]["driver"]["rules"][index];
        let level = if finding["severity"] == "deny" { "error" } else { "warning" };
        assert_eq!(result["ruleId"], finding["code"]);
        assert_eq!(rule["id"], finding["code"]);
        assert_eq!(rule["helpUri"], finding["docs"]);
        assert_eq!(result["level"], level);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], finding["file"]);
        assert_eq!(place["region"]["startLine"], finding["line"]);
        assert_eq!(place["region"]["startColumn"], finding["column"]);
        let message = result["message"]["text"].as_str().unwrap();
        for field in ["kind", "namespace", "object", "path", "message", "help"] {
            assert!(message.contains(finding[field].as_str().unwrap()), "{field}: {message}");
        }
    }
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let mut ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rules.len(), "each rule once");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn sarif_marks_what_is_written_and_says_what_could_not_be_checked() {
    let (_, run) = sarif(&["-"], BROKEN);
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "stdin");
    let (region, line) = (&place["region"], "  backoffLimit: 3");
    assert_eq!(region["startLine"], 7, "{run:#}");
    assert_eq!(
        (&region["startColumn"], &region["endColumn"]),
        (&3.into(), &(line.len() + 1).into())
    );
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let told = invocation["toolExecutionNotifications"].as_array().unwrap();
    let levels: Vec<&str> = told.iter().map(|one| one["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "error", "note"], "{told:#?}");
}

#[test]
fn sarif_suppresses_what_is_exempted() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.yaml");
    std::fs::write(
        &policy,
        r#"{apiVersion: wavegate.dev/v1alpha1, kind: RolloutPolicy, metadata: {name: default}, spec: {exemptions: [
            {rule: WG101, namespace: default, name: shop-migrate, reason: "until the move", expires: "2999-12-31"}]}}"#,
    )
    .unwrap();
    let policy = policy.to_str().unwrap();
    let file = "examples/bad/wg101-backoff-limit-3.yaml";
    for (arguments, want) in
        [(vec![file], vec![]), (vec!["--policy", policy, file], vec!["until the move"])]
    {
        let (_, run) = sarif(&arguments, "");
        let suppressions = run["results"][0]["suppressions"].as_array().unwrap();
        let reasons: Vec<&str> =
            suppressions.iter().map(|one| one["justification"].as_str().unwrap()).collect();
        assert_eq!(reasons, want);
    }
}

#[test]
fn junit_has_a_test_for_each_object() {
    let paths = ["examples/bad", "examples/warn", "examples/shop"];
    for (arguments, counted) in [(&[][..], "denials"), (&["--fail-on", "warn"][..], "findings")] {
        let arguments = [arguments, &paths].concat();
        let (report, xml) = both("junit", &arguments, "");
        let junit = quick_junit::Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(
            junit.tests,
            usize::try_from(report["summary"]["objects"].as_u64().unwrap()).unwrap()
        );
        let failed = |finding: &&Value| counted == "findings" || finding["severity"] == "deny";
        let findings: Vec<&Value> = report["findings"].as_array().unwrap().iter().collect();
        let codes = |failing: bool| {
            let kept = findings.iter().filter(|finding| failed(finding) == failing);
            let mut codes: Vec<String> = kept
                .map(|f| {
                    format!(
                        "{}:{} {}",
                        f["file"].as_str().unwrap(),
                        f["line"],
                        f["code"].as_str().unwrap()
                    )
                })
                .collect();
            codes.sort();
            codes
        };
        let (mut failures, mut warnings) = (Vec::new(), Vec::new());
        for suite in &junit.test_suites {
            let file = suite.name.as_str();
            let coded = |line: &str| {
                let mut parts = line.splitn(3, ':');
                let (line, _) = (parts.next().unwrap(), parts.next());
                let code = parts.next().unwrap().split_whitespace().next().unwrap();
                format!("{file}:{line} {code}")
            };
            for case in &suite.test_cases {
                assert_eq!(case.classname.as_ref().unwrap().as_str(), file);
                if let TestCaseStatus::NonSuccess { kind, description, .. } = &case.status {
                    assert_eq!(*kind, NonSuccessKind::Failure);
                    failures.extend(description.as_ref().unwrap().as_str().lines().map(coded));
                }
                let output = case.system_out.as_ref().map_or("", |output| output.as_str());
                warnings.extend(output.lines().map(coded));
            }
        }
        failures.sort();
        warnings.sort();
        assert!(failures.len() > 20, "{}", failures.len());
        assert_eq!(failures, codes(true), "{counted}");
        assert_eq!(warnings, codes(false), "{counted}");
    }
}

#[test]
fn junit_tells_an_error_from_a_failure() {
    let (_, xml) = both("junit", &["-"], BROKEN);
    let junit = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((junit.tests, junit.failures, junit.errors), (3, 1, 2), "{xml}");
    let [suite] = &junit.test_suites[..] else { panic!("{xml}") };
    assert_eq!((suite.name.as_str(), suite.tests, suite.failures), ("<stdin>", 3, 1));
    let notices = suite.system_out.as_ref().unwrap().as_str();
    assert!(notices.contains("7:3: `backoffLimit` was set on line 6"), "{notices}");
    let cases = suite.test_cases.iter().map(|case| {
        let TestCaseStatus::NonSuccess { kind, ty, .. } = &case.status else { panic!("{xml}") };
        (case.name.as_str(), *kind, ty.as_ref().unwrap().as_str())
    });
    let failure = (r#"Job default/a <&> "b""#, NonSuccessKind::Failure, "WG101");
    let unreadable = ("Job default/unreadable-*", NonSuccessKind::Error, "could not be checked");
    let nothing = ("13:1", NonSuccessKind::Error, "could not be checked");
    assert_eq!(cases.collect::<Vec<_>>(), [failure, unreadable, nothing]);
}

#[test]
fn github_gets_an_annotation_for_each_finding() {
    let (report, text) = both("github", &["examples/bad", "examples/warn"], "");
    let findings = report["findings"].as_array().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), findings.len() + 1, "{text}");
    for (finding, line) in findings.iter().zip(&lines) {
        let level = if finding["severity"] == "deny" { "error" } else { "warning" };
        let text = |field: &str| finding[field].as_str().unwrap();
        let start = format!(
            "::{level} file={},line={},col={},title={} {}::{} {}/{}: {} ",
            text("file"),
            finding["line"],
            finding["column"],
            text("code"),
            text("name"),
            text("kind"),
            text("namespace"),
            text("object"),
            text("path"),
        );
        assert!(line.starts_with(&start), "{line}\n{start}");
        assert!(line.ends_with(text("docs")), "{line}");
    }
    let plain = run(&["check", "examples/bad", "examples/warn"]);
    assert_eq!(
        lines.last(),
        stdout(&plain).lines().last().as_ref(),
        "the same count as for people"
    );
}

#[test]
fn github_is_told_of_no_file_that_it_does_not_have() {
    let (_, text) = both("github", &["-"], BROKEN);
    let starts: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once("::")?.1)).collect();
    let starts: Vec<&str> =
        starts.iter().filter_map(|line| Some(line.split_once("::")?.0)).collect();
    let could_not = "error title=could not be checked";
    assert_eq!(
        starts,
        [could_not, could_not, "error title=WG101 retries-enabled", "notice title=wavegate"],
        "{text}"
    );
}

/// By another name a file is none of the repository's to those who read a report.
#[test]
fn files_are_named_as_the_repository_names_them() {
    let written = "examples/bad/wg101-backoff-limit-3.yaml";
    let odd = [
        "./examples/bad//wg101-backoff-limit-3.yaml",
        "././examples/./bad/wg101-backoff-limit-3.yaml",
    ];
    for format in ["text", "json", "github", "sarif", "junit"] {
        let of = |file: &str| stdout(&run(&["check", "-o", format, file])).to_owned();
        for file in odd {
            assert_eq!(of(file), of(written), "{format} {file}");
        }
    }
}

/// A reader of SARIF takes braces for placeholders, and one of JUnit keeps one test of a name.
#[test]
fn what_readers_take_for_something_else_is_written_otherwise() {
    let job = |backoff_limit: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{generateName: m-, labels: {{wavegate.dev/role: migration}}, annotations: \
             {{argocd.argoproj.io/hook: '{{0}}'}}}}\nspec: {{backoffLimit: {backoff_limit}}}\n---\n"
        )
    };
    let text = job("1") + &job("2");
    let (report, run) = sarif(&["-"], &text);
    let results = run["results"].as_array().unwrap().iter();
    let result = results.clone().find(|result| result["ruleId"] == "WG202").unwrap();
    let message = result["message"]["text"].as_str().unwrap();
    assert!(message.contains("`{{0}}`"), "{message}");
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["code"] == "WG202").unwrap();
    assert!(finding["message"].as_str().unwrap().contains("`{0}`"), "{finding:#}");

    let (_, xml) = both("junit", &["-"], &text);
    let junit = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let cases = junit.test_suites[0].test_cases.iter();
    let names: Vec<&str> = cases.map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["Job default/m-* (1:1)", "Job default/m-* (6:1)"]);
}
