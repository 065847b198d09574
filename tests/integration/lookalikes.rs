//! Jobs that look like migrations and are none: they pass untouched.

use std::fs;

use jiff::Timestamp;
use wavegate::admission::Admission;
use wavegate::check::check;
use wavegate::check::load::Source;
use wavegate::cluster::ClusterState;
use wavegate::engine::{Mode, evaluate, mutate};
use wavegate::policy::Policy;

/// Files under `tests/fixtures/lookalikes`, each the reason for a test of its own in the table.
const LOOKALIKES: &[&str] = &[
    "alembic-history.yaml",
    "certificate-generation.yaml",
    "cron-job-report.yaml",
    "migrate-check.yaml",
    "post-delete-cleanup.yaml",
    "storage-version-migration.yaml",
    "wait-until-migrated.yaml",
];

#[test]
fn every_file_is_in_the_table() {
    let mut files: Vec<String> = fs::read_dir("tests/fixtures/lookalikes")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, LOOKALIKES);
}

#[test]
fn lookalikes_pass_untouched() {
    let policy = Policy::default();
    for name in LOOKALIKES {
        let text = fs::read_to_string(format!("tests/fixtures/lookalikes/{name}")).unwrap();
        let source = Source::new(*name, text);
        for document in source.documents.as_ref().unwrap() {
            let json = document.value.to_string();
            let kind = document.value["kind"].as_str().unwrap();
            let admission = Admission::of_manifest("batch", kind, "shop", &json);
            let mutation = mutate(&admission, &policy, Mode::Enforce);
            assert!(mutation.patch.0.is_empty(), "{name} is changed: {:?}", mutation.patch);
            let decision = evaluate(
                &admission,
                &ClusterState::default(),
                &policy,
                Mode::Enforce,
                Timestamp::UNIX_EPOCH,
            );
            assert!(decision.findings.is_empty(), "{name}: {:?}", decision.findings);
            assert!(decision.notices.is_empty(), "{name}: {:?}", decision.notices);
        }
        let report = check(&[source], &policy, "shop");
        assert!(report.findings.is_empty() && report.errors.is_empty(), "{name}");
    }
}
