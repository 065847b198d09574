//! The init container that waits for the database: wavegate's own `wait-for-db`, or a bounded `nc` loop in busybox.
//!
//! It must not break a migration that works. A target that is only discovered, in variables that the author
//! wrote for the migration, and turns out to be unusable ends the wait with one line and success; only a
//! remote target that stays unreachable fails the pod. Values reach a shell through the environment alone.

mod container;

use serde_json::{Map, Value, json};

use crate::domain::database::shown::{self, NotShown, is_credential};
use crate::domain::database::variables::{HOSTS, URLS};
use crate::domain::database::{Discovery, Target, discover};
use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::{Container, EnvVar};
use crate::domain::waiter::own;
use crate::policy::Policy;

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

/// The init container of a Job that is wavegate's own, in either form.
pub fn injected<'a>(job: &'a Job<'_>) -> Option<&'a Container<'a>> {
    job.pod().init_containers.iter().find(|container| own::is_own(container))
}

/// Builds the container for a migration Job that has no waiter, or says why there is none to add. `deadline` is the one
/// in seconds that the Job gets where it has none.
pub fn plan(job: &Job<'_>, policy: &Policy, deadline: Option<i64>) -> Injection {
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
    let source = match Source::of(job, migration, policy.waiter.database.as_deref()) {
        Ok(source) => source,
        Err(reason) => return Injection::Skip(reason),
    };
    let taken =
        |name: &&str| !pod.all_containers().any(|(_, container)| container.name.as_str() == *name);
    let Some(name) = NAMES.into_iter().find(taken) else {
        return Injection::Skip("both names of the container are taken");
    };
    let sidecars = pod.init_containers.iter();
    let index = sidecars.take_while(|c| c.restart_policy.as_deref() == Some("Always")).count();
    if index == 0 && source.is_local() {
        return Injection::Skip(
            "its database is the pod itself, where nothing listens before it runs",
        );
    }
    let container = container::build(job, name, source, &policy.waiter, deadline);
    Injection::Add { container, name, index }
}

/// Whether wavegate's own waiter will wait for something, as far as the Job tells. Where it finds nothing that it can wait
/// for it ends at once, so as not to break a migration that works.
pub fn is_sure(job: &Job<'_>, policy: &Policy) -> bool {
    let named =
        injected(job).is_some_and(|c| c.args.iter().any(|arg| arg.starts_with(own::TARGET)));
    if named || policy.waiter.database.is_some() || job.key(keys::DATABASE).is_some() {
        return true;
    }
    let Some((_, migration)) = job.migration_container() else { return false };
    let variables = variables(migration);
    let written = |name: &str| {
        let mut named = variables.iter().filter(|variable| variable.name.as_str() == name);
        named.find(|variable| literal(variable).is_none_or(|value| !value.trim().is_empty()))
    };
    let mut names = URLS.iter().copied().chain(HOSTS.iter().map(|(host, ..)| *host));
    match names.find_map(written) {
        None => false,
        // What is not written here is taken for a server, which it mostly is.
        Some(variable) if literal(variable).is_none() => true,
        Some(_) => {
            let value = |name: &str| written(name).and_then(literal).map(str::to_owned);
            matches!(discover(value), Discovery::Found(..))
        }
    }
}

/// The migration's variables that the waiter can have as well: the file behind a `fileKeyRef` is written by an init
/// container that runs after it.
fn variables<'c>(migration: &'c Container<'_>) -> Vec<EnvVar<'c>> {
    let mut variables = migration.variables();
    variables.retain(|variable| {
        !variable.value_from.is_some_and(|source| source.get().contains("\"fileKeyRef\""))
    });
    variables
}

/// A value that is written in the manifest as it will be.
fn literal<'v>(variable: &'v EnvVar<'_>) -> Option<&'v str> {
    let value = variable.value.as_deref().unwrap_or_default();
    (variable.value_from.is_none() && !value.contains("$(")).then_some(value)
}

