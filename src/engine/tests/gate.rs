//! The gate's place in a decision: dry runs, questions, doubts, and what a way back is let off.

use super::*;
use crate::cluster::sample::{Sample, at};
use crate::cluster::{Reading, WorkloadFacts};
use crate::domain::manifest::PodTemplate;
use crate::domain::role::MigrationPhase;
use crate::policy::OnUnknown;

/// v1 migrated and runs.
pub(super) fn state() -> ClusterState {
    let mut state = ClusterState::default();
    state.attempts_mut().observe_record(Sample::new("m1", "v1").succeeded(30).attempt());
    state
}

pub(super) fn app(tag: &str) -> Value {
    let mut object = deployment("0");
    object["metadata"]["labels"] = json!({});
    object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("shop/api:{tag}"));
    object
}

fn decide(request: &Request, state: &ClusterState, policy: &Policy, mode: Mode) -> Decision {
    let body = request.body();
    evaluate(&decode(&body).unwrap(), state, policy, mode, at(1000))
}

fn codes(decision: &Decision) -> Vec<String> {
    let findings = decision.findings.iter();
    findings.map(|finding| format!("{} {}", finding.effect().name(), finding.code())).collect()
}

fn confirmed(state: &ClusterState) -> ClusterState {
    let records = state.attempts().iter().map(|s| s.attempt().clone()).collect();
    state.confirmed("shop", Reading { records, ..Reading::default() })
}

#[test]
fn nobody_is_asked_but_before_a_denial_or_a_first_install_and_then_once() {
    let policy = Policy::default();
    let held = Request::update(app("v1"), app("v2"));
    let first = decide(&held, &state(), &policy, Mode::Enforce);
    let question = first.question.clone().expect("a question");
    assert_eq!(question.namespace, "shop");
    assert_eq!(question.revisions_of.unwrap().name, "api");
    let second = decide(&held, &confirmed(&state()), &policy, Mode::Enforce);
    assert_eq!((codes(&second), second.question.is_none()), (vec!["deny WG302".to_owned()], true));
    let passing = [
        Request::update(app("v1"), app("v1")),
        Request::create(app("v1")),
        Request { dry_run: true, ..Request::update(app("v1"), app("v2")) },
    ];
    for request in passing {
        assert!(decide(&request, &state(), &policy, Mode::Enforce).question.is_none());
    }
    assert!(decide(&held, &state(), &policy, Mode::Warn).question.is_none());
    // The watches may not have told of its first migration yet.
    let first = Request::create(deployment("0"));
    let nothing = ClusterState::default();
    let asked =
        |mode, state: &ClusterState| decide(&first, state, &policy, mode).question.is_some();
    assert!(asked(Mode::Enforce, &nothing) && !asked(Mode::Warn, &nothing));
    assert!(!asked(Mode::Enforce, &confirmed(&nothing)));
    let unread = decide(&first, &nothing.unconfirmed("no answer"), &policy, Mode::Enforce);
    assert!(unread.is_allowed() && unread.question.is_none());
}

#[test]
fn a_dry_run_is_warned_of_what_has_not_happened_yet() {
    let mut policy = Policy::default();
    let dry = |field_manager| Request {
        dry_run: true,
        field_manager,
        ..Request::update(app("v1"), app("v2"))
    };
    let found = |policy: &Policy, manager| {
        codes(&decide(&dry(manager), &confirmed(&state()), policy, Mode::Enforce))
    };
    assert_eq!(found(&policy, "kubectl"), ["warn WG302"]);
    policy.denied_dry_runs = vec!["ci".to_owned(), "argocd-controller".to_owned()];
    assert_eq!(found(&policy, "ci"), ["deny WG302"]);
    assert_eq!(found(&policy, "kubectl"), ["warn WG302"]);
    assert_eq!(found(&policy, "argocd-controller"), ["warn WG302"], "it would never migrate");
    let asks = decide(&dry("ci"), &state(), &policy, Mode::Enforce);
    assert!(asks.question.is_some(), "what may be refused is asked about");
}

#[test]
fn where_the_cluster_does_not_answer_the_policy_decides() {
    let mut policy = Policy::default();
    let held = Request::update(app("v1"), app("v2"));
    let dark = state().unconfirmed("the API server did not answer within 1 s");
    let refused = decide(&held, &dark, &policy, Mode::Enforce);
    assert_eq!(codes(&refused), ["deny WG302"]);
    let said = refused.findings[0].message();
    assert!(said.contains("did not answer within 1 s, which is not your fault"), "{said}");
    policy.on_unknown = OnUnknown::Warn;
    assert_eq!(codes(&decide(&held, &dark, &policy, Mode::Enforce)), ["warn WG302"]);
    // Rules about the object itself go on.
    let mut floating = app("latest");
    floating["metadata"]["labels"] = json!({"wavegate.dev/app": "shop"});
    let found = codes(&decide(&Request::create(floating), &dark, &policy, Mode::Enforce));
    assert!(found.contains(&"deny WG303".to_owned()), "{found:?}");
}

