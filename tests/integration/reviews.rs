//! Requests recorded from a real API server: decoded as kube decodes them, and decided.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use kube_core::DynamicObject;
use kube_core::admission::{AdmissionRequest, AdmissionReview, Operation as KubeOperation};
use serde_json::Value;
use wavegate::admission::{Operation, Subject, answer_mutation, answer_validation, decode};
use wavegate::cluster::ClusterState;
use wavegate::engine::{Mode, evaluate, mutate};
use wavegate::policy::{Finding, Fixes, Policy};

fn recorded() -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/fixtures/reviews")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .collect();
    files.sort();
    assert!(files.len() >= 140, "{} recorded requests", files.len());
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn kube_request(body: &[u8]) -> AdmissionRequest<DynamicObject> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body).unwrap();
    review.try_into().unwrap()
}

#[test]
fn every_recorded_request_decodes_as_kube_decodes_it() {
    for (path, body) in recorded() {
        let ours = decode(&body).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let theirs = kube_request(&body);
        assert_eq!(ours.uid, theirs.uid, "{}", path.display());
        let operation = match theirs.operation {
            KubeOperation::Create => Operation::Create,
            KubeOperation::Update => Operation::Update,
            KubeOperation::Delete => Operation::Delete,
            KubeOperation::Connect => Operation::Connect,
        };
        assert_eq!(ours.operation, operation, "{}", path.display());
        assert_eq!(ours.kind, theirs.kind.kind, "{}", path.display());
        assert_eq!(ours.namespace, theirs.namespace.unwrap_or_default(), "{}", path.display());
        assert_eq!(Some(&*ours.username), theirs.user_info.username.as_deref());
        assert_eq!(ours.dry_run, theirs.dry_run, "{}", path.display());
        if !theirs.name.is_empty() {
            assert_eq!(ours.name, theirs.name, "{}", path.display());
        }
        let readable = !matches!(ours.subject, Subject::Unreadable(_));
        assert!(readable, "{}: {:?}", path.display(), ours.subject);
    }
}

/// The recorded manifests break no rule that denies: nothing that a controller or Argo CD does by itself is
/// ever refused. Only stamps are missing, since no mutating webhook answered when they were recorded.
#[test]
fn nothing_recorded_is_refused_and_every_answer_is_a_review() {
    let (policy, state) = (Policy::default(), ClusterState::default());
    for (path, body) in recorded() {
        let admission = decode(&body).unwrap();
        let decision = evaluate(&admission, &state, &policy, Mode::Enforce, Timestamp::UNIX_EPOCH);
        assert!(decision.is_allowed(), "{}: {:?}", path.display(), decision.findings);
        let mutation = mutate(&admission, &policy, Mode::Enforce);
        for answer in [
            answer_validation(&admission, &decision, &policy).unwrap(),
            answer_mutation(&admission, &mutation).unwrap(),
        ] {
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
            assert_eq!(answer["response"]["uid"], kube_request(&body).uid);
            assert_eq!(answer["response"]["allowed"], true);
        }
    }
}

/// Recorded runners only echo their command, so none is a migration. With the echo taken away they are, and
/// the whole way from mutation to validation stays clean.
#[test]
fn recorded_jobs_that_really_migrate_are_stamped_and_admitted() {
    let mut filling = Policy::default();
    filling.fixes = Fixes {
        no_retries: true,
        deadline_seconds: Some(300),
        replace_failed_only: true,
        do_not_evict: true,
    };
    for policy in [Policy::default(), filling] {
        let migrations = migrations_that_are_stamped(&policy);
        assert!(migrations >= 8, "{migrations}");
    }
}

fn migrations_that_are_stamped(policy: &Policy) -> usize {
    let mut migrations = 0;
    for (path, body) in recorded() {
        let text = String::from_utf8(body).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.contains("mutate-create-jobs") || !text.contains("echo manage.py migrate; sleep 2")
        {
            continue;
        }
        let text = text.replace("echo manage.py migrate; sleep 2", "exec python manage.py migrate");
        let admission = decode(text.as_bytes()).unwrap();
        let mutation = mutate(&admission, policy, Mode::Enforce);
        let mut review: Value = serde_json::from_str(&text).unwrap();
        let object = review.pointer_mut("/request/object").unwrap();
        json_patch::patch(object, &mutation.patch).unwrap();
        let admitted = review.to_string();
        let admission = decode(admitted.as_bytes()).unwrap();
        let Subject::Job(job) = &admission.subject else { panic!("{name} holds no Job") };
        assert!(job.recognition.is_migration(), "{}", path.display());
        assert!(mutate(&admission, policy, Mode::Enforce).patch.0.is_empty());
        let decision = evaluate(
            &admission,
            &ClusterState::default(),
            policy,
            Mode::Enforce,
            Timestamp::UNIX_EPOCH,
        );
        let codes: Vec<&str> = decision.denials().map(Finding::code).collect();
        // Those without a hook, a wave or a deadline say so; none is untracked.
        assert!(!codes.contains(&"WG310"), "{}: {codes:?}", path.display());
        let fixes = policy.fixes.no_retries;
        assert!(!(fixes && codes.contains(&"WG102")), "{}: {codes:?}", path.display());
        migrations += 1;
    }
    migrations
}
