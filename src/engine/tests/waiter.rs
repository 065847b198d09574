//! The injected waiter, in both forms: what it looks like, and that nothing else is taken for it.

use serde_json::{Value, json};

use super::{Request, job, mutated, mutated_by};
use crate::domain::manifest::Container;
use crate::domain::waiter::own;
use crate::engine::Mode;
use crate::policy::{Policy, WaiterMode};

const IMAGE: &str = "example.com/wavegate:v1";

fn native(image: &str) -> Policy {
    let mut policy = Policy::default();
    policy.waiter.image = Some(image.to_owned());
    policy
}

fn busybox() -> Policy {
    let mut policy = native(IMAGE);
    policy.waiter.mode = WaiterMode::Busybox;
    policy
}

/// The init containers of a Job after mutation.
fn init_containers(policy: &Policy, job: &Value) -> Vec<Value> {
    let (_, after) = mutated_by(policy, job, Mode::Enforce);
    after["spec"]["template"]["spec"]["initContainers"].as_array().cloned().unwrap_or_default()
}

fn waiter(job: &Value) -> Value {
    init_containers(&native(IMAGE), job).swap_remove(0)
}

fn with_pod(field: &str, value: Value) -> Value {
    let mut job = job();
    job["spec"]["template"]["spec"][field] = value;
    job
}

fn with_env(env: Value, env_from: Value) -> Value {
    let mut job = job();
    let container = &mut job["spec"]["template"]["spec"]["containers"][0];
    container["env"] = env;
    container["envFrom"] = env_from;
    job
}

