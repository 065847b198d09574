use crate::domain::job::{read_command_line, read_commands_by};
use crate::domain::manifest::{CronJobManifest, PodSpec};
use crate::domain::runner::{Certainty, RunnerMatch};
use crate::domain::workload::Workload;
use crate::policy::context::Standing;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The app's own pods run the migration.
    ///
    /// # What it checks
    ///
    /// A container, init container or `postStart` hook of a Deployment, StatefulSet, DaemonSet,
    /// Rollout or CronJob runs a migration. It denies for a workload that opted in and warns for any
    /// other.
    ///
    /// # Why it matters
    ///
    /// Every pod runs it: at once when several start, again with each restart, and after each
    /// scaling. Migrations that run twice at the same time dead-lock or record a step as done that
    /// was not, and a pod that is killed in between leaves a lock behind. A CronJob repeats it on a
    /// schedule.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: shop-api
    ///   labels: {wavegate.dev/app: shop}
    /// spec:
    ///   replicas: 3
    ///   strategy:
    ///     rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    ///   selector: {matchLabels: {app: shop-api}}
    ///   template:
    ///     metadata: {labels: {app: shop-api}}
    ///     spec:
    ///       initContainers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    ///       containers:
    ///         - name: api
    ///           image: example.com/shop/api:v1.2.0
    ///           readinessProbe: {httpGet: {path: /health, port: 8080}}
    /// ```
    ///
    /// Accepted:
    ///
    /// ```yaml accepted
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: shop-api
    ///   labels: {wavegate.dev/app: shop}
    /// spec:
    ///   replicas: 3
    ///   strategy:
    ///     rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    ///   selector: {matchLabels: {app: shop-api}}
    ///   template:
    ///     metadata: {labels: {app: shop-api}}
    ///     spec:
    ///       initContainers:
    ///         - name: wait-for-migrations
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [sh, -c, "until python manage.py migrate --check; do sleep 2; done"]
    ///       containers:
    ///         - name: api
    ///           image: example.com/shop/api:v1.2.0
    ///           readinessProbe: {httpGet: {path: /health, port: 8080}}
    /// ```
    ///
    /// # Configuration
    ///
    /// Whether inferred pairs deny.
    ///
    /// # References
    ///
    /// - [langfuse-k8s#239](https://github.com/langfuse/langfuse-k8s/issues/239)
    "WG503" "migration-in-app-pod", Deny, Object, [AnyWorkload(workload), CronJob(cron_job)]
}

fn workload(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    if let Some(pod) = workload.pod() {
        check_pod(pod, "spec.template.spec", "in every pod of the app", cx, found);
    }
}

fn cron_job(cron_job: &CronJobManifest<'_>, cx: &Context<'_>, found: &mut Problems) {
    if let Some(job) = &cron_job.spec.job_template {
        let pod = &job.spec.template.spec;
        check_pod(
            pod,
            "spec.jobTemplate.spec.template.spec",
            "again at each time of its schedule",
            cx,
            found,
        );
    }
}

fn check_pod(pod: &PodSpec<'_>, path: &str, when: &str, cx: &Context<'_>, found: &mut Problems) {
    for (place, reading) in read_commands_by(pod, &cx.policy.detection) {
        let Some(container) = pod.container(place) else { continue };
        let field = if container.command.is_empty() { "args" } else { "command" };
        if let Some(runner) = &reading.runner {
            report(format!("{path}.{place}.{field}"), runner, when, cx, found);
        }
        let hook =
            read_command_line(&container.lifecycle.post_start.exec.command, &cx.policy.detection);
        if let Some(runner) = &hook.runner {
            report(
                format!("{path}.{place}.lifecycle.postStart.exec.command"),
                runner,
                when,
                cx,
                found,
            );
        }
    }
}

fn report(path: String, runner: &RunnerMatch, when: &str, cx: &Context<'_>, found: &mut Problems) {
    let message = format!("runs `{}` ({}) {when}", runner.command, runner.tool);
    let help = "run it once, in a PreSync Job";
    let sure = runner.certainty == Certainty::Certain;
    let asked = cx.standing == Standing::OptedIn
        || (cx.standing == Standing::Inferred && cx.policy.inferred_pairs_deny);
    found.push_or_advise(sure && asked, path, message, help);
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::WorkloadKind;
    use crate::policy::sample::{workload, workload_problems};

    use super::*;

    #[test]
    fn looks_everywhere_a_pod_runs_something() {
        let cases = [
            (
                r#""command":["sh","-c","python manage.py migrate && gunicorn app"]"#,
                Some("spec.template.spec.containers[0].command"),
            ),
            (
                r#""args":["bundle","exec","rails","db:migrate"]"#,
                Some("spec.template.spec.containers[0].args"),
            ),
            (
                r#""lifecycle":{"postStart":{"exec":{"command":["alembic","upgrade","head"]}}}"#,
                Some("spec.template.spec.containers[0].lifecycle.postStart.exec.command"),
            ),
            (r#""command":["airflow","db","check-migrations"]"#, None),
            (r#""command":["gunicorn","app"]"#, None),
        ];
        for (fields, want) in cases {
            let subject = workload(
                WorkloadKind::Deployment,
                &format!(
                    r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"api","image":"a:1",{fields}}}]}}}}}}}}"#
                ),
            );
            let found = workload_problems(&RULE, &subject);
            assert_eq!(found.first().map(|problem| problem.path.as_str()), want, "{fields}");
        }
    }
}
