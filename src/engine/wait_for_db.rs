//! The init container that waits for the database, in its `busybox` form: a bounded `nc` loop.
//!
//! It must not break a migration that works. A target that is only discovered, in variables that the author
//! wrote for the migration, and turns out to be unusable ends the wait with one line and success; only a
//! remote target that stays unreachable fails the pod. Values reach the shell through the environment alone.

use serde_json::{Map, Value, json};

use crate::domain::database::variables::{HOSTS, URLS};
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::{Container, EnvVar};
use crate::policy::Policy;

/// The script, the same for every Job.
pub const SCRIPT: &str = include_str!("wait-for-db.sh");

/// The container's whole command.
const COMMAND: [&str; 3] = ["/bin/sh", "-c", SCRIPT];

/// The container's name, and the one it gets where the author uses that name for something else.
const NAMES: [&str; 2] = ["wait-for-db", "wavegate-wait-for-db"];

/// What to do about a migration Job without a waiter.
#[derive(Clone, Debug, PartialEq)]
pub enum Injection {
    /// Add this container at this index of `initContainers`.
    Add {
        /// The container.
        container: Value,
        /// Its name.
        name: &'static str,
        /// Where it goes: behind the native sidecars at the head of the list, through which the database may
        /// only be reachable, and before everything else.
        index: usize,
    },
    /// Nothing, because of this.
    Skip(&'static str),
}

/// The init container of a Job that is wavegate's own, told by its script and not by its name.
pub fn injected<'a>(job: &'a Job<'_>) -> Option<&'a Container<'a>> {
    let is_ours = |container: &&Container<'_>| {
        container.command.iter().map(AsRef::as_ref).eq(COMMAND) && container.args.is_empty()
    };
    job.pod().init_containers.iter().find(is_ours)
}

/// Builds the container for a migration Job that has no waiter, or says why there is none to add.
pub fn plan(job: &Job<'_>, policy: &Policy) -> Injection {
    let pod = job.pod();
    if pod.is_windows() {
        return Injection::Skip("its pods run on Windows");
    }
    if job.classic_mesh_sidecar().is_some() {
        return Injection::Skip(
            "a mesh's classic sidecar starts after the init containers, which have no network",
        );
    }
    let Some((_, migration)) = job.migration_container() else {
        return Injection::Skip(
            "it has several containers; name the migration's in wavegate.dev/container",
        );
    };
    let target = match Target::of(job, migration) {
        Ok(target) => target,
        Err(reason) => return Injection::Skip(reason),
    };
    let taken =
        |name: &&str| !pod.all_containers().any(|(_, container)| container.name.as_str() == *name);
    let Some(name) = NAMES.into_iter().find(taken) else {
        return Injection::Skip("both names of the container are taken");
    };
    let sidecars = pod.init_containers.iter();
    let index = sidecars.take_while(|c| c.restart_policy.as_deref() == Some("Always")).count();
    Injection::Add { container: build(job, name, target, policy), name, index }
}

/// What the container is told about the database.
struct Target {
    env: Vec<Value>,
    env_from: Option<Value>,
}

impl Target {
    fn of(job: &Job<'_>, migration: &Container<'_>) -> Result<Self, &'static str> {
        if let Some(key) = job.key(keys::DATABASE) {
            check_address(key.value)?;
            return Ok(Self { env: vec![literal("WAVEGATE_DATABASE", key.value)], env_from: None });
        }
        let mut variables = migration.variables();
        // The file behind such a variable is written by an init container that runs after this one.
        variables.retain(|variable| {
            !variable.value_from.is_some_and(|source| source.get().contains("\"fileKeyRef\""))
        });
        let written = |name: &str| variables.iter().any(|variable| variable.name.as_str() == name);
        let urls: Vec<&str> = URLS.iter().copied().filter(|name| written(name)).collect();
        let hosts: Vec<_> = HOSTS.iter().filter(|(host, _, _)| written(host)).collect();
        if !urls.is_empty() || !hosts.is_empty() {
            let named =
                urls.iter().copied().chain(hosts.iter().flat_map(|(host, port, _)| [*host, *port]));
            let mut env = copied(&variables, &named.collect::<Vec<_>>());
            env.extend(lists(&urls, &hosts));
            return Ok(Self { env, env_from: None });
        }
        if !migration.has_env_from() {
            return Err("no variable names its database; write wavegate.dev/database");
        }
        let env_from = migration.env_from.and_then(|raw| serde_json::from_str(raw.get()).ok());
        Ok(Self { env: lists(URLS, &HOSTS.iter().collect::<Vec<_>>()), env_from })
    }
}

