//! The documentation's examples and those under `examples/`, executed.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use wavegate::admission::decode;
use wavegate::check::load::Source;
use wavegate::check::{Report, check, yaml};
use wavegate::cluster::ClusterState;
use wavegate::engine::{Mode, evaluate, mutate};
use wavegate::policy::docs::{Example, Expectation, Form};
use wavegate::policy::rules::RULES;
use wavegate::policy::{Effect, Policy, Rule, Severity};

/// The default policy with a rule switched on that is off by default.
fn policy_for(rule: &Rule) -> Policy {
    let mut policy = Policy::default();
    if rule.severity == Severity::Off {
        policy.set_severity(rule.code, Severity::Warn);
        policy.upstream = Some("staging".to_owned());
    }
    policy
}

fn codes_of(report: &Report) -> Vec<String> {
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    report.findings.iter().map(|checked| checked.finding.code().to_owned()).collect()
}

/// A review as an API server sends it to the validating webhook.
fn review(operation: &str, object: &Value, old: Option<&Value>) -> Vec<u8> {
    let request = json!({
        "uid": "0", "operation": operation, "namespace": "shop", "object": object, "oldObject": old,
        "kind": {"group": "batch", "version": "v1", "kind": "Job"},
    });
    let review =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    review.to_string().into_bytes()
}

/// The object after the mutating webhook.
fn mutated(object: &Value, policy: &Policy) -> Value {
    let body = review("CREATE", object, None);
    let mutation = mutate(&decode(&body).unwrap(), policy, Mode::Enforce);
    let mut object = object.clone();
    json_patch::patch(&mut object, &mutation.patch).unwrap();
    object
}

fn run(rule: &Rule, example: &Example) -> Vec<String> {
    let policy = policy_for(rule);
    let values: Vec<Value> = yaml::documents(&example.yaml)
        .unwrap_or_else(|error| panic!("{}: {error:?}", rule.code))
        .into_iter()
        .map(|document| document.value)
        .collect();
    let body = match (example.form, values.as_slice()) {
        (Form::Bundle, _) => {
            let source = Source::new("example", example.yaml.clone());
            return codes_of(&check(&[source], &policy, "shop"));
        }
        (Form::AsSent, [object]) => review("CREATE", object, None),
        (Form::Admitted, [object]) => review("CREATE", &mutated(object, &policy), None),
        (Form::Update, [old, new]) => review("UPDATE", new, Some(old)),
        (form, _) => panic!("{}: {} documents in a {form:?} example", rule.code, values.len()),
    };
    let admission = decode(&body).unwrap();
    let decision = evaluate(
        &admission,
        &ClusterState::default(),
        &policy,
        Mode::Enforce,
        Timestamp::UNIX_EPOCH,
    );
    decision.findings.iter().map(|finding| finding.code().to_owned()).collect()
}

#[test]
fn each_rule_raises_its_rejected_example_alone_and_accepts_the_other() {
    for rule in RULES {
        for example in rule.examples() {
            let mut found = run(rule, &example);
            found.dedup();
            match example.expectation {
                Expectation::Rejected => assert_eq!(found, [rule.code], "{}", rule.code),
                Expectation::Accepted => assert_eq!(found, [""; 0], "{}", rule.code),
            }
        }
    }
}

fn report(path: &Path) -> Report {
    let text = fs::read_to_string(path).unwrap();
    let source = Source::new(path.display().to_string(), text);
    check(&[source], &Policy::default(), "shop")
}

fn files(directory: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_good_manifests_have_no_finding_together_or_alone() {
    let sources: Vec<Source> = files("examples/shop")
        .iter()
        .map(|path| Source::new(path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect();
    assert_eq!(codes_of(&check(&sources, &Policy::default(), "shop")), [""; 0]);
    for path in files("examples/shop") {
        assert_eq!(codes_of(&report(&path)), [""; 0], "{}", path.display());
    }
}

/// The file's name tells the one code that refuses it.
#[test]
fn each_bad_manifest_is_refused_by_its_own_code_alone() {
    let bad = files("examples/bad");
    assert!(bad.len() >= 20, "{} bad variants", bad.len());
    for path in bad {
        let name = path.file_name().unwrap().to_str().unwrap();
        let want = name.split('-').next().unwrap().to_uppercase();
        let report = report(&path);
        let denied: Vec<&str> = report
            .findings
            .iter()
            .filter(|checked| checked.finding.effect() == Effect::Deny)
            .map(|checked| checked.finding.code())
            .collect();
        assert_eq!(denied, [want.as_str()], "{name}");
    }
}

#[test]
fn the_same_jobs_without_the_role_only_warn() {
    for path in files("examples/warn") {
        let report = report(&path);
        assert_eq!(report.count(Effect::Deny), 0, "{}", path.display());
        assert!(codes_of(&report).contains(&"WG201".to_owned()), "{}", path.display());
    }
}

/// `check` reads overrides beside records, as it reads the others: each example lets through what is held without it.
#[test]
fn overrides_in_a_bundle_are_heard() {
    let record = |outcome: &str| {
        format!(
            r#"{{"apiVersion":"wavegate.dev/v1alpha1","kind":"MigrationRecord","metadata":{{"name":"a"}},"spec":{{
            "app":"example.com/shop/api","migration":"shop-migrate","release":"v2","image":"example.com/shop/api:v2",
            "phase":"expand","confidence":"strong","hooks":["PreSync"],
            "job":{{"name":"shop-migrate","uid":"a","created":"2026-11-24T10:00:00Z"}}}},
            "status":{{"outcome":"{outcome}","completionTime":"2026-11-24T10:00:09Z"}}}}"#
        )
    };
    let app = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"shop-api"},"spec":{"template":{"spec":{
        "containers":[{"name":"api","image":"example.com/shop/api:v2"}]}}}}"#;
    let denied = |outcome: &str, example: Option<&str>| {
        let read = |kind| fs::read_to_string(format!("examples/overrides/{kind}.yaml")).unwrap();
        let example = example.map(read).unwrap_or_default();
        let text = format!("{}\n---\n{app}\n---\n{example}", record(outcome));
        let report = check(&[Source::new("bundle", text)], &Policy::default(), "default");
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        let denies = |effect: Effect| effect == Effect::Deny;
        report.findings.iter().any(|checked| denies(checked.finding.effect()))
    };
    assert!(denied("Failed", None) && !denied("Succeeded", None));
    for kind in ["bypass", "attest", "retire"] {
        assert!(!denied("Failed", Some(kind)), "{kind}");
    }
    assert!(denied("Succeeded", Some("invalidate")));
}
