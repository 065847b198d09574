use crate::domain::argocd::{DELETE_POLICY, DeletePolicy, HELM_DELETE_POLICY};
use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The finished migration Job is deleted before anybody can read it.
    ///
    /// # What it checks
    ///
    /// The delete policies hold `HookFailed`, or `HookSucceeded` without `BeforeHookCreation`, or
    /// `ttlSecondsAfterFinished` is below ten minutes.
    ///
    /// # Why it matters
    ///
    /// `HookFailed` deletes the failed Job together with its logs, just when they are needed.
    /// `HookSucceeded` alone never deletes a failed Job, so that the next sync stumbles over it. A
    /// short TTL may delete the Job before the rollout that waits for it.
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
    ///     argocd.argoproj.io/hook-delete-policy: BeforeHookCreation,HookFailed
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
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
    ///     argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// # Configuration
    ///
    /// The shortest TTL.
    ///
    /// # References
    ///
    /// - [Argo CD: hook deletion policies](https://argo-cd.readthedocs.io/en/stable/user-guide/resource_hooks/#hook-deletion-policies)
    /// - [argo-cd#21055](https://github.com/argoproj/argo-cd/issues/21055)
    "WG203" "evidence-deleted-early", Warn, Object, [Migration(check)]
}

fn check(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let ordering = &job.ordering;
    if ordering.deletes(DeletePolicy::HookFailed) {
        found.push(
            policy_path(job),
            "deletes the failed Job, and its logs with it",
            "use BeforeHookCreation alone",
        );
    }
    if ordering.deletes(DeletePolicy::HookSucceeded)
        && !ordering.deletes(DeletePolicy::BeforeHookCreation)
    {
        found.push(
            policy_path(job),
            "deletes the Job as soon as it succeeded, and never a failed one, which blocks the next sync",
            "use BeforeHookCreation",
        );
    }
    let minimum = cx.policy.minimum_ttl_seconds;
    if let Some(ttl) = job.manifest.spec.ttl_seconds_after_finished.filter(|ttl| *ttl < minimum) {
        found.push(
            "spec.ttlSecondsAfterFinished",
            format!("is {ttl}, so the Job may be gone before the rollout; want none or at least {minimum}"),
            "remove ttlSecondsAfterFinished: BeforeHookCreation cleans up",
        );
    }
}

fn policy_path(job: &Job<'_>) -> String {
    let annotations = &job.manifest.metadata.annotations;
    let key =
        if annotations.get(DELETE_POLICY).is_some() { DELETE_POLICY } else { HELM_DELETE_POLICY };
    format!("metadata.annotations[{key}]")
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn policies_and_ttl() {
        let cases = [
            (
                r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook-delete-policy":"HookFailed"}}}"#,
                1,
            ),
            (
                r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook-delete-policy":"HookSucceeded"}}}"#,
                1,
            ),
            (
                r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook-delete-policy":"HookSucceeded,BeforeHookCreation"}}}"#,
                0,
            ),
            (r#"{"metadata":{"annotations":{"helm.sh/hook-delete-policy":"hook-succeeded"}}}"#, 1),
            (r#"{"spec":{"ttlSecondsAfterFinished":0}}"#, 1),
            (r#"{"spec":{"ttlSecondsAfterFinished":600}}"#, 0),
        ];
        for (patch, want) in cases {
            assert_eq!(problems(&RULE, &migration(patch)).len(), want, "{patch}");
        }
    }
}
