use crate::domain::manifest::IntOrPercent;
use crate::domain::workload::Workload;
use crate::domain::workload::WorkloadKind;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A rollout takes pods away before their successors are ready.
    ///
    /// # What it checks
    ///
    /// A Deployment's strategy is `Recreate`, or the effective `maxUnavailable` of a Deployment or of
    /// a canary Rollout is not 0; absent means 25%. A percentage counts as more than 0 whatever the
    /// number of replicas now, since scaling changes it without an update of the object. For
    /// workloads that are paired only by inference, `Recreate` warns only where a Service sends them
    /// traffic.
    ///
    /// # Why it matters
    ///
    /// During a rollout old and new code share the migrated schema. Pods that are taken away first
    /// leave fewer to serve; if the new code turns out not to work on the schema, there is nothing
    /// left to fall back on.
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
    ///     rollingUpdate: {maxUnavailable: 25%, maxSurge: 1}
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
    /// Whether inferred pairs deny; workloads that may only run once (`detection.singletons`).
    ///
    /// # References
    ///
    /// - [Deployment: rolling update](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment)
    "WG501" "downtime-rollout", Deny, Object, [Workload(check)]
}

fn check(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    if cx.policy.is_singleton(&workload.manifest.metadata.display_name()) {
        return;
    }
    let strategy = &workload.manifest.spec.strategy;
    match workload.kind {
        WorkloadKind::Deployment if strategy.kind.as_deref() == Some("Recreate") => {
            if !cx.is_guess() || takes_traffic(workload, cx) {
                found.push(
                    "spec.strategy.type",
                    "is Recreate, which stops all pods before new ones start; want RollingUpdate",
                    "use RollingUpdate with maxUnavailable: 0 and maxSurge: 1",
                );
            }
        }
        WorkloadKind::Deployment => {
            let bound =
                strategy.rolling_update.as_ref().and_then(|update| update.max_unavailable.as_ref());
            check_bound("spec.strategy.rollingUpdate.maxUnavailable", bound, found);
        }
        WorkloadKind::Rollout => {
            if let Some(canary) = &strategy.canary {
                let bound = canary.max_unavailable.as_ref();
                check_bound("spec.strategy.canary.maxUnavailable", bound, found);
            }
        }
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {}
    }
}

fn check_bound(path: &str, bound: Option<&IntOrPercent<'_>>, found: &mut Problems) {
    let is = match bound {
        Some(bound) if bound.is_zero() => return,
        Some(bound) => format!("is {bound}"),
        None => "is absent, which means 25%".to_owned(),
    };
    found.push(
        path,
        format!("{is}, so pods are taken away before their successors are ready; want 0"),
        "set maxUnavailable: 0 and maxSurge: 1",
    );
}

fn takes_traffic(workload: &Workload<'_>, cx: &Context<'_>) -> bool {
    let Some(template) = &workload.manifest.spec.template else { return false };
    (0..template.spec.containers.len())
        .any(|container| cx.state.serves(cx.namespace, template, container))
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::WorkloadKind;
    use crate::policy::sample::{workload, workload_problems};

    use super::*;

    #[test]
    fn every_strategy_of_every_kind() {
        use WorkloadKind::{DaemonSet, Deployment, Rollout, StatefulSet};
        let rolling = "spec.strategy.rollingUpdate.maxUnavailable";
        let canary = "spec.strategy.canary.maxUnavailable";
        let cases = [
            (Deployment, r#"{"rollingUpdate":{"maxUnavailable":0}}"#, None),
            (Deployment, r#"{"rollingUpdate":{"maxUnavailable":"0%"}}"#, None),
            (Deployment, r#"{"rollingUpdate":{"maxUnavailable":"25%"}}"#, Some(rolling)),
            (Deployment, r#"{"rollingUpdate":{"maxUnavailable":1}}"#, Some(rolling)),
            (Deployment, "{}", Some(rolling)),
            (Deployment, r#"{"type":"Recreate"}"#, Some("spec.strategy.type")),
            (Rollout, r#"{"canary":{}}"#, Some(canary)),
            (Rollout, r#"{"canary":{"maxUnavailable":0}}"#, None),
            (Rollout, r#"{"blueGreen":{}}"#, None),
            (StatefulSet, "{}", None),
            (DaemonSet, "{}", None),
        ];
        for (kind, strategy, want) in cases {
            let subject = workload(kind, &format!(r#"{{"spec":{{"strategy":{strategy}}}}}"#));
            let found = workload_problems(&RULE, &subject);
            assert_eq!(
                found.first().map(|problem| problem.path.as_str()),
                want,
                "{kind:?} {strategy}"
            );
        }
    }
}