#[test]
fn the_native_waiter_is_this_container() {
    let url = json!({"secretKeyRef": {"name": "db", "key": "url"}});
    let resources = json!({"cpu": "20m", "memory": "32Mi"});
    let want = json!({
        "name": "wait-for-db",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/wavegate", "wait-for-db"],
        "args": ["--timeout=60s"],
        "env": [{"name": "DATABASE_URL", "valueFrom": url}],
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "privileged": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    assert_eq!(waiter(&job()), want);
}

#[test]
fn without_an_image_of_its_own_the_waiter_is_busyboxs() {
    for policy in [Policy::default(), busybox()] {
        let waiter = init_containers(&policy, &job()).swap_remove(0);
        assert_eq!(waiter["image"], "busybox:1.36");
        assert_eq!(waiter["command"], json!(own::BUSYBOX));
        assert_eq!(waiter["securityContext"]["runAsUser"], 65532);
    }
}

#[test]
fn the_native_waiter_is_told_the_database_or_where_it_stands() {
    let mut named = job();
    named["metadata"]["annotations"]["wavegate.dev/database"] = json!("postgres://db:6432/shop");
    let told = waiter(&named);
    assert_eq!(told["args"], json!(["--timeout=60s", "--target=postgres://db:6432/shop"]));
    assert_eq!((told.get("env"), told.get("envFrom")), (None, None));

    let sources = json!([{"secretRef": {"name": "db"}}]);
    let own = json!({"name": "PGHOST", "value": "$(HOST).svc"});
    let host = json!({"name": "HOST", "value": "db"});
    let secret = json!({"name": "PGPASSWORD", "value": "hunter2"});
    let port = json!({"name": "PGPORT", "value": "5432"});
    let told = waiter(&with_env(json!([host, secret, own, port]), sources.clone()));
    assert_eq!((&told["env"], told.get("envFrom")), (&json!([host, own, port]), None));

    let told = waiter(&with_env(json!([{"name": "TZ", "value": "UTC"}]), sources.clone()));
    assert_eq!((told.get("env"), &told["envFrom"]), (None, &sources));

    let none = with_env(json!([]), Value::Null);
    assert_eq!(init_containers(&native(IMAGE), &none), Vec::<Value>::new());
}

/// Otherwise it would ask the default port, and fail a migration that works.
#[test]
fn a_database_named_half_here_and_half_there_is_told_whole() {
    let sources = json!([{"configMapRef": {"name": "db"}}]);
    let host = json!({"name": "PGHOST", "value": "db"});
    let port = json!({"name": "PGPORT", "value": "6432"});
    let url = json!({"name": "DATABASE_URL", "value": "postgres://u:$(DB_PASSWORD)@$(DB_HOST)/x"});
    let pair = json!({"name": "DB_HOST", "value": "db"});
    let cases = [
        (json!([host]), json!([host]), Some(&sources)),
        (json!([port]), json!([port]), Some(&sources)),
        (json!([host, port]), json!([host, port]), None),
        (json!([url]), json!([url]), Some(&sources)),
        (json!([pair, port, url]), json!([pair, url]), Some(&sources)),
    ];
    for (env, copied, env_from) in cases {
        let told = waiter(&with_env(env.clone(), sources.clone()));
        assert_eq!((&told["env"], told.get("envFrom")), (&copied, env_from), "{env}");
    }
}

#[test]
fn a_credential_is_told_by_a_word_of_its_name() {
    let host = json!({"name": "KEYCLOAK_DB_HOST", "value": "db"});
    let key = json!({"name": "DB_KEY", "value": "hunter2"});
    let url =
        json!({"name": "DATABASE_URL", "value": "postgres://u:$(DB_KEY)@$(KEYCLOAK_DB_HOST)/x"});
    let told = waiter(&with_env(json!([host, key, url]), Value::Null));
    assert_eq!(told["env"], json!([host, url]));
}

/// It tries once.
#[test]
fn a_single_look_at_the_server_is_no_waiter() {
    let mut job = with_env(json!([{"name": "PGHOST", "value": "db"}]), Value::Null);
    job["spec"]["template"]["spec"]["containers"][0]["command"] =
        json!(["sh", "-c", "pg_isready -h db && alembic upgrade head"]);
    assert_eq!(init_containers(&native(IMAGE), &job).len(), 1);
}

#[test]
fn a_loopback_key_needs_a_sidecar_that_listens() {
    let sidecar = json!([{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}]);
    for (sidecars, want) in [(json!([]), 0), (sidecar, 2)] {
        let mut job = with_pod("initContainers", sidecars);
        job["metadata"]["annotations"]["wavegate.dev/database"] = json!("localhost:5432");
        assert_eq!(init_containers(&native(IMAGE), &job).len(), want);
    }
}

/// The waiter fails on a target that it is given and cannot use, so such a one is never given.
#[test]
fn a_key_that_names_no_server_gives_a_notice_and_no_waiter() {
    for address in [
        "shop",
        "sqlite:///shop.db",
        "db:none",
        "postgresql:///shop",
        "ftp://db:21",
        "shop:x@db:5432",
        "jdbc:postgresql://db/shop?user=a&password=hunter2",
    ] {
        let mut named = job();
        named["metadata"]["annotations"]["wavegate.dev/database"] = json!(address);
        let (mutation, after) = mutated_by(&native(IMAGE), &named, Mode::Enforce);
        assert_eq!(after["spec"]["template"]["spec"].get("initContainers"), None, "{address}");
        let told = mutation.notices.join(" ");
        assert!(told.contains("wavegate.dev/database"), "{address}: {told}");
    }
}

#[test]
fn it_waits_for_half_of_the_deadline_at_most() {
    for (deadline, want) in [(300, 60), (100, 50), (31, 15), (1, 1)] {
        let mut job = job();
        job["spec"]["activeDeadlineSeconds"] = json!(deadline);
        assert_eq!(waiter(&job)["args"], json!([format!("--timeout={want}s")]), "{deadline}");
    }
}

#[test]
fn only_a_pod_that_runs_as_root_gives_it_a_user() {
    for (user, want) in [(json!(null), None), (json!(1000), None), (json!(0), Some(65532))] {
        let waiter = waiter(&with_pod("securityContext", json!({"runAsUser": user})));
        let found = waiter["securityContext"].get("runAsUser").and_then(Value::as_u64);
        assert_eq!(found, want, "{user}");
    }
}

#[test]
fn it_stands_behind_the_sidecars_at_the_head() {
    let proxy = json!({"name": "sql-proxy", "image": "proxy:1", "restartPolicy": "Always"});
    let seed = json!({"name": "seed", "image": "a:1", "command": ["/seed"]});
    let found = init_containers(&native(IMAGE), &with_pod("initContainers", json!([proxy, seed])));
    let names: Vec<_> = found.iter().filter_map(|container| container["name"].as_str()).collect();
    assert_eq!(names, ["sql-proxy", "wait-for-db", "seed"]);
}

/// Replica A mutates, replica B with another image, another form or no image validates, during an upgrade.
#[test]
fn what_one_replica_added_is_clean_for_any_other() {
    let policies =
        [native(IMAGE), native("mirror.test/wavegate@sha256:0"), busybox(), Policy::default()];
    for (at, adds) in policies.iter().enumerate() {
        let (mutation, after) = mutated_by(adds, &job(), Mode::Enforce);
        assert_eq!(mutation.notices.len(), 1, "{:?}", mutation.notices);
        for (other, judges) in policies.iter().enumerate() {
            let again = mutated_by(judges, &after, Mode::Enforce).0;
            assert!(again.patch.0.is_empty() && again.notices.is_empty(), "{at} {other} {again:?}");
            let found = Request::create(after.clone()).decide_by(judges, Mode::Enforce);
            assert_eq!(found, [""; 0], "{at} {other}");
        }
    }
}

#[test]
fn the_stamped_hash_leaves_out_exactly_the_waiter() {
    let hash = |object: &Value| {
        object["metadata"]["annotations"]["stamp.wavegate.dev/template"].as_str().map(str::to_owned)
    };
    let (_, warned) = mutated(&job(), Mode::Warn);
    let mut hashes: Vec<_> = [native(IMAGE), native("other:2"), busybox()]
        .iter()
        .map(|policy| hash(&mutated_by(policy, &job(), Mode::Enforce).1))
        .collect();
    hashes.push(hash(&warned));
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "{hashes:?}");
    assert!(hashes[0].is_some());

    // What another webhook makes of the waiter is no longer wavegate's, and counts.
    let (_, after) = mutated_by(&native(IMAGE), &job(), Mode::Enforce);
    let waiter = "/spec/template/spec/initContainers/0";
    for (field, value) in [
        ("args", json!(["--timeout=60s", "--help"])),
        ("command", json!(["/wavegate", "wait-for-db", "x"])),
        ("restartPolicy", json!("Always")),
    ] {
        let mut changed = after.clone();
        changed.pointer_mut(waiter).unwrap()[field] = value;
        let found = Request::create(changed).decide(Mode::Enforce);
        assert!(found.contains(&"deny WG310".to_owned()), "{field}: {found:?}");
    }
}

/// Written by an author: what of it passes for wavegate's, what for a waiter, and what for neither.
#[test]
fn an_authors_container_is_wavegates_by_its_whole_command_only() {
    let cases = [
        // The image is not compared. It waits as far as its command tells, and its author wrote the Job.
        ("evil", json!(["/wavegate", "wait-for-db"]), json!(["--timeout=60s"]), true, vec![]),
        // Another bound is an author's right, and WG108 compares it with the deadline.
        (
            IMAGE,
            json!(["/wavegate", "wait-for-db"]),
            json!(["--timeout=600s"]),
            true,
            vec!["warn WG108"],
        ),
        (
            IMAGE,
            json!(["/wavegate", "wait-for-db"]),
            json!(["--timeout", "10m"]),
            false,
            vec!["warn WG108"],
        ),
        (IMAGE, json!(["/wavegate"]), json!(["wait-for-db"]), false, vec![]),
        ("evil", json!(["/wavegate", "wait-for-db"]), json!([]), false, vec![]),
    ];
    for (image, command, args, own, want) in cases {
        let author = json!({"name": "x", "image": image, "command": command, "args": args});
        let text = author.to_string();
        let container: Container<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(own::is_own(&container), own, "{text}");
        let (_, after) =
            mutated_by(&native(IMAGE), &with_pod("initContainers", json!([author])), Mode::Enforce);
        assert_eq!(after["spec"]["template"]["spec"]["initContainers"], json!([author]));
        assert_eq!(Request::create(after).decide(Mode::Enforce), want, "{text}");
    }
    // Neither: a waiter is added in front.
    for (name, args, extra) in [
        ("wait-for-db", json!(["--help"]), json!(null)),
        ("x", json!(["--timeout=60s", "--version"]), json!(null)),
        ("y", json!(["--timeout=60s"]), json!("Always")),
    ] {
        let author = json!({"name": name, "image": IMAGE, "command": ["/wavegate", "wait-for-db"],
            "args": args, "restartPolicy": extra});
        let found = init_containers(&native(IMAGE), &with_pod("initContainers", json!([author])));
        let ours = found
            .iter()
            .filter(|c| c["args"] == json!(["--timeout=60s"]) && c["restartPolicy"].is_null());
        assert_eq!((found.len(), ours.count()), (2, 1), "{found:?}");
        if name == "wait-for-db" {
            assert_eq!(found[0]["name"], "wavegate-wait-for-db");
        }
    }
}