#[test]
fn a_way_back_is_never_barred_by_how_the_workload_is_written() {
    let policy = Policy::default();
    let mut state = state();
    state
        .attempts_mut()
        .observe_record(Sample::new("m2", "v2").created(100).succeeded(130).attempt());
    let to = |tag: &str| {
        let mut object = app(tag);
        object["metadata"]["labels"] = json!({"wavegate.dev/app": "shop"});
        object["spec"]["template"]["spec"]["containers"][0]
            .as_object_mut()
            .unwrap()
            .remove("readinessProbe");
        object
    };
    let mut good = app("v2");
    good["metadata"]["labels"] = json!({"wavegate.dev/app": "shop"});
    let back = Request::update(good.clone(), to("v1"));
    assert_eq!(codes(&decide(&back, &state, &policy, Mode::Enforce)), ["warn WG502"]);
    let same = Request::update(good, to("v2"));
    assert_eq!(codes(&decide(&same, &state, &policy, Mode::Enforce)), ["deny WG502"]);
}

/// A proven image beside a floating one proves nothing about the latter.
#[test]
fn a_floating_tag_is_refused_beside_a_proven_image() {
    let worker = || json!({"name": "worker", "image": "shop/api:latest"});
    let found = |change: &dyn Fn(&mut Value)| {
        let mut with_latest = app("v1");
        change(&mut with_latest["spec"]["template"]["spec"]);
        let request = Request::update(app("v1"), with_latest);
        codes(&decide(&request, &confirmed(&state()), &Policy::default(), Mode::Enforce))
    };
    let first = found(&|pod| pod["containers"].as_array_mut().unwrap().insert(0, worker()));
    let last = found(&|pod| pod["containers"].as_array_mut().unwrap().push(worker()));
    let init = found(&|pod| pod["initContainers"] = json!([worker()]));
    for found in [first, last, init] {
        assert_eq!(found, ["deny WG303"]);
    }
}

#[test]
fn what_is_deleted_scaled_or_annotated_is_not_judged() {
    let policy = Policy::default();
    let with = |pointer: &str, value: Value| {
        let mut object = app("v1");
        *object.pointer_mut(pointer).unwrap() = value;
        object
    };
    let annotated = with("/metadata/labels", json!({"team": "x"}));
    let mut deleted = app("v2");
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
    let mut scaled = app("v1");
    scaled["spec"]["replicas"] = json!(9);
    for object in [annotated, deleted, scaled] {
        let request = Request::update(app("v1"), object);
        assert_eq!(codes(&decide(&request, &confirmed(&state()), &policy, Mode::Enforce)), [""; 0]);
    }
}

/// A declared contract as it is created, stamped.
fn contract() -> Request {
    let mut job = job();
    job["metadata"]["labels"]["wavegate.dev/phase"] = json!("contract");
    job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("shop/api:v2");
    let (_, stamped) = mutated(&job, Mode::Enforce);
    Request::create(stamped)
}

#[test]
fn a_contract_asks_what_runs_now() {
    let policy = Policy::default();
    let first = decide(&contract(), &state(), &policy, Mode::Enforce);
    assert!(first.question.is_some_and(|question| question.running));
    let pod = |tag: &str| {
        let json = format!(
            r#"{{"metadata":{{"name":"p"}},"spec":{{"containers":[{{"name":"api","image":"shop/api:{tag}"}}]}}}}"#
        );
        let pod: PodTemplate<'_> = serde_json::from_str(&json).unwrap();
        let reading = Reading {
            running: vec![WorkloadFacts::of_pod(&pod, "shop", None)],
            records: vec![Sample::new("m1", "v1").succeeded(30).attempt()],
            ..Reading::default()
        };
        codes(&decide(&contract(), &state().confirmed("shop", reading), &policy, Mode::Enforce))
    };
    assert_eq!(pod("v1"), ["deny WG307"]);
    assert_eq!(pod("v2"), [""; 0]);
    let dark = state().unconfirmed("no answer");
    assert_eq!(codes(&decide(&contract(), &dark, &policy, Mode::Enforce)), ["deny WG307"]);
    let dry = Request { dry_run: true, ..contract() };
    assert_eq!(codes(&decide(&dry, &dark, &policy, Mode::Enforce)), ["warn WG307"]);
}

