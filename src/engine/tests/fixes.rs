//! What a policy fills in: only that, only where it was left out, and so that the webhooks agree.

use serde_json::{Value, json};

use super::{Request, job, mutated, mutated_by};
use crate::engine::Mode;
use crate::policy::{Fixes, Policy};

const STAMP: &str = "/metadata/annotations/stamp.wavegate.dev~1fixed";

fn all() -> Policy {
    let mut policy = Policy::default();
    policy.waiter.image = Some("example.com/wavegate:v1".to_owned());
    policy.fixes = Fixes {
        no_retries: true,
        deadline_seconds: Some(900),
        replace_failed_only: true,
        do_not_evict: true,
    };
    policy
}

fn only(fixes: Fixes) -> Policy {
    let mut policy = all();
    policy.fixes = fixes;
    policy
}

/// The sample without what a policy may fill in, as the API server sends it: with its defaults.
fn bare() -> Value {
    let mut job = job();
    let spec = job["spec"].as_object_mut().unwrap();
    spec.insert("backoffLimit".to_owned(), json!(6));
    spec.insert("podReplacementPolicy".to_owned(), json!("TerminatingOrFailed"));
    spec.remove("activeDeadlineSeconds");
    job
}

fn fields(job: &Value) -> Value {
    let spec = &job["spec"];
    json!([
        spec["backoffLimit"],
        spec["activeDeadlineSeconds"],
        spec["podReplacementPolicy"],
        spec.pointer("/template/metadata/annotations"),
        job.pointer(STAMP),
    ])
}

#[test]
fn what_was_left_out_is_filled_in_once_and_is_clean() {
    assert_eq!(
        Request::create(mutated(&bare(), Mode::Enforce).1).decide(Mode::Enforce),
        ["deny WG101", "deny WG102"]
    );
    let (mutation, after) = mutated_by(&all(), &bare(), Mode::Enforce);
    let annotations = json!({
        "karpenter.sh/do-not-disrupt": "true",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    });
    let stamp = "noRetries,deadlineSeconds,replaceFailedOnly,doNotEvict";
    assert_eq!(fields(&after), json!([0, 900, "Failed", annotations, stamp]));
    // The waiter, and each of the four.
    assert_eq!(mutation.notices.len(), 5, "{:#?}", mutation.notices);
    assert!(mutation.notices.iter().all(|notice| notice.len() < 100), "{:#?}", mutation.notices);
    assert_eq!(after.pointer("/spec/futureField/kept"), Some(&json!(true)));
    let (again, _) = mutated_by(&all(), &after, Mode::Enforce);
    assert!(again.patch.0.is_empty() && again.notices.is_empty(), "{again:?}");
    assert_eq!(Request::create(after.clone()).decide_by(&all(), Mode::Enforce), [""; 0]);
    // A replica that has not heard of the policy yet agrees as well.
    assert_eq!(Request::create(after).decide(Mode::Enforce), [""; 0]);
}

#[test]
fn each_is_filled_in_alone() {
    let none = Fixes::default();
    let cases = [
        (Fixes { no_retries: true, ..none.clone() }, "noRetries", 0),
        (Fixes { deadline_seconds: Some(60), ..none.clone() }, "deadlineSeconds", 1),
        (Fixes { replace_failed_only: true, ..none.clone() }, "replaceFailedOnly", 2),
        (Fixes { do_not_evict: true, ..none.clone() }, "doNotEvict", 3),
    ];
    let unchanged = fields(&mutated_by(&only(none), &bare(), Mode::Enforce).1);
    assert_eq!(unchanged, json!([6, null, "TerminatingOrFailed", null, null]));
    for (fixes, name, place) in cases {
        let (_, after) = mutated_by(&only(fixes), &bare(), Mode::Enforce);
        let after = fields(&after);
        assert_eq!(after[4], name);
        for field in 0..4 {
            assert_eq!(after[field] != unchanged[field], field == place, "{name}: {field}");
        }
    }
}

#[test]
fn what_the_author_wrote_stays() {
    let mut written = job();
    let own = json!({"karpenter.sh/do-not-disrupt": "false"});
    written["spec"]["backoffLimit"] = json!(3);
    written["spec"]["podReplacementPolicy"] = json!("Failed");
    written["spec"]["template"]["metadata"] = json!({"annotations": own});
    let deadline = written["spec"]["activeDeadlineSeconds"].clone();
    let (_, after) = mutated_by(&all(), &written, Mode::Enforce);
    assert_eq!(fields(&after), json!([3, deadline, "Failed", own, null]));
    assert_eq!(Request::create(after).decide_by(&all(), Mode::Enforce), ["deny WG101"]);

    // Annotations beside ours stay, and one of the pod's deadlines is the author's.
    let mut written = bare();
    written["spec"]["template"]["metadata"] = json!({"annotations": {"team": "shop"}});
    written["spec"]["template"]["spec"]["activeDeadlineSeconds"] = json!(60);
    let (_, after) = mutated_by(&all(), &written, Mode::Enforce);
    assert_eq!(fields(&after)[1], Value::Null);
    assert_eq!(fields(&after)[3]["team"], "shop");
    assert_eq!(fields(&after)[4], "noRetries,replaceFailedOnly,doNotEvict");
    assert_eq!(Request::create(after).decide_by(&all(), Mode::Enforce), ["deny WG102"]);
}

