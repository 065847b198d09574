use crate::domain::argocd::{DeletePolicy, TRACKING_ID, has_sync_option};
use crate::domain::job::Job;
use crate::domain::role::Confidence;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The next release cannot change this Job.
    ///
    /// # What it checks
    ///
    /// A migration Job that a tool applies has a fixed name, and nothing makes that tool delete the
    /// old Job first: it is no hook, or its hook delete policies lack `BeforeHookCreation` (a hook
    /// without any policy has it by default).
    ///
    /// # Why it matters
    ///
    /// A Job's pod template is immutable. The next release changes the image, the API server answers
    /// "field is immutable" and the sync fails; or the name is unchanged, the old Job counts as done
    /// and the new migration never runs.
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
    ///     argocd.argoproj.io/sync-wave: "-1"
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
    ///     argocd.argoproj.io/hook: Sync
    ///     argocd.argoproj.io/sync-wave: "-1"
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
    /// None.
    ///
    /// # References
    ///
    /// - [argo-cd#7430](https://github.com/argoproj/argo-cd/issues/7430)
    "WG204" "immutable-job-reused", Warn, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let metadata = &job.manifest.metadata;
    let ordering = &job.ordering;
    let generated = metadata.generate_name.as_deref().is_some_and(|prefix| !prefix.is_empty());
    let replaced =
        has_sync_option(metadata, "Replace=true") && has_sync_option(metadata, "Force=true");
    let expires = job.manifest.spec.ttl_seconds_after_finished.is_some();
    let recreated = if ordering.is_hook() || ordering.argo_hook {
        ordering.deletes(DeletePolicy::BeforeHookCreation)
    } else {
        replaced || expires
    };
    if generated || recreated || !is_applied_again(job) || is_renamed_by_release(job) {
        return;
    }
    found.push(
        "metadata.name",
        "stays the same, and nothing deletes the Job before the next release changes its immutable template",
        "make it a hook with delete policy BeforeHookCreation, or put the release in its name",
    );
}

/// One-off Jobs that a person creates by hand are not applied a second time.
fn is_applied_again(job: &Job<'_>) -> bool {
    let tracked = job.manifest.metadata.annotations.get(TRACKING_ID).is_some();
    tracked || job.recognition.confidence >= Confidence::Strong
}

/// Whether the name holds the image's tag, or ends in something that looks like a hash, a date or a number.
fn is_renamed_by_release(job: &Job<'_>) -> bool {
    let name = job.manifest.metadata.display_name();
    let dashed = |text: &str| text.replace(['.', '_'], "-").to_ascii_lowercase();
    let image = job.image().and_then(Result::ok);
    let tag = image.as_ref().and_then(|image| image.tag()).map(dashed);
    let suffix = name.rsplit('-').next().unwrap_or_default();
    let numbered = suffix.bytes().any(|b| b.is_ascii_digit()) && name.contains('-');
    numbered || tag.is_some_and(|tag| tag.len() > 1 && name.contains(tag.trim_start_matches('v')))
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn fixed_names_that_nothing_recreates() {
        let cases = [
            (
                r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook-delete-policy":"HookSucceeded"}}}"#,
                1,
            ),
            (
                r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook":null,"argocd.argoproj.io/sync-wave":"-1"}}}"#,
                1,
            ),
            (
                r#"{"metadata":{"name":"migrate-v1-2-0","annotations":{"argocd.argoproj.io/hook":null,"argocd.argoproj.io/sync-wave":"-1"}}}"#,
                0,
            ),
            (
                r#"{"metadata":{"name":"migrate-6f9c2","annotations":{"argocd.argoproj.io/hook":null,"argocd.argoproj.io/sync-wave":"-1"}}}"#,
                0,
            ),
            (
                r#"{"metadata":{"name":null,"generateName":"m-","annotations":{"argocd.argoproj.io/hook":null,"argocd.argoproj.io/sync-wave":"-1"}}}"#,
                0,
            ),
            (
                r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook":null,"argocd.argoproj.io/sync-wave":"-1","argocd.argoproj.io/sync-options":"Replace=true,Force=true"}}}"#,
                0,
            ),
            (
                r#"{"spec":{"ttlSecondsAfterFinished":600},"metadata":{"annotations":{"argocd.argoproj.io/hook":null,"argocd.argoproj.io/sync-wave":"-1"}}}"#,
                0,
            ),
            // A one-off Job by hand.
            (r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook":null}}}"#, 0),
            ("{}", 0),
        ];
        for (patch, want) in cases {
            assert_eq!(problems(&RULE, &migration(patch)).len(), want, "{patch}");
        }
    }
}
