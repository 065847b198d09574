//! The container itself.

use serde_json::{Map, Value, json};

use super::{Host, Source};
use crate::domain::job::Job;
use crate::domain::waiter::own;
use crate::policy::{Waiter, WaiterForm};

/// User of wavegate's image, and of a container whose pod would run it as root.
const USER: u32 = 65532;

pub(super) fn build(
    job: &Job<'_>,
    name: &str,
    source: Source<'_>,
    waiter: &Waiter,
    deadline: Option<i64>,
) -> Value {
    let form = waiter.form();
    let timeout = timeout(job, deadline, waiter);
    let resources = json!({"cpu": waiter.cpu, "memory": waiter.memory});
    let mut container = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("imagePullPolicy".to_owned(), json!("IfNotPresent")),
        ("resources".to_owned(), json!({"requests": resources, "limits": resources})),
        ("securityContext".to_owned(), security_context(job, form)),
        ("terminationMessagePolicy".to_owned(), json!("FallbackToLogsOnError")),
    ]);
    let fields = match form {
        WaiterForm::Native { image } => native(image, timeout, source),
        WaiterForm::Busybox { image, .. } => busybox(image, timeout, source),
    };
    container.extend(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
    Value::Object(container)
}

/// Seconds to wait: what the policy says, and at most half of the Job's deadline, be it filled in, or of its pod's.
fn timeout(job: &Job<'_>, filled_in: Option<i64>, waiter: &Waiter) -> u64 {
    let wanted = waiter.timeout.as_secs();
    let own = job.manifest.spec.active_deadline_seconds;
    let deadlines = [own, filled_in, job.pod().active_deadline_seconds];
    let half =
        deadlines.into_iter().flatten().min().and_then(|seconds| u64::try_from(seconds / 2).ok());
    half.map_or(wanted, |half| half.min(wanted)).max(1)
}

/// Finds the variables by itself, so it is told none.
fn native(image: &str, timeout: u64, source: Source<'_>) -> Vec<(&'static str, Value)> {
    let mut args = vec![format!("{}{timeout}s", own::TIMEOUT)];
    let mut told = Vec::new();
    match source {
        Source::Named(database) => args.push(format!("{}{database}", own::TARGET)),
        Source::Variables { env, env_from, .. } => {
            told.extend((!env.is_empty()).then_some(("env", Value::Array(env))));
            told.extend(env_from.map(|sources| ("envFrom", sources)));
        }
    }
    let mut fields =
        vec![("image", json!(image)), ("command", json!(own::NATIVE)), ("args", json!(args))];
    fields.extend(told);
    fields
}

fn busybox(image: &str, timeout: u64, source: Source<'_>) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("image", json!(image)), ("command", json!(own::BUSYBOX))];
    let mut env = match source {
        Source::Named(database) => vec![literal("WAVEGATE_DATABASE", database)],
        Source::Variables { urls, hosts, mut env, env_from } => {
            env.extend(lists(&urls, &hosts));
            fields.extend(env_from.map(|sources| ("envFrom", sources)));
            env
        }
    };
    env.push(literal("WAVEGATE_TIMEOUT", &timeout.to_string()));
    fields.push(("env", Value::Array(env)));
    fields
}

/// What the script looks for.
fn lists(urls: &[&str], hosts: &[Host]) -> [Value; 2] {
    let hosts: Vec<String> =
        hosts.iter().map(|(host, port, default)| format!("{host}:{port}:{default}")).collect();
    [literal("WAVEGATE_URLS", &urls.join(" ")), literal("WAVEGATE_HOSTS", &hosts.join(" "))]
}

fn literal(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

/// What Pod Security's restricted level asks of a container.
fn security_context(job: &Job<'_>, form: WaiterForm<'_>) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let chosen = job.pod().security_context.run_as_user;
    let user = match (form, chosen) {
        // The image's own user is numeric and not root, and OpenShift wants to choose.
        (WaiterForm::Native { .. }, chosen) => chosen.filter(|user| *user == 0).map(|_| USER),
        (WaiterForm::Busybox { user, .. }, None) => user,
        (WaiterForm::Busybox { user, .. }, Some(0)) => user.or(Some(USER)),
        (WaiterForm::Busybox { .. }, Some(_)) => None,
    };
    if let (Some(user), Some(fields)) = (user, context.as_object_mut()) {
        fields.insert("runAsUser".to_owned(), json!(user));
    }
    context
}