/// Whether a text may stand for a database without giving a password away: the key is readable by anybody
/// who may read the Job.
fn check_address(text: &str) -> Result<(), &'static str> {
    if text.contains('@') {
        return Err(
            "wavegate.dev/database holds credentials; write host:port or a URL without them",
        );
    }
    if text.contains(char::is_whitespace) || !text.contains(':') {
        return Err("wavegate.dev/database is neither host:port nor a URL");
    }
    Ok(())
}

fn lists(urls: &[&str], hosts: &[&(&str, &str, &str)]) -> Vec<Value> {
    let hosts: Vec<String> =
        hosts.iter().map(|(host, port, default)| format!("{host}:{port}:{default}")).collect();
    vec![literal("WAVEGATE_URLS", &urls.join(" ")), literal("WAVEGATE_HOSTS", &hosts.join(" "))]
}

fn literal(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// The named variables as the migration has them, and those that their values refer to as `$(NAME)`, which
/// must stand before them. References that name a credential stay as they are: the waiter needs none.
fn copied(variables: &[EnvVar<'_>], names: &[&str]) -> Vec<Value> {
    let mut wanted: Vec<&str> = names.to_vec();
    let mut next = 0;
    while let Some(name) = wanted.get(next).copied() {
        next += 1;
        let variable = variables.iter().find(|variable| variable.name.as_str() == name);
        let value = variable.and_then(|variable| variable.value.as_deref()).unwrap_or_default();
        for reference in references(value) {
            if !is_credential(reference) && !wanted.contains(&reference) {
                wanted.push(reference);
            }
        }
    }
    let copies = variables.iter().filter(|variable| wanted.contains(&variable.name.as_str()));
    copies.map(variable_json).collect()
}

/// Names in `$(NAME)`.
fn references(value: &str) -> impl Iterator<Item = &str> {
    value.split("$(").skip(1).filter_map(|rest| rest.split_once(')')).map(|(name, _)| name)
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["PASS", "PWD", "SECRET", "TOKEN", "KEY", "USER"].iter().any(|word| name.contains(word))
}

fn variable_json(variable: &EnvVar<'_>) -> Value {
    let mut entry = Map::from_iter([("name".to_owned(), json!(variable.name.as_str()))]);
    if let Some(value) = &variable.value {
        entry.insert("value".to_owned(), json!(value.as_str()));
    }
    let source = variable.value_from.and_then(|raw| serde_json::from_str(raw.get()).ok());
    if let Some(source) = source {
        entry.insert("valueFrom".to_owned(), source);
    }
    Value::Object(entry)
}

fn build(job: &Job<'_>, name: &str, target: Target, policy: &Policy) -> Value {
    let waiter = &policy.waiter;
    let deadline = job.manifest.spec.active_deadline_seconds;
    let half = deadline.and_then(|seconds| u64::try_from(seconds / 2).ok());
    let timeout =
        half.map_or(waiter.timeout.as_secs(), |half| half.min(waiter.timeout.as_secs())).max(1);
    let mut env = target.env;
    env.push(literal("WAVEGATE_TIMEOUT", &timeout.to_string()));
    let resources = json!({"cpu": waiter.cpu, "memory": waiter.memory});
    let mut container = json!({
        "name": name,
        "image": waiter.image,
        "imagePullPolicy": "IfNotPresent",
        "command": COMMAND,
        "env": env,
        "resources": {"requests": resources, "limits": resources},
        "securityContext": security_context(job, policy),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if let (Some(env_from), Some(fields)) = (target.env_from, container.as_object_mut()) {
        fields.insert("envFrom".to_owned(), env_from);
    }
    container
}

/// What Pod Security's restricted level asks of a container. The image's own user is root, so a user is set,
/// unless the pod already chose one that is not.
fn security_context(job: &Job<'_>, policy: &Policy) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let chosen = job.pod().security_context.run_as_user.is_some_and(|user| user != 0);
    let user = policy.waiter.user.filter(|_| !chosen);
    if let (Some(user), Some(fields)) = (user, context.as_object_mut()) {
        fields.insert("runAsUser".to_owned(), json!(user));
    }
    context
}
