//! The injected waiter in its busybox form, run as the container runs it: its own command and environment under busybox's sh and nc.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wavegate::admission::Admission;
use wavegate::engine::{Mode, mutate};
use wavegate::policy::{Policy, WaiterMode};

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

/// A directory with what a busybox image has. Its shell prefers its own nc over any other.
fn busybox() -> tempfile::TempDir {
    let busybox = find("busybox").expect("busybox is not installed: run `make tools`");
    let directory = tempfile::tempdir().unwrap();
    for applet in ["sh", "nc", "date", "sleep", "true"] {
        symlink(&busybox, directory.path().join(applet)).unwrap();
    }
    directory
}

/// A directory with the system's own shell, and no nc.
fn without_nc() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for program in ["sh", "date", "sleep", "true"] {
        symlink(find(program).unwrap(), directory.path().join(program)).unwrap();
    }
    directory
}

/// The container that wavegate adds to a Job whose migration has these variables, behind a sidecar that may listen at
/// a loopback address.
fn container(env: &Value, annotations: &Value, timeout: u64) -> Value {
    let mut annotations = annotations.clone();
    annotations["argocd.argoproj.io/hook"] = json!("PreSync");
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "m", "annotations": annotations},
        "spec": {
            "backoffLimit": 0, "activeDeadlineSeconds": timeout * 2,
            "template": {"spec": {
                "restartPolicy": "Never",
                "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
                "containers": [
                    {"name": "m", "image": "a:1", "command": ["manage.py", "migrate"], "env": env},
                ],
            }},
        },
    })
    .to_string();
    let admission = Admission::of_manifest("batch", "Job", "shop", &job);
    let mut policy = Policy::default();
    policy.waiter.mode = WaiterMode::Busybox;
    policy.waiter.image = Some("example.com/wavegate:v1".to_owned());
    let mutation = mutate(&admission, &policy, Mode::Enforce);
    let mut job: Value = serde_json::from_str(&job).unwrap();
    json_patch::patch(&mut job, &mutation.patch).unwrap();
    job["spec"]["template"]["spec"]["initContainers"][1].clone()
}

/// Runs a container's command in its environment, after the kubelet's rule for `valueFrom`: `secrets` holds what
/// such variables resolve to.
fn command(programs: &Path, container: &Value, secrets: &[(&str, &str)]) -> Command {
    let words: Vec<&str> = container["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    assert_eq!(words[0], "/bin/sh");
    let mut command = Command::new(programs.join("sh"));
    command.args(&words[1..]).env_clear().env("PATH", programs);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let literal = variable["value"].as_str();
        let secret = secrets.iter().find(|(secret, _)| *secret == name).map(|(_, value)| *value);
        command.env(name, literal.or(secret).unwrap_or_default());
    }
    command
}

fn run(
    programs: &Path,
    env: &Value,
    secrets: &[(&str, &str)],
    annotations: &Value,
) -> (i32, String) {
    let container = container(env, annotations, 1);
    let output: Output = command(programs, &container, secrets).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "{said}");
    (output.status.code().unwrap(), said)
}

fn secret(name: &str) -> Value {
    json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "db", "key": name}}})
}

/// Each case waits its second out, so they run side by side. What they say is decided before any connection, and
/// their hosts must not be looked for: an nc that always refuses stands in for the network.
fn each<T: Sync>(cases: &[T], check: impl Fn(&Path, &T) + Sync) {
    let programs = without_nc();
    let nc = programs.path().join("nc");
    let sh = programs.path().join("sh");
    fs::write(&nc, format!("#!{}\necho 'nc: connection refused' >&2\nexit 1\n", sh.display()))
        .unwrap();
    fs::set_permissions(&nc, fs::Permissions::from_mode(0o755)).unwrap();
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(programs.path(), case));
        }
    });
}

#[test]
fn the_target_is_read_from_the_variables_at_run_time() {
    let url = "DATABASE_URL";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[(url, "postgres://shop:hunter2@db.invalid/shop")], "db.invalid:5432"),
        (&[(url, "postgresql+psycopg2://shop:hunter2@db.invalid:6432/shop")], "db.invalid:6432"),
        (&[(url, "postgres://shop:hunter2@x@db.invalid:1/shop?sslmode=require")], "db.invalid:1"),
        (&[(url, "mysql://shop:hunter2@tcp(db.invalid:3307)/shop")], "db.invalid:3307"),
        (&[(url, "mysql://shop:hunter2@db.invalid/shop")], "db.invalid:3306"),
        (&[(url, "db.invalid:9")], "db.invalid:9"),
        (
            &[("SPRING_DATASOURCE_URL", "jdbc:postgresql://db.invalid:5433/shop?user=a")],
            "db.invalid:5433",
        ),
        (&[("JDBC_URL", "jdbc:sqlserver://db.invalid:1433;databaseName=shop")], "db.invalid:1433"),
        (&[("PGHOST", "db.invalid")], "db.invalid:5432"),
        (&[("PGHOST", "db.invalid"), ("PGPORT", "6")], "db.invalid:6"),
        (&[("MYSQL_HOST", "db.invalid")], "db.invalid:3306"),
        (&[("DB_HOST", "db.invalid"), ("DB_PORT", "7")], "db.invalid:7"),
        (&[("DB_HOST", "db.invalid:8")], "db.invalid:8"),
        // A Service named postgres sets this in every pod.
        (
            &[("POSTGRES_HOST", "db.invalid"), ("POSTGRES_PORT", "tcp://10.0.0.7:5439")],
            "db.invalid:5439",
        ),
        (&[(url, ""), ("PGHOST", "db.invalid")], "db.invalid:5432"),
    ];
    each(cases, |programs, (secrets, want)| {
        let env: Vec<Value> = secrets.iter().map(|(name, _)| secret(name)).collect();
        let (status, said) = run(programs, &json!(env), secrets, &json!({}));
        assert_eq!(status, 1, "{secrets:?}: {said}");
        assert!(said.contains(&format!("{want} (from ")), "{secrets:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(
            said.contains("did not accept a connection within 1 s: nc: connection refused"),
            "{said}"
        );
        // The last line is what a record of the failure quotes.
        assert!(said.lines().last().unwrap_or_default().contains(want), "{said}");
    });
}

