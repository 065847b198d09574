//! Commands that wait for a database or a port.

mod code;
mod loops;
pub mod own;

use std::time::Duration;

use super::command::is_health_request;
use super::runner::{file_name, is_waiter_name, listed, wrapper};

pub(super) use loops::{Literals, waiting_loop};

/// A command that waits until something can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// What waits.
    pub tool: &'static str,
    /// The longest that it waits, as far as the command tells; the time that a single attempt takes is not
    /// counted. `None` where nothing bounds it, or nothing that can be read.
    pub bound: Option<Duration>,
}

impl Waiter {
    fn new(tool: &'static str, bound: Option<Duration>) -> Self {
        Self { tool, bound }
    }

    /// Two waits in a row.
    pub(super) fn then(&mut self, next: &Self) {
        self.bound = self.bound.zip(next.bound).map(|(first, second)| first.saturating_add(second));
    }

    /// A wait that something else ends at the latest.
    pub(super) fn within(&mut self, limit: Duration) {
        self.bound = Some(self.bound.map_or(limit, |bound| bound.min(limit)));
    }
}

/// A waiter and the command that it runs afterwards.
pub(super) struct Waiting<'a> {
    pub(super) waiter: Waiter,
    pub(super) then: Option<&'a [&'a str]>,
}

/// A script that waits, by its name. What it waits for and how it goes on, only the script knows.
pub(super) const SCRIPT: &str = "wait script";

/// Verbs by which an app's own program waits for its database.
const VERBS: &str = "\
    wait-for-db wait_for_db wait-for-database wait_for_database wait-db wait_db waitfordb db:wait
    db:wait_for_db db:wait_for_database wait:db wait-for-postgres wait_for_postgres wait-for-mysql
    wait_for_mysql";

/// How long wavegate's own waiter waits unless it is told.
const OWN_TIMEOUT: Duration = Duration::from_mins(1);

/// Programs that wait and then run a command: names, tool, option of the bound, its default in seconds.
/// Source: each tool's documentation.
const WAITERS: &[(&str, &str, &str, u64)] = &[
    ("wait-for-it wait-for-it.sh wait_for_it.sh", "wait-for-it", "-t --timeout", 15),
    ("wait-for wait-for.sh", "wait-for", "-t --timeout", 15),
    ("wait4x", "wait4x", "-t --timeout", 10),
    ("dockerize", "dockerize", "-timeout --timeout", 10),
    ("waitforit", "waitforit", "-timeout --timeout", 10),
    ("wait-for-port", "wait-for-port", "-t --timeout", 30),
];

