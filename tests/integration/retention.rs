//! Whatever happened, and wherever pruning is interrupted: no record's removal lets a release through that was held,
//! and none holds a release that runs.

use jiff::Timestamp;
use proptest::prelude::*;
use wavegate::cluster::retention::{LiveReleases, Retention, prunable};
use wavegate::cluster::{Attempt, Attempts, ClusterState, Sighting};
use wavegate::domain::outcome::Outcome;
use wavegate::domain::record::{
    RecordConfidence, RecordJob, RecordPairing, RecordPhase, RecordSpec, RecordStatus,
};
use wavegate::domain::workload::{Workload, WorkloadKind};
use wavegate::policy::Policy;
use wavegate::policy::gate::{Change, Verdict, judge};

const START: i64 = 1_800_000_000;
const RELEASES: u8 = 5;

/// One attempt: its release, which migration, what it does, how it ended, and from where a contract is safe.
#[derive(Clone, Debug)]
struct Past {
    release: u8,
    migration: u8,
    phase: RecordPhase,
    outcome: Outcome,
    safe_from: Option<u8>,
    /// What pairs it besides its image.
    tie: Tie,
    /// Seconds that it took; those of the others may overlap.
    took: i64,
}

/// What pairs an attempt or a workload besides its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tie {
    Nothing,
    App,
    Application(&'static str),
}

const TIES: [Tie; 4] = [Tie::Nothing, Tie::App, Tie::Application("one"), Tie::Application("two")];

fn past() -> impl Strategy<Value = Past> {
    let phase = prop_oneof![
        8 => Just(RecordPhase::Expand),
        1 => Just(RecordPhase::Contract),
        1 => Just(RecordPhase::Revert),
    ];
    let outcome = prop_oneof![
        6 => Just(Outcome::Succeeded),
        3 => Just(Outcome::Failed),
        1 => Just(Outcome::Unknown),
    ];
    let safe_from = prop::option::of(1..=RELEASES);
    // Mostly one way of pairing, as in a namespace.
    let tie = prop_oneof![5 => Just(Tie::Nothing), 1 => prop::sample::select(&TIES[..])];
    (1..=RELEASES, 0..2_u8, phase, outcome, safe_from, tie, 1..25_i64).prop_map(
        |(release, migration, phase, outcome, safe_from, tie, took)| {
            let safe_from = safe_from.filter(|_| phase == RecordPhase::Contract);
            Past { release, migration, phase, outcome, safe_from, tie, took }
        },
    )
}

fn attempt(number: usize, past: &Past) -> Attempt {
    let created = START + 10 * i64::try_from(number).expect("few");
    let at = |second| Timestamp::from_second(second).expect("a time of our century");
    let spec = RecordSpec {
        app: "shop/api".to_owned(),
        migration: format!("{:?}-{}", past.phase, past.migration),
        release: format!("v{}", past.release),
        image: Some(format!("shop/api:v{}", past.release)),
        phase: past.phase,
        phase_declared: true,
        contract_safe_from: past.safe_from.map(|release| format!("v{release}")),
        confidence: RecordConfidence::Explicit,
        pairing: RecordPairing {
            app: (past.tie == Tie::App).then(|| "shop".to_owned()),
            application: match past.tie {
                Tie::Application(name) => Some(name.to_owned()),
                Tie::Nothing | Tie::App => None,
            },
            ..RecordPairing::default()
        },
        job: RecordJob {
            name: format!("job-{number}"),
            uid: format!("uid-{number:02}"),
            created: at(created),
            creator: None,
        },
        ..RecordSpec::default()
    };
    let status = RecordStatus {
        outcome: past.outcome,
        reason: None,
        start_time: Some(at(created)),
        completion_time: Some(at(created + past.took)),
        duration: None,
        image_id: None,
        failure: None,
    };
    Attempt::of_record("shop", spec, Some(status))
}

/// Whether each release may run, from v1 on, in a workload of each way of pairing.
fn allowed(attempts: &Attempts) -> Vec<bool> {
    let mut state = ClusterState::default();
    *state.attempts_mut() = attempts.clone();
    let now = Timestamp::from_second(START + 10_000).expect("a time of our century");
    let policy = Policy::default();
    let may_run = |release: u8, tie: Tie| {
        let metadata = match tie {
            Tie::Nothing => String::new(),
            Tie::App => r#","labels":{"wavegate.dev/app":"shop"}"#.to_owned(),
            Tie::Application(name) => format!(
                r#","annotations":{{"argocd.argoproj.io/tracking-id":"{name}:apps/Deployment:shop/api"}}"#
            ),
        };
        let json = format!(
            r#"{{"metadata":{{"name":"api"{metadata}}},"spec":{{"template":{{"spec":{{"containers":[
                {{"name":"api","image":"shop/api:v{release}"}}]}}}}}}}}"#
        );
        let manifest = serde_json::from_str(&json).expect("a Deployment");
        let workload = Workload::read(WorkloadKind::Deployment, manifest);
        let change = Change { new: &workload, old: None, namespace: "shop" };
        judge(change, &state, &policy, now).iter().all(|judgement| {
            judgement.verdict.is_proof()
                || matches!(judgement.verdict, Verdict::NotMigrated | Verdict::FirstInstall)
        })
    };
    (1..=RELEASES).flat_map(|release| TIES.map(|tie| may_run(release, tie))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn pruning_changes_no_verdict_for_the_better_and_none_of_what_runs(
        history in prop::collection::vec(past(), 1..20),
        live in prop::collection::btree_set(1..=RELEASES, 0..3),
        successes in 0..4_usize,
        failures in 0..3_usize,
    ) {
        let mut attempts = Attempts::default();
        for (number, past) in history.iter().enumerate() {
            attempts.observe_record(attempt(number, past));
        }
        let mut releases = LiveReleases::default();
        for release in &live {
            releases.named(&format!("v{release}"));
        }
        let before = allowed(&attempts);
        let all: Vec<&Sighting> = attempts.of_namespace("shop").collect();
        let gone = prunable(&all, &[], &releases, Retention { successes, failures });
        let mut left = attempts.clone();
        for sighting in gone {
            let uid = &sighting.attempt().uid;
            left.forget_record("shop", uid);
            let after = allowed(&left);
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                let release = u8::try_from(index / TIES.len()).expect("few") + 1;
                prop_assert!(*before || !after, "v{release} was held, and without {uid} is not");
                if live.contains(&release) {
                    prop_assert!(!*before || after, "v{release} runs, and without {uid} is held");
                }
            }
        }
    }
}