#[test]
fn what_cannot_be_waited_for_never_breaks_the_migration() {
    let url = "DATABASE_URL";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[(url, "sqlite:///var/lib/shop.db")], "scheme"),
        (&[(url, "mongodb+srv://cluster.invalid/shop")], "SRV"),
        (&[(url, "postgres:///shop?host=/var/run/postgresql")], "no host"),
        (&[(url, "postgres://localhost/shop")], "itself"),
        (&[(url, "postgres://shop:hunter2@127.0.0.1:5432/shop")], "itself"),
        (&[(url, "postgres://[::1]:5432/shop")], "itself"),
        (&[(url, "postgres://$(DB_HOST)/shop")], "not readable"),
        (&[(url, "not a url at all")], "not readable"),
        (&[(url, "postgres://db.invalid:1,other.invalid:2/shop")], "several hosts"),
        (&[("PGHOST", "db.invalid,other.invalid")], "several hosts"),
        // Passwords with a separator in them, which some drivers accept.
        (&[(url, "root:12/hunter2@tcp(db.invalid:3306)/shop")], "credentials"),
        (&[(url, "postgresql://shop:12/hunter2@db.invalid/shop")], "credentials"),
        (&[(url, "postgresql://shop:12?hunter2@db.invalid/shop")], "credentials"),
        (&[("PGHOST", "/var/run/postgresql")], "no host"),
        (&[("DB_HOST", "db.invalid")], "no port"),
        (&[("DB_HOST", "db.invalid"), ("DB_PORT", "http")], "no port"),
        (&[(url, "")], "no variable"),
    ];
    each(cases, |programs, (secrets, want)| {
        let env: Vec<Value> = secrets.iter().map(|(name, _)| secret(name)).collect();
        let (status, said) = run(programs, &json!(env), secrets, &json!({}));
        assert_eq!(status, 0, "{secrets:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(want) && said.contains("nothing to wait for"), "{secrets:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    });
}

#[test]
fn it_ends_as_soon_as_the_database_accepts_connections() {
    let programs = busybox();
    // Reserved and released: nothing listens until the line below does. On an address of its own, since on
    // 127.0.0.1 any other connection may be given the port meanwhile.
    let address = TcpListener::bind("127.77.19.3:0").unwrap().local_addr().unwrap();
    let annotations = json!({"wavegate.dev/database": address.to_string()});
    let container = container(&json!([]), &annotations, 30);
    let started = Instant::now();
    let child = command(programs.path(), &container, &[]).spawn().unwrap();
    thread::sleep(Duration::from_millis(1500));
    let listener = TcpListener::bind(address).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(listener);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    // On a busy machine the first try may already come a second later.
    let waiting = format!("waiting for {address} (from wavegate.dev/database), ");
    let first = said.lines().find_map(|line| line.split_once(&waiting)).map(|(_, rest)| rest);
    assert!(first.is_some_and(|rest| rest.contains(" s of 30 s")), "{said}");
    assert!(said.contains(&format!("{address} accepts connections after")), "{said}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn an_image_without_nc_does_not_break_the_migration() {
    let programs = without_nc();
    let (status, said) =
        run(programs.path(), &json!([]), &[], &json!({"wavegate.dev/database": "db.invalid:1"}));
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("no nc"), "{said}");
}

#[test]
fn it_ends_at_once_when_it_is_told_to() {
    let programs = busybox();
    let container = container(&json!([]), &json!({"wavegate.dev/database": "127.0.0.1:1"}), 60);
    let child = command(programs.path(), &container, &[]).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    let told = Instant::now();
    let kill = ["-c", &format!("kill -TERM {}", child.id())].map(str::to_owned);
    assert!(Command::new("sh").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

/// Only recognised variables are copied, and references to credentials are not.
#[test]
fn the_waiter_sees_as_little_as_it_can() {
    let env = json!([
        {"name": "DB_PASSWORD", "value": "hunter2"},
        {"name": "HOST_OF_DB", "value": "db.invalid"},
        {"name": "SECRET_KEY", "value": "x"},
        {"name": "DATABASE_URL", "value": "postgres://shop:$(DB_PASSWORD)@$(HOST_OF_DB)/shop"},
    ]);
    let container = container(&env, &json!({}), 60);
    let names: Vec<&str> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["HOST_OF_DB", "DATABASE_URL", "WAVEGATE_URLS", "WAVEGATE_HOSTS", "WAVEGATE_TIMEOUT"]
    );
    assert_eq!(container["env"][4]["value"], "60");
    assert!(container.get("envFrom").is_none());
    assert!(container.get("volumeMounts").is_none());
}