/// Reads a command that waits.
pub(super) fn read<'a>(program: &str, args: &'a [&'a str]) -> Option<Waiting<'a>> {
    let name = file_name(program);
    // What prints its usage waits for nothing.
    if matches!(args.first(), Some(&"--help" | &"--version")) {
        return None;
    }
    let separator = args.iter().position(|arg| *arg == "--");
    let behind = separator.and_then(|at| args.get(at + 1..));
    if let Some((_, tool, options, default)) =
        WAITERS.iter().find(|(names, ..)| listed(names, name))
    {
        let waiter = Waiter::new(tool, bound(args, options, Some(*default)));
        let is_dockerize = *tool == "dockerize";
        let waits = args.iter().any(|arg| arg.trim_start_matches('-').starts_with("wait"));
        let then = behind.or_else(|| is_dockerize.then(|| wrapper::skip_options(args, DOCKERIZE)));
        return (waits || !is_dockerize).then_some(Waiting { waiter, then });
    }
    if let Some(waiter) = read_alone(name, args) {
        return Some(Waiting { waiter, then: None });
    }
    if program != "wait" && is_waiter_name(name) {
        let waiter = Waiter::new(SCRIPT, bound(args, "--timeout", None));
        return Some(Waiting { waiter, then: behind.or(Some(args)) });
    }
    None
}

/// Waiters that run nothing afterwards.
fn read_alone(name: &str, args: &[&str]) -> Option<Waiter> {
    let first = args.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or_default();
    let has = |option: &str| args.iter().any(|arg| arg.starts_with(option));
    let (tool, bound) = match name {
        // 0 means none for both, and a number alone means milliseconds.
        "wait-port" => ("wait-port", milliseconds(option(args, "-t --timeout"))),
        "wait-on" => ("wait-on", milliseconds(option(args, "-t --timeout"))),
        "curl" => ("curl", Some(curl(args)?)),
        "mysqladmin" if has("--wait") => ("mysqladmin", None),
        "kubectl" | "oc" if first == "wait" => ("kubectl wait", bound(args, "--timeout", Some(30))),
        "kubectl" | "oc" if first == "rollout" && args.contains(&"status") => {
            ("kubectl rollout status", bound(args, "--timeout", None))
        }
        "airflow" if args.contains(&"check-migrations") => {
            ("airflow", bound(args, "-t --migration-wait-timeout", Some(60)))
        }
        "dbmate" if first == "wait" || args.contains(&"--wait") => {
            ("dbmate", bound(args, "--wait-timeout", Some(60)))
        }
        "flyway" if has("-connectRetries=") => ("flyway", None),
        // Of the OpenStack charts: its dependencies stand in the environment.
        "kubernetes-entrypoint" => ("kubernetes-entrypoint", None),
        "wait_for.sh" | "k8s-wait-for" => ("k8s-wait-for", None),
        _ => return code::read(name, args),
    };
    Some(Waiter::new(tool, bound))
}

/// A request that is repeated until something answers, and of which nothing is kept. Without one of the two options
/// curl gives up where nothing listens. Pauses double from a second to ten minutes unless they are given.
/// Source: curl's manual, `--retry`.
fn curl(args: &[&str]) -> Option<Duration> {
    let retries: u32 = option(args, "--retry")?.parse().ok().filter(|retries| *retries > 0)?;
    let insists =
        args.iter().any(|arg| matches!(*arg, "--retry-connrefused" | "--retry-all-errors"));
    if !insists || !is_health_request("curl", args) {
        return None;
    }
    let pauses = match option(args, "--retry-delay").and_then(seconds) {
        Some(delay) if !delay.is_zero() => delay.saturating_mul(retries),
        _ => (0..retries.min(1000)).map(|at| Duration::from_secs(600.min(1 << at.min(10)))).sum(),
    };
    let longest = option(args, "--retry-max-time").and_then(seconds).filter(|time| !time.is_zero());
    Some(longest.map_or(pauses, |longest| longest.min(pauses)))
}

fn milliseconds(text: Option<&str>) -> Option<Duration> {
    let text = text?;
    let bound = text.parse().map(Duration::from_millis).ok().or_else(|| seconds(text));
    bound.filter(|bound| !bound.is_zero())
}

/// The bound that an option gives, else the default in seconds. 0 means none.
fn bound(args: &[&str], options: &str, default: Option<u64>) -> Option<Duration> {
    match option(args, options) {
        Some(text) => seconds(text).filter(|bound| !bound.is_zero()),
        None => default.map(Duration::from_secs),
    }
}

/// The waiter that a program is by its verb: `manage.py wait_for_db`. One that a task runner names, as
/// `npm run wait-for-db` does, is one by its name too.
pub(super) fn read_verb(name: &str, is_target: bool, args: &[&str]) -> Option<Waiter> {
    if args.iter().any(|arg| matches!(*arg, "--help" | "--version")) {
        return None;
    }
    if name == "wavegate" {
        let shows = args.iter().any(|arg| matches!(*arg, "-h" | "-V"));
        let waits = args.first() == Some(&"wait-for-db") && !shows;
        let bound = bound(args, "--timeout", Some(OWN_TIMEOUT.as_secs()));
        return waits.then(|| Waiter::new("wavegate wait-for-db", bound));
    }
    let is_named = is_target && is_waiter_name(name);
    let waits = is_named || args.iter().take(4).any(|arg| listed(VERBS, arg));
    waits.then(|| Waiter::new("wait command", bound(args, "--timeout -t", None)))
}

const DOCKERIZE: &str = "\
    -wait -timeout -wait-retry-interval -wait-http-header -template -stdout -stderr -poll -delims
    -env -env-section -multiline -exit-code --wait --timeout";

/// Programs that tell by their status whether something can be reached.
pub(super) const PROBES: &str = "\
    nc ncat netcat pg_isready mysqladmin mariadb-admin mysql mariadb psql redis-cli valkey-cli
    mongosh mongo cqlsh clickhouse-client curl wget nslookup getent dig host telnet ping sqlcmd
    rabbitmq-diagnostics tcping healthcheck.sh";

/// The value of an option: `-t 30`, `-t30`, `--timeout=30`.
fn option<'a>(args: &[&'a str], names: &str) -> Option<&'a str> {
    let options = args.split(|arg| *arg == "--").next().unwrap_or_default();
    options.iter().enumerate().find_map(|(at, arg)| {
        names.split_ascii_whitespace().find_map(|name| {
            let rest = arg.strip_prefix(name)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value),
                None if rest.is_empty() => options.get(at + 1).copied(),
                None if name.len() == 2 => Some(rest),
                None => None,
            }
        })
    })
}

/// Reads `30`, `0.5`, `30s`, `2m`, `1h`, `500ms`, `1m30s`. A number alone means seconds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    const LONGEST: f64 = 1e9;
    let (mut total, mut rest) = (0.0, text.trim());
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let factor = match unit {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (total.is_finite() && (0.0..=LONGEST).contains(&total)).then(|| Duration::from_secs_f64(total))
}
