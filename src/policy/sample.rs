//! Sample objects for the tests of rules: good ones, to which a test applies one deviation.

use serde_json::{Value, json};

use super::finding::{Problem, Problems};
use super::rule::{Check, Rule};
use super::{Context, Policy};
use crate::cluster::{ClusterState, PairedWorkload, WorkloadFacts};
use crate::domain::job::Job;
use crate::domain::workload::{Workload, WorkloadKind};
use crate::policy::context::Standing;

fn merged(mut base: Value, patch: &str) -> &'static str {
    json_patch::merge(&mut base, &serde_json::from_str(patch).expect("the patch is JSON"));
    Box::leak(base.to_string().into_boxed_str())
}

fn job(base: Value, patch: &str) -> Job<'static> {
    Job::read(serde_json::from_str(merged(base, patch)).expect("the sample is a Job"))
}

/// A migration Job that no rule has anything to say about, changed by a JSON merge patch.
pub(crate) fn migration(patch: &str) -> Job<'static> {
    let base = json!({
        "metadata": {"name": "shop-migrate", "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 300,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "migrate",
                    "image": "example.com/shop/api:v1.2.0",
                    "command": ["python", "manage.py", "migrate"],
                }],
            }},
        },
    });
    job(base, patch)
}

/// A Job whose author declared its role, with just these annotations.
pub(crate) fn declared(role: &str, annotations: &str) -> Job<'static> {
    let base = json!({"metadata": {"name": "shop-job", "labels": {"wavegate.dev/role": role}}});
    job(base, &format!(r#"{{"metadata":{{"annotations":{annotations}}}}}"#))
}

/// An opted-in workload, changed by a JSON merge patch.
pub(crate) fn workload(kind: WorkloadKind, patch: &str) -> Workload<'static> {
    let base = json!({
        "metadata": {"name": "shop-api", "labels": {"wavegate.dev/app": "shop"}},
        "spec": {"template": {"spec": {"containers": [
            {"name": "api", "image": "example.com/shop/api:v1.2.0", "readinessProbe": {}},
        ]}}},
    });
    let manifest = serde_json::from_str(merged(base, patch)).expect("the sample is a workload");
    Workload::read(kind, manifest)
}

fn with_context(
    state: &ClusterState,
    run: impl FnOnce(&Context<'_>, &mut Problems),
) -> Vec<Problem> {
    let policy = Policy::default();
    let context = Context {
        policy: &policy,
        state,
        namespace: "shop",
        pairs: Vec::new(),
        standing: Standing::OptedIn,
        stamps: None,
    };
    let mut found = Problems::default();
    run(&context, &mut found);
    found.drain().collect()
}

/// What a rule says about a Job on its own.
pub(crate) fn problems(rule: &Rule, job: &Job<'_>) -> Vec<Problem> {
    problems_beside(rule, job, &ClusterState::default())
}

/// What a rule says about a Job beside what is in view.
pub(crate) fn problems_beside(rule: &Rule, job: &Job<'_>, state: &ClusterState) -> Vec<Problem> {
    with_context(state, |context, found| {
        for check in rule.checks {
            match check {
                Check::Migration(check) if job.recognition.is_migration() => {
                    check(job, context, found);
                }
                Check::Verification(check) if !job.recognition.is_migration() => {
                    check(job, context, found);
                }
                _ => {}
            }
        }
    })
}

/// What a rule says about an opted-in workload on its own.
pub(crate) fn workload_problems(rule: &Rule, workload: &Workload<'_>) -> Vec<Problem> {
    with_context(&ClusterState::default(), |context, found| {
        for check in rule.checks {
            if let Check::Workload(check) | Check::AnyWorkload(check) = check {
                check(workload, context, found);
            }
        }
    })
}

/// What a rule says about a Deployment beside a migration Job, each with these labels and this image: the
/// effect and the code of each finding.
pub(crate) fn bundle(
    rule: &Rule,
    job_labels: &str,
    job_image: &str,
    labels: &str,
    image: &str,
) -> Vec<String> {
    let container = |name: &str, image: &str| {
        format!(
            r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"{name}","image":"{image}","command":["manage.py","migrate"]}}]}}}}}}}}"#
        )
    };
    let labelled = |labels: &str, rest: String| {
        rest.replacen('{', &format!(r#"{{"metadata":{{"labels":{{{labels}}}}},"#), 1)
    };
    let job = migration(&labelled(job_labels, container("migrate", job_image)));
    let workload = workload(WorkloadKind::Deployment, &labelled(labels, container("api", image)));
    let policy = Policy::default();
    let mut state = ClusterState::default();
    state.observe_job(&job, "shop");
    let facts = WorkloadFacts::of(&workload, "shop");
    let context = Context {
        policy: &policy,
        state: &state,
        namespace: "shop",
        pairs: PairedWorkload::of(facts, &state, &policy.names).pairs(&state, &policy.names),
        standing: Standing::OptedIn,
        stamps: None,
    };
    let mut found = Problems::default();
    for check in rule.checks {
        if let Check::Workload(check) = check {
            check(&workload, &context, &mut found);
        }
    }
    let effect = |problem: &Problem| if problem.advice { "warn" } else { "deny" };
    found.drain().map(|problem| format!("{} {}", effect(&problem), rule.code)).collect()
}
