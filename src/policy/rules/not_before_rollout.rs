use crate::domain::argocd::{HELM_HOOK, HOOK, HookPhase};
use crate::domain::job::Job;
use crate::domain::role::MigrationPhase;
use crate::policy::Ordering;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job does not run before the rollout.
    ///
    /// # What it checks
    ///
    /// A migration Job has no phase before the rollout: it is neither a `PreSync` hook, nor a `Sync`
    /// hook or plain Job with an explicit `argocd.argoproj.io/sync-wave`, nor a Helm hook with a
    /// `pre-` phase. Contracts and reverts may stand anywhere. A misspelt hook is WG202's to report.
    ///
    /// # Why it matters
    ///
    /// Argo CD applies objects of one phase and wave together: a Job without an order starts beside
    /// the pods that need its result, and one in `PostSync` after them.
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
    ///     argocd.argoproj.io/hook: PostSync
    ///     wavegate.dev/role: migration
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
    /// Silent with `ordering: external`, where a pipeline runs the migration before it applies the workloads. With
    /// `ordering: helm` only a hook of Helm's counts that runs before it installs or upgrades.
    ///
    /// # References
    ///
    /// - [Argo CD: sync phases and waves](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/)
    "WG201" "not-before-rollout", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let ordering = &job.ordering;
    let anywhere = job.recognition.phase != MigrationPhase::Expand;
    if anywhere || cx.policy.ordering == Ordering::External || ordering.is_misspelt_hook() {
        return;
    }
    if cx.policy.ordering == Ordering::Helm {
        return of_helm(job, found);
    }
    let in_sync = ordering.has(HookPhase::Sync) || !ordering.is_hook();
    if ordering.has(HookPhase::PreSync) || ordering.helm_pre || (in_sync && ordering.has_wave) {
        return;
    }
    let message = match ordering.phases.first() {
        Some(HookPhase::PostSync) => "runs after the rollout, as a PostSync hook".to_owned(),
        Some(HookPhase::Sync) => {
            "is a Sync hook without a sync wave, so it starts beside the app".to_owned()
        }
        Some(phase) => format!("is a {} hook, which never runs before a rollout", phase.name()),
        None => "has neither a hook nor a sync wave, so it starts beside the app".to_owned(),
    };
    found.push(
        format!("metadata.annotations[{HOOK}]"),
        message,
        "annotate argocd.argoproj.io/hook: PreSync, or a sync wave below the app's",
    );
}

/// Helm knows its own hooks alone, whatever Argo CD would make of the object.
fn of_helm(job: &Job<'_>, found: &mut Problems) {
    let hooks = job.manifest.metadata.annotations.get(HELM_HOOK).unwrap_or_default();
    if !hooks.split(',').any(|hook| matches!(hook.trim(), "pre-install" | "pre-upgrade")) {
        found.push(
            format!("metadata.annotations[{HELM_HOOK}]"),
            "is no hook that Helm runs before it installs or upgrades, so it starts beside the app",
            "annotate helm.sh/hook: pre-install,pre-upgrade",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{declared, problems};

    use super::*;

    #[test]
    fn every_order_before_the_rollout_passes() {
        let cases = [
            (r#"{"argocd.argoproj.io/hook":"PreSync"}"#, 0),
            (r#"{"argocd.argoproj.io/hook":"Sync","argocd.argoproj.io/sync-wave":"-1"}"#, 0),
            (r#"{"argocd.argoproj.io/hook":"Sync"}"#, 1),
            (r#"{"argocd.argoproj.io/sync-wave":"-1"}"#, 0),
            (r#"{"argocd.argoproj.io/sync-wave":"x"}"#, 0),
            (r#"{"helm.sh/hook":"pre-upgrade"}"#, 0),
            (r#"{"helm.sh/hook":"post-install,pre-upgrade"}"#, 0),
            (r#"{"helm.sh/hook":"post-install,post-upgrade"}"#, 1),
            (r#"{"helm.sh/hook":"pre-install","argocd.argoproj.io/hook":"PostSync"}"#, 1),
            (r#"{"argocd.argoproj.io/hook":"SyncFail"}"#, 1),
            (r#"{"argocd.argoproj.io/hook":"Presync"}"#, 0),
            ("{}", 1),
            (r#"{"wavegate.dev/phase":"contract","argocd.argoproj.io/hook":"PostSync"}"#, 0),
            (r#"{"wavegate.dev/phase":"revert"}"#, 0),
        ];
        for (annotations, want) in cases {
            let job = declared("migration", annotations);
            assert_eq!(problems(&RULE, &job).len(), want, "{annotations}");
        }
    }
}
