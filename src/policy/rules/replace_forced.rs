use crate::domain::argocd::{SYNC_OPTIONS, has_sync_option};
use crate::domain::workload::Workload;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// Argo CD would delete the workload before it asks whether it may be replaced.
    ///
    /// # What it checks
    ///
    /// A workload carries both `Replace=true` and `Force=true` in `argocd.argoproj.io/sync-options`.
    ///
    /// # Why it matters
    ///
    /// With both, Argo CD deletes the live object first and creates the new one afterwards. If that
    /// creation is refused, by wavegate or by anything else, nothing is left running.
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
    ///   annotations:
    ///     argocd.argoproj.io/sync-options: Replace=true,Force=true
    /// spec:
    ///   replicas: 3
    ///   strategy:
    ///     rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    ///   selector: {matchLabels: {app: shop-api}}
    ///   template:
    ///     metadata: {labels: {app: shop-api}}
    ///     spec:
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
    ///   annotations:
    ///     argocd.argoproj.io/sync-options: Replace=true
    /// spec:
    ///   replicas: 3
    ///   strategy:
    ///     rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
    ///   selector: {matchLabels: {app: shop-api}}
    ///   template:
    ///     metadata: {labels: {app: shop-api}}
    ///     spec:
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
    /// - [Argo CD: sync options](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/)
    "WG504" "replace-forced", Deny, Object, [Workload(check)]
}

fn check(workload: &Workload<'_>, _: &Context<'_>, found: &mut Problems) {
    let metadata = &workload.manifest.metadata;
    if has_sync_option(metadata, "Replace=true") && has_sync_option(metadata, "Force=true") {
        found.push(
            format!("metadata.annotations[{SYNC_OPTIONS}]"),
            "Replace=true with Force=true deletes the running workload before its successor is admitted",
            "remove Force=true",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::WorkloadKind;
    use crate::policy::sample::{workload, workload_problems};

    use super::*;

    #[test]
    fn only_both_together() {
        for (options, want) in
            [("Replace=true", 0), ("Force=true", 0), ("Force=true, Replace=true", 1)]
        {
            let subject = workload(
                WorkloadKind::Deployment,
                &format!(
                    r#"{{"metadata":{{"annotations":{{"argocd.argoproj.io/sync-options":"{options}"}}}}}}"#
                ),
            );
            assert_eq!(workload_problems(&RULE, &subject).len(), want, "{options}");
        }
    }
}
