//! What it costs to know much: memory per attempt, and the time of a decision beside thousands of attempts that are
//! none of its business.

use std::fs;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use serde_json::json;
use wavegate::cluster::{Attempt, ClusterState};
use wavegate::domain::record::{RecordSpec, RecordStatus};
use wavegate::policy::Policy;
use wavegate::server::webhook::{Cluster, Endpoint, Webhook};
use wavegate::server::{Decide as _, Metrics, RequestSpan, Step};

/// Attempts whose Jobs exist and have their records.
const RECORDS: usize = 10_000;
const APPS: usize = 250;
const NAMESPACES: usize = 50;
const ROUNDS: usize = 41;
const DECISIONS: usize = 400;

/// Of the body that is decided on: its namespace, its app's image and the releases that it goes from and to.
pub(crate) const NAMESPACE: &str = "kc";
const IMAGE: &str = "registry.example.com/shop/api";
const RELEASES: [&str; 2] = ["v1.4.0", "v1.5.0"];

/// Fills states and prints what they take.
pub(crate) fn measure(body: &[u8]) {
    // The code that fills a state is loaded once, however many records there are.
    drop(others("elsewhere", 10));
    let before = resident();
    let elsewhere = others("elsewhere", RECORDS);
    let each = (resident() - before) * 1024.0 / f64::from(u32::try_from(RECORDS).expect("small"));
    println!(
        "state: {RECORDS} Jobs and their records, {each:.0} bytes a record (wanted: at most 1024)"
    );
    let nothing = ClusterState::default();
    let without = ratio(body, &elsewhere, &nothing);
    println!(
        "  a decision in a namespace without attempts: {without:.2} of one beside nothing (wanted: at most 1.10)"
    );
    drop(elsewhere);
    let beside = others(NAMESPACE, RECORDS);
    let unrelated = ratio(body, &beside, &nothing);
    println!(
        "  a decision beside other apps' attempts in its namespace: {unrelated:.2} of one beside nothing"
    );
    let mut both = beside;
    add_own(&mut both);
    let gated = ratio(body, &both, &own());
    println!(
        "  a decision that the gate allows beside all: {gated:.2} of one beside its own app's (wanted: at most 1.10)"
    );
}

/// The median of the rounds' ratios; rounds alternate between the two.
fn ratio(body: &[u8], loaded: &ClusterState, light: &ClusterState) -> f64 {
    let webhooks = [loaded, light].map(|state| {
        let cluster =
            Cluster { state: Arc::new(RwLock::new(state.clone())), live: None, announce: None };
        Webhook::new(Policy::default(), cluster, Arc::new(Metrics::new()))
    });
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let [loaded, light] = webhooks.each_ref().map(|webhook| {
            let start = Instant::now();
            for _ in 0..DECISIONS {
                let step =
                    webhook.answer(Endpoint::ValidateEnforce, body, &mut RequestSpan::default());
                assert!(matches!(step, Step::Answer(_)), "nothing is to be asked");
            }
            start.elapsed().as_secs_f64()
        });
        ratios.push(loaded / light);
    }
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Attempts of many apps in many namespaces, and of a few apps in this one.
fn others(home: &str, records: usize) -> ClusterState {
    let mut state = ClusterState::default();
    for number in 0..records {
        let app = number % APPS;
        let namespace =
            if app < 5 { home.to_owned() } else { format!("team-{}", app % NAMESPACES) };
        let (image, release) =
            (format!("registry.example.com/app-{app}/api"), format!("v1.{number}.0"));
        let mut job = attempt(&namespace, &image, &release, number);
        let (spec, status) = (job.record_spec(), job.record_status());
        // Only the record has read it from the pod.
        job.image_id = None;
        state.attempts_mut().observe_job(job);
        // As a watcher reads it.
        let spec: RecordSpec = again(&spec);
        let status: RecordStatus = again(&status);
        let record = Attempt::of_record(&namespace, spec, Some(status));
        state.attempts_mut().observe_record(record);
    }
    state
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_value(serde_json::to_value(value).expect("JSON")).expect("the same")
}

/// What is known where the app itself is all there is.
pub(crate) fn own() -> ClusterState {
    let mut state = ClusterState::default();
    add_own(&mut state);
    state
}

/// Twenty attempts of the app itself, as retention leaves them.
fn add_own(state: &mut ClusterState) {
    let older = (0..18).map(|number| format!("v1.3.{number}"));
    for (number, release) in older.chain(RELEASES.map(str::to_owned)).enumerate() {
        state.attempts_mut().observe_record(attempt(NAMESPACE, IMAGE, &release, 100_000 + number));
    }
}

/// A migration Job that has completed, read from the JSON that the API server has of it.
fn attempt(namespace: &str, image: &str, release: &str, number: usize) -> Attempt {
    let minute =
        format!("2026-11-{:02}T{:02}:{:02}", 1 + number / 1440 % 28, number / 60 % 24, number % 60);
    let job = json!({
        "metadata": {
            "name": format!("shop-migrate-{number:08x}"), "namespace": namespace,
            "uid": format!("3f2a9c41-0d6e-4b7a-9f10-{number:012x}"),
            "creationTimestamp": format!("{minute}:00Z"),
            "labels": {"app.kubernetes.io/instance": "shop-production"},
            "annotations": {
                "argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-1",
                "stamp.wavegate.dev/creator": "system:serviceaccount:argocd:argocd-application-controller",
            },
        },
        "spec": {"template": {"spec": {"containers": [{
            "name": "migrate", "image": format!("{image}:{release}"), "command": ["python", "manage.py", "migrate"],
        }]}}},
        "status": {
            "startTime": format!("{minute}:01Z"), "completionTime": format!("{minute}:31Z"),
            "conditions": [{"type": "Complete", "status": "True", "reason": "CompletionsReached"}],
        },
    });
    let mut attempt = Attempt::of_job(&job.to_string()).expect("a Job").expect("that migrates");
    attempt.image_id = Some(format!("{image}@sha256:{number:064x}"));
    attempt
}

/// Resident memory of this process in KiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