#[test]
fn a_second_attempt_is_refused_only_while_the_first_runs() {
    let policy = Policy::default();
    let (_, stamped) = mutated(&job(), Mode::Enforce);
    let again = Request::create(stamped);
    let attempt = |sample: Sample| {
        let attempt =
            sample.repository("example.com/shop/api").with(|a| a.migration.command.clear());
        let mut state = ClusterState::default();
        state.attempts_mut().observe_job(attempt.attempt());
        confirmed_jobs(&state)
    };
    let running = attempt(Sample::new("a", "v1"));
    assert_eq!(codes(&decide(&again, &running, &policy, Mode::Enforce)), ["deny WG304"]);
    let failed = attempt(Sample::new("a", "v1").failed(30));
    assert_eq!(codes(&decide(&again, &failed, &policy, Mode::Enforce)), [""; 0]);
    let other = attempt(Sample::new("a", "v1").named("billing"));
    assert_eq!(codes(&decide(&again, &other, &policy, Mode::Enforce)), [""; 0]);
    let contract_phase = attempt(Sample::new("a", "v1").phase(MigrationPhase::Contract, true));
    assert_eq!(codes(&decide(&again, &contract_phase, &policy, Mode::Enforce)), ["deny WG304"]);
}

/// Its Deployment may follow a migration before the watches have told of it.
#[test]
fn what_follows_a_migration_at_once_asks_for_it() {
    let policy = Policy::default();
    let (_, mut job) = mutated(&job(), Mode::Enforce);
    job["metadata"]["uid"] = json!("u-1");
    job["metadata"]["creationTimestamp"] = json!("1970-01-01T00:16:40Z");
    let begun = |request: &Request| begun(&decode(&request.body()).unwrap());
    let attempt = begun(&Request::create(job.clone())).expect("an attempt");
    assert_eq!((attempt.facts.key.namespace.as_str(), attempt.uid.as_str()), ("shop", "u-1"));
    assert!(begun(&Request { dry_run: true, ..Request::create(job.clone()) }).is_none());
    assert!(begun(&Request::update(job.clone(), job.clone())).is_none());
    assert!(begun(&Request::create(deployment("0"))).is_none());
    assert!(begun(&Request::create(super::job())).is_none(), "it has no UID yet");

    let mut lagging = ClusterState::default();
    lagging.let_through(attempt.clone(), at(990));
    let mut app = deployment("0");
    app["metadata"]["labels"] = json!({});
    let decide = |object: &Value, state: &ClusterState| {
        decide(&Request::create(object.clone()), state, &policy, Mode::Enforce)
    };
    let asks = decide(&app, &lagging);
    assert!(asks.question.is_some() && asks.is_allowed(), "it is only asked");
    // Where nobody is asked, nothing is said of what may not be.
    let warned = super::gate::decide(&Request::create(app.clone()), &lagging, &policy, Mode::Warn);
    assert_eq!((codes(&warned), warned.question.is_none()), (vec![], true));
    let dry = Request { dry_run: true, ..Request::create(app.clone()) };
    let dry = super::gate::decide(&dry, &lagging, &policy, Mode::Enforce);
    assert_eq!((codes(&dry), dry.question.is_none()), (vec![], true));
    // Another app's migration makes no history of this one.
    let mut other = deployment("0");
    other["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.com/cart/api:v1");
    assert!(decide(&other, &lagging).question.is_some(), "a first install is asked about");
    let reading = |jobs: Vec<_>| lagging.confirmed("shop", Reading { jobs, ..Reading::default() });
    let held = decide(&app, &reading(vec![attempt.clone()]));
    assert_eq!(codes(&held), ["deny WG302"]);
    assert!(held.findings[0].message().contains("still runs"), "{}", held.findings[0].message());
    // Something else refused the Job: nobody migrates.
    assert_eq!(codes(&decide(&app, &reading(Vec::new()))), [""; 0]);
    let dark = decide(&app, &lagging.unconfirmed("no answer"));
    assert_eq!(codes(&dark), ["deny WG302"], "nobody knows");

    let mut second = job;
    second["metadata"]["name"] = json!("shop-migrate-7c9d2f");
    second["metadata"]["uid"] = json!("u-2");
    assert!(decide(&second, &lagging).question.is_some());
    let settled = decide(&second, &reading(Vec::new()));
    assert!(settled.is_allowed(), "{:?}", codes(&settled));
    let refused = decide(&second, &reading(vec![attempt]));
    assert_eq!(codes(&refused), ["deny WG304"]);
}

fn confirmed_jobs(state: &ClusterState) -> ClusterState {
    let jobs = state.attempts().iter().map(|s| s.attempt().clone()).collect();
    state.confirmed("shop", Reading { jobs, ..Reading::default() })
}
