use crate::domain::argocd::{HOOK, HookPhase};
use crate::domain::job::Job;
use crate::policy::Ordering;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A verification Job does not run after the rollout.
    ///
    /// # What it checks
    ///
    /// A Job with the verification role is neither a `PostSync` hook, nor a Helm hook with a `post-`
    /// phase, nor a `Sync` hook or plain Job in a wave above 0.
    ///
    /// # Why it matters
    ///
    /// A verification that runs before or beside the rollout tells nothing about it, and yet the sync
    /// shows it green.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-verify
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    ///     wavegate.dev/role: verification
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate, --check]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// Accepted:
    ///
    /// ```yaml accepted
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-verify
    ///   annotations:
    ///     argocd.argoproj.io/hook: PostSync
    ///     wavegate.dev/role: verification
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate, --check]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// # Configuration
    ///
    /// Silent with `ordering: external`.
    ///
    /// # References
    ///
    /// - [Argo CD: sync phases and waves](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/)
    "WG205" "verification-out-of-order", Deny, Object, [Verification(check)]
}

fn check(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let ordering = &job.ordering;
    if cx.policy.ordering == Ordering::External || ordering.is_misspelt_hook() {
        return;
    }
    // Helm knows its own hooks alone.
    let helm = cx.policy.ordering == Ordering::Helm;
    let in_sync = !helm && (ordering.has(HookPhase::Sync) || !ordering.is_hook());
    // `helm test` runs when somebody asks for it, after the release.
    let test = ordering.helm_only && !ordering.helm_pre;
    let post_sync = ordering.has(HookPhase::PostSync) && (!helm || ordering.helm_hook);
    let after = post_sync || ordering.helm_post || test;
    if after
        || (in_sync && (ordering.wave > 0 || ordering.has_wave && ordering.explicit_wave.is_none()))
    {
        return;
    }
    found.push(
        format!("metadata.annotations[{HOOK}]"),
        "the verification does not run after the rollout",
        "annotate argocd.argoproj.io/hook: PostSync, or helm.sh/hook: post-install,post-upgrade",
    );
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{declared, problems};

    use super::*;

    #[test]
    fn after_the_rollout_in_every_notation() {
        let cases = [
            (r#"{"argocd.argoproj.io/hook":"PostSync"}"#, 0),
            (r#"{"argocd.argoproj.io/hook":"PreSync"}"#, 1),
            (r#"{"argocd.argoproj.io/hook":"Sync","argocd.argoproj.io/sync-wave":"2"}"#, 0),
            (r#"{"argocd.argoproj.io/hook":"Sync","argocd.argoproj.io/sync-wave":"0"}"#, 1),
            (r#"{"helm.sh/hook":"post-upgrade"}"#, 0),
            (r#"{"helm.sh/hook":"test"}"#, 0),
            (r#"{"argocd.argoproj.io/hook":"Postsync"}"#, 0),
            ("{}", 1),
        ];
        for (annotations, want) in cases {
            let job = declared("verification", annotations);
            assert_eq!(problems(&RULE, &job).len(), want, "{annotations}");
        }
    }
}