/// Where the container finds out which database it waits for.
enum Source<'j> {
    /// The Job names it in `wavegate.dev/database`, or the policy does.
    Named(&'j str),
    /// In variables of the migration.
    Variables {
        /// Those that hold a URL, most telling first.
        urls: Vec<&'static str>,
        /// Those that hold a host, each with its port's and the default.
        hosts: Vec<Host>,
        /// The variables as the migration has them, with what they refer to.
        env: Vec<Value>,
        /// The Secrets and ConfigMaps in which the rest may stand. Nobody reads them before the container does.
        env_from: Option<Value>,
    },
}

/// Variables of a host and of its port, and the port where that is absent.
type Host = (&'static str, &'static str, &'static str);

impl<'j> Source<'j> {
    /// Whether the Job names a loopback address, at which only a sidecar can listen.
    fn is_local(&self) -> bool {
        match self {
            Self::Named(text) => Target::parse(text).is_ok_and(|target| target.is_local()),
            Self::Variables { .. } => false,
        }
    }

    fn of(
        job: &'j Job<'_>,
        migration: &Container<'_>,
        database: Option<&'j str>,
    ) -> Result<Self, &'static str> {
        if let Some(key) = job.key(keys::DATABASE) {
            check_address(key.value)?;
            return Ok(Self::Named(key.value));
        }
        if let Some(database) = database {
            return Ok(Self::Named(database));
        }
        let variables = variables(migration);
        let written = |name: &str| variables.iter().any(|variable| variable.name.as_str() == name);
        let mut urls: Vec<&str> = URLS.iter().copied().filter(|name| written(name)).collect();
        let mut hosts: Vec<Host> =
            HOSTS.iter().copied().filter(|(host, ..)| written(host)).collect();
        let is_elsewhere = urls.is_empty() && hosts.is_empty();
        if is_elsewhere && !migration.has_env_from() {
            return Err("no variable names its database; write wavegate.dev/database");
        }
        if is_elsewhere {
            (urls, hosts) = (URLS.to_vec(), HOSTS.to_vec());
        }
        let ports = hosts.iter().flat_map(|(host, port, _)| [*host, *port]);
        let wanted = wanted(&variables, urls.iter().copied().chain(ports).collect());
        // Half of it here and half of it there: a port that is not written, or what a value refers to.
        let is_split = hosts.iter().any(|(_, port, _)| !written(port))
            || wanted.iter().any(|name| !written(name) && !URLS.contains(name));
        let sources = migration.env_from.filter(|_| is_elsewhere || is_split);
        let env_from = sources.and_then(|raw| serde_json::from_str(raw.get()).ok());
        Ok(Self::Variables { urls, hosts, env: copied(&variables, &wanted), env_from })
    }
}

/// The key is readable by anybody who may read the Job. What names no server is refused here, since the waiter fails on
/// a target it was given.
fn check_address(text: &str) -> Result<(), &'static str> {
    shown::check(text).map_err(|error| match error {
        NotShown::Credentials => {
            "wavegate.dev/database holds credentials; write host:port or a URL without them"
        }
        NotShown::NoServer => "wavegate.dev/database is neither host:port nor the URL of a server",
    })
}

/// The named variables, and those that their values refer to as `$(NAME)`. References that name a credential
/// stay as they are: the waiter needs none.
fn wanted<'v>(variables: &'v [EnvVar<'_>], mut wanted: Vec<&'v str>) -> Vec<&'v str> {
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
    wanted
}

/// The wanted variables as the migration has them, in its order: what is referred to must stand before.
fn copied(variables: &[EnvVar<'_>], wanted: &[&str]) -> Vec<Value> {
    let copies = variables.iter().filter(|variable| wanted.contains(&variable.name.as_str()));
    copies.map(variable_json).collect()
}

/// Names in `$(NAME)`.
fn references(value: &str) -> impl Iterator<Item = &str> {
    value.split("$(").skip(1).filter_map(|rest| rest.split_once(')')).map(|(name, _)| name)
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
