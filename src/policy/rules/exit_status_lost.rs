use crate::domain::job::Job;
use crate::domain::runner::LostHow;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The script hides whether the migration failed.
    ///
    /// # What it checks
    ///
    /// The shell script that runs the migration goes on after a failure as if nothing had happened:
    /// `|| true`, `|| :` and `|| exit 0` are refused; a pipe without `pipefail`, a further command
    /// without `set -e`, a background `&`, `!` and an `if` without a failing branch are warned of.
    /// Saving the status (`EXIT_CODE=$?`) and failing by it later is fine.
    ///
    /// # Why it matters
    ///
    /// A container ends with the status of its script. If the script ends well although the migration
    /// failed, the Job completes, the sync goes on, and the new code meets the old schema.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [sh, -c, "python manage.py migrate || true"]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// Accepted:
    ///
    /// ```yaml accepted
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [sh, -c, "set -e; python manage.py migrate; echo done"]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// # Configuration
    ///
    /// None.
    ///
    /// # References
    ///
    /// - [POSIX shell: consequences of errors and errexit](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#set)
    "WG111" "exit-status-lost", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let Some((place, container)) = job.migration_container() else { return };
    let Some(lost) = job.migration_reading().and_then(|reading| reading.lost_status.as_ref())
    else {
        return;
    };
    let field = if container.command.is_empty() { "args" } else { "command" };
    let path = format!("spec.template.spec.{place}.{field}");
    let (why, help) = match lost.how {
        LostHow::OrTrue => {
            ("turns a failure into success", "remove what follows the migration's ||")
        }
        LostHow::OrOther => ("goes on after a failure", "end the right-hand side with exit 1"),
        LostHow::Pipe => {
            ("ends with the status of the last command of the pipe", "set -o pipefail")
        }
        LostHow::Continues => ("goes on after a failure", "start the script with set -e"),
        LostHow::Background => ("does not wait for the migration", "run it in the foreground"),
        LostHow::Inverted => ("takes failure for success", "remove the !"),
        LostHow::Condition => ("has no branch that fails", "exit 1 in the branch for failure"),
    };
    let message =
        format!("`{}` {why}, so the Job completes although the migration failed", lost.excerpt);
    match lost.how {
        LostHow::OrTrue => found.push(path, message, help),
        _ => found.advise(path, message, help),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn or_true_denies_and_the_rest_advises() {
        let cases = [
            ("manage.py migrate || true", Some(false)),
            ("manage.py migrate || :", Some(false)),
            ("manage.py migrate || echo failed || true", Some(false)),
            ("manage.py migrate || ./repair || true", Some(false)),
            ("manage.py migrate || exit 1 || true", None),
            ("manage.py migrate & wait", Some(true)),
            ("manage.py migrate & wait $!", None),
            ("manage.py migrate | tee log", Some(true)),
            ("manage.py migrate; echo done", Some(true)),
            ("manage.py migrate || exit 1", None),
            ("set -e; manage.py migrate; echo done", None),
            ("manage.py migrate; CODE=$?; echo done; exit $CODE", None),
        ];
        for (script, want) in cases {
            let job = migration(&format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"m","image":"a:1","command":["sh","-c","{script}"]}}]}}}}}}}}"#
            ));
            let found = problems(&RULE, &job);
            assert_eq!(found.first().map(|problem| problem.advice), want, "{script}");
        }
    }
}