#[test]
fn only_certain_migrations_in_enforcing_namespaces_are_filled_in() {
    let before = fields(&bare());
    assert_eq!(fields(&mutated_by(&all(), &bare(), Mode::Warn).1), before);
    for (command, what) in
        [(json!(["./manage.py", "migrate"]), "a guess"), (json!(["backup"]), "none")]
    {
        let mut other = bare();
        other["metadata"]["labels"] = json!({});
        other["metadata"]["annotations"] = json!({});
        other["spec"]["template"]["spec"]["containers"][0]["command"] = command;
        let (_, after) = mutated_by(&all(), &other, Mode::Enforce);
        assert_eq!(fields(&after), before, "{what}");
        let tracked = after.pointer("/metadata/labels/stamp.wavegate.dev~1tracked").is_some();
        assert_eq!(tracked, what == "a guess");
    }
}

/// Retries may be what waits for the database: taking them away would break a migration that works.
#[test]
fn retries_stay_where_nothing_waits_for_the_database() {
    let mut nowhere = bare();
    let container = &mut nowhere["spec"]["template"]["spec"]["containers"][0];
    container.as_object_mut().unwrap().remove("env");
    let (mutation, after) = mutated_by(&all(), &nowhere, Mode::Enforce);
    assert_eq!(fields(&after)[0], 6);
    assert_eq!(fields(&after)[4], "deadlineSeconds,replaceFailedOnly,doNotEvict");
    assert!(mutation.notices.iter().any(|notice| notice.contains("backoffLimit stays 6")));
    let found = Request::create(after).decide_by(&all(), Mode::Enforce);
    assert_eq!(found, ["deny WG101", "warn WG107"]);

    // A waiter of the author's will do.
    nowhere["spec"]["template"]["spec"]["initContainers"] = json!([{"name": "wait", "image": "busybox", "command": ["sh", "-c", "until nc -z db 5432; do sleep 1; done"]}]);
    assert_eq!(fields(&mutated_by(&all(), &nowhere, Mode::Enforce).1)[0], 0);
}

/// wavegate's own waiter ends at once where it finds nothing that it can wait for.
#[test]
fn retries_stay_where_the_waiter_may_find_nothing() {
    let with = |env: Value, env_from: Value| {
        let mut job = bare();
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["env"] = env;
        container["envFrom"] = env_from;
        job
    };
    let from_secret = json!([{"secretRef": {"name": "db"}}]);
    // Written by an init container that runs after the waiter, which does not get it.
    let from_file = json!({"fileKeyRef": {"volumeName": "v", "path": "env", "key": "url"}});
    let from_file = json!([{"name": "DATABASE_URL", "valueFrom": from_file}]);
    let variable = |name: &str, value: &str| json!([{"name": name, "value": value}]);
    let cases = [
        (with(json!([]), from_secret.clone()), 6),
        (with(from_file, from_secret), 6),
        (with(variable("DB_HOST", "127.0.0.1"), json!([])), 6),
        (with(variable("DATABASE_URL", "teapot://db:1433"), json!([])), 6),
        (with(variable("DATABASE_URL", "sqlite:///tmp/a.db"), json!([])), 6),
        (with(variable("DATABASE_URL", "postgres://db/shop"), json!([])), 0),
        (with(variable("DATABASE_URL", "postgres://$(HOST)/shop"), json!([])), 0),
        (with(variable("DB_HOST", "db"), json!([])), 6), // Of which port?
        (with(variable("PGHOST", "db"), json!([])), 0),
    ];
    for (job, limit) in cases {
        let (_, after) = mutated_by(&all(), &job, Mode::Enforce);
        assert_eq!(after["spec"]["backoffLimit"], limit, "{job}");
        assert!(after.pointer("/spec/template/spec/initContainers/0").is_some(), "{job}");
        assert!(mutated_by(&all(), &after, Mode::Enforce).0.patch.0.is_empty(), "{job}");
        let mut named = job.clone();
        named["metadata"]["annotations"]["wavegate.dev/database"] = json!("db:5432");
        let (_, after) = mutated_by(&all(), &named, Mode::Enforce);
        assert_eq!(after["spec"]["backoffLimit"], 0, "a target that is named is waited for");
    }
}

/// Another mutating webhook may undo it.
#[test]
fn a_fix_that_is_undone_makes_no_migration_untracked() {
    let (_, mut after) = mutated_by(&all(), &bare(), Mode::Enforce);
    after["spec"]["podReplacementPolicy"] = json!("TerminatingOrFailed");
    assert_eq!(Request::create(after).decide_by(&all(), Mode::Enforce), [""; 0]);
}

/// As `check` reads it. The API server sends no such Job.
#[test]
fn what_is_not_there_is_made_once() {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "spec": {"template": {
            "metadata": {"labels": {"wavegate.dev/role": "migration"}},
            "spec": {"containers": [{"name": "m", "image": "example.com/shop/api:v1"}]},
        }},
    });
    let (_, after) = mutated_by(&all(), &job, Mode::Enforce);
    assert_eq!(after["metadata"]["labels"]["stamp.wavegate.dev/tracked"], "true");
    assert_eq!(after["spec"]["activeDeadlineSeconds"], 900);
    let empty = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"labels": {"wavegate.dev/role": "migration"}}});
    let (_, after) = mutated_by(&all(), &empty, Mode::Enforce);
    assert_eq!(after.get("spec"), None);
}

/// A deadline that is filled in bounds the waiter that is added beside it.
#[test]
fn the_waiter_fits_the_deadline_that_is_filled_in() {
    let policy = only(Fixes { deadline_seconds: Some(40), no_retries: true, ..Fixes::default() });
    let (_, after) = mutated_by(&policy, &bare(), Mode::Enforce);
    let arguments = after.pointer("/spec/template/spec/initContainers/0/args");
    assert_eq!(arguments, Some(&json!(["--timeout=20s"])));
    assert_eq!(Request::create(after).decide_by(&policy, Mode::Enforce), [""; 0]);
}
