//! The verdict table, row by row.

use jiff::Timestamp;

use super::*;
use crate::cluster::sample::{Sample, at};
use crate::cluster::{Gone, ObjectKey, Reading, Revision};
use crate::domain::image::ImageRef;
use crate::domain::outcome::Outcome;
use crate::domain::role::{Confidence, MigrationPhase};
use crate::domain::workload::WorkloadKind;
use crate::policy::sample::workload;

mod accounts;
mod contracts;
mod overrides;
mod pairs;
mod rows;

/// What has happened in namespace `shop`, and a change of the Deployment `shop-api` on top of it.
struct Scene {
    state: ClusterState,
    policy: Policy,
    old: Option<String>,
    new: String,
    now: Timestamp,
}

/// A patch of the sample workload that runs this image of `shop/api`, not opted in.
fn runs(tag: &str) -> String {
    let image = if tag.contains('/') { tag.to_owned() } else { format!("shop/api:{tag}") };
    format!(
        r#"{{"metadata":{{"labels":{{"wavegate.dev/app":null}}}},"spec":{{"template":{{"spec":{{"containers":[
            {{"name":"api","image":"{image}"}},{{"name":"exporter","image":"prom/exporter:1"}}]}}}}}}}}"#
    )
}

/// The same with further labels.
fn labelled(patch: &str, labels: &str) -> String {
    patch.replacen(r#""wavegate.dev/app":null"#, &format!(r#""wavegate.dev/app":null,{labels}"#), 1)
}

/// The same with a release that it requires; an image is no label's value.
fn requiring(patch: &str, release: &str) -> String {
    let floor =
        format!(r#"{{"metadata":{{"annotations":{{"{}":"{release}"}},"#, keys::REQUIRES_RELEASE);
    patch.replacen(r#"{"metadata":{"#, &floor, 1)
}

impl Scene {
    /// The Deployment goes from one release to another.
    fn update(old: &str, new: &str) -> Self {
        Self { old: Some(runs(old)), ..Self::create(new) }
    }

    /// The Deployment is created.
    fn create(new: &str) -> Self {
        Self {
            state: ClusterState::default(),
            policy: Policy::default(),
            old: None,
            new: runs(new),
            now: at(1000),
        }
    }

    /// Attempts that only their records are left of.
    fn records(mut self, samples: impl IntoIterator<Item = Sample>) -> Self {
        for sample in samples {
            self.state.attempts_mut().observe_record(sample.attempt());
        }
        self
    }

    /// Attempts whose Jobs exist.
    fn jobs(mut self, samples: impl IntoIterator<Item = Sample>) -> Self {
        for sample in samples {
            self.state.attempts_mut().observe_job(sample.attempt());
        }
        self
    }

    /// A revision of the Deployment that ran this release since a second.
    fn revision(mut self, tag: &str, second: i64) -> Self {
        let reading = Reading {
            revisions: vec![Revision {
                owner: ObjectKey {
                    kind: "Deployment",
                    namespace: "shop".to_owned(),
                    name: "shop-api".to_owned(),
                },
                images: vec![ImageRef::parse(&format!("shop/api:{tag}")).unwrap()],
                created: at(second),
            }],
            records: self.state.attempts().iter().map(|s| s.attempt().clone()).collect(),
            ..Reading::default()
        };
        self.state = self.state.confirmed("shop", reading);
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn judge<T>(&self, read: impl FnOnce(Vec<Judgement<'_>>) -> T) -> T {
        let old = self.old.as_ref().map(|old| workload(WorkloadKind::Deployment, old));
        let new = workload(WorkloadKind::Deployment, &self.new);
        let change = Change { new: &new, old: old.as_ref(), namespace: "shop" };
        read(judge(change, &self.state, &self.policy, self.now))
    }

    /// The verdicts, and the Job that each names.
    fn verdicts(&self) -> Vec<String> {
        self.judge(|judgements| {
            judgements.iter().map(|judgement| named(judgement.verdict)).collect()
        })
    }

    /// The verdict on the one release that the change brings.
    fn verdict(&self) -> String {
        let verdicts = self.verdicts();
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts.concat()
    }

    /// The remarks on it, and the Job that each names.
    fn remarks(&self) -> Vec<String> {
        self.judge(|judgements| {
            let remarks = judgements.iter().flat_map(|judgement| &judgement.remarks);
            remarks.map(|remark| remarked(*remark)).collect()
        })
    }
}

fn named(verdict: Verdict<'_>) -> String {
    match verdict {
        Verdict::Excluded(by) => format!("excluded by {}", by.uid),
        Verdict::Bypassed(by) => format!("bypassed by {}", by.name),
        Verdict::Invalidated(attempt, by) => format!("{} invalidated by {}", attempt.uid, by.name),
        Verdict::Proven => "proven".to_owned(),
        Verdict::Floor => "floor".to_owned(),
        Verdict::RanHere => "ran here".to_owned(),
        Verdict::FirstInstall => "first install".to_owned(),
        Verdict::Running(attempt) => format!("running {}", attempt.uid),
        Verdict::Ended(attempt, outcome) => format!("{outcome} {}", attempt.uid),
        Verdict::OtherRelease(attempt) => format!("other release {}", attempt.uid),
        Verdict::Incomparable(attempt) => format!("incomparable {}", attempt.uid),
        Verdict::NeverRan(attempt) => format!("never ran, newest {}", attempt.uid),
        Verdict::NotMigrated => "not migrated".to_owned(),
        Verdict::Ambiguous => "ambiguous".to_owned(),
        Verdict::Floating => "floating".to_owned(),
    }
}

fn remarked(remark: Remark<'_>) -> String {
    match remark {
        Remark::TriedAgain(attempt) => format!("tried again {}", attempt.uid),
        Remark::GuessedContract(attempt) => format!("guessed contract {}", attempt.uid),
        Remark::Missing(attempt) => format!("missing {}", attempt.uid),
        Remark::PushedAgain(attempt) => format!("pushed again {}", attempt.uid),
        Remark::Unproven(attempt, outcome) => format!("unproven {} {outcome}", attempt.uid),
        Remark::NotUpstream => "not upstream".to_owned(),
    }
}

/// The history of most apps: v1 migrated, and v1 runs.
fn v1() -> Sample {
    Sample::new("m1", "v1").succeeded(30)
}

/// The next release's migration.
fn v2(uid: &str) -> Sample {
    Sample::new(uid, "v2").created(100)
}
