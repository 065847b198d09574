//! `wavegate why --review`: recorded requests, decided once more without a cluster.

use std::fs;

use serde_json::Value;

use crate::cli::{json, run, stderr, stdout, with_input};

const DEPLOYMENT: &str =
    "tests/fixtures/reviews/kubectl-create/08-validate-create-deployments.json";
const DELETION: &str = "tests/fixtures/reviews/misc/11-mutate-delete-jobs.json";
const JOB: &str = "tests/fixtures/reviews/argo-ssd-sync/10-mutate-create-jobs.json";

/// The recorded Job with the echo before its migration taken away.
fn migration() -> String {
    let text = fs::read_to_string(JOB).unwrap();
    text.replace("echo manage.py migrate; sleep 2", "exec python manage.py migrate")
}

/// The same as the mutating webhook leaves it, by the patch that `why` prints.
fn mutated(review: &str) -> String {
    let replay = json(&with_input(&["why", "--review", "-", "-o", "json"], review));
    let patch: json_patch::Patch =
        serde_json::from_value(replay["mutation"]["patch"].clone()).unwrap();
    let mut review: Value = serde_json::from_str(review).unwrap();
    json_patch::patch(review.pointer_mut("/request/object").unwrap(), &patch).unwrap();
    review.to_string()
}

#[test]
fn a_recorded_request_that_was_let_through_is_let_through() {
    let output = run(&["why", "--review", DEPLOYMENT]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    assert!(text.starts_with("CREATE of Deployment kc/api by admin"), "{text}");
    assert!(text.contains("VERDICT: admitted") && text.contains("no cluster was asked"), "{text}");
    let output = run(&["why", "--review", DELETION]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("no rules for such a request"), "{}", stdout(&output));
}

#[test]
fn a_denial_has_its_findings_and_the_words_of_the_webhook() {
    let broken = mutated(&migration()).replace(r#""backoffLimit":0"#, r#""backoffLimit":3"#);
    let output = with_input(&["why", "--review", "-"], &broken);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = stdout(&output);
    for part in [
        "VERDICT: denied",
        "Job shop/db-migrate (migration: runs",
        "denied: WG101",
        "set backoffLimit: 0",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let warned = with_input(&["why", "--review", "-", "--mode", "warn", "-o", "json"], &broken);
    assert_eq!(warned.status.code(), Some(0), "{warned:?}");
    let replay = json(&warned);
    let finding = &replay["verdict"]["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&"WG101".into(), &"warn".into()));
    for field in ["path", "message", "help", "docs"] {
        assert!(finding[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
}

/// What the mutating webhook was sent is untracked as it stands, and is admitted with what that adds.
#[test]
fn a_job_tells_what_the_mutation_adds() {
    let hook = r#""argocd.argoproj.io/hook":"PreSync","#;
    let database = format!(r#"{hook}"wavegate.dev/database":"db:5432","#);
    let review = migration().replacen(hook, &database, 1);
    let output = with_input(&["why", "--review", "-"], &review);
    let text = stdout(&output);
    for part in
        ["role migration (strong)", "MUTATION", "stamp.wavegate.dev", "was added to this migration"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("WG310") && text.contains("VERDICT with that added: admitted"), "{text}");
    let admitted = mutated(&review);
    let replay = with_input(&["why", "--review", "-", "-o", "json"], &admitted);
    assert_eq!(replay.status.code(), Some(0), "{replay:?}");
    assert_eq!(json(&replay)["mutation"]["patch"].as_array().map(Vec::len), Some(0));
}

#[test]
fn what_is_no_review_cannot_be_told() {
    let cases = [
        (r#"{"kind":"Pod"}"#, "<stdin>: the body is a Pod, want an AdmissionReview"),
        ("kind: Pod", "<stdin>: the body is no AdmissionReview"),
        (r#"{"apiVersion":"admission.k8s.io/v1"}"#, "has no request"),
    ];
    for (body, want) in cases {
        let output = with_input(&["why", "--review", "-"], body);
        assert_eq!(output.status.code(), Some(2), "{body}: {output:?}");
        assert!(stderr(&output).contains(want), "{body}: {}", stderr(&output));
    }
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let cases: [(&[&str], &str); 7] = [
        (&["why"], "required"),
        (&["why", "--review", "no-such-file.json"], "cannot read no-such-file.json"),
        (&["why", "api"], "deployment/NAME"),
        (&["why", "pod/api"], "\"pod\" is none of"),
        (&["why", "deploy/api", "--review", DEPLOYMENT], "cannot be used with"),
        (&["why", "deploy/api", "--mode", "warn"], "cannot be used with"),
        (
            &["why", "deploy/api", "--kubeconfig", "no-such-file"],
            "cannot use the kubeconfig no-such-file",
        ),
    ];
    for (arguments, want) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(want), "{arguments:?}: {}", stderr(&output));
    }
}
