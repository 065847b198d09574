use crate::domain::workload::AppContainer;
use crate::domain::workload::Workload;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// The app container has no readiness probe.
    ///
    /// # What it checks
    ///
    /// The app container of a workload has no `readinessProbe`. For workloads that are paired only by
    /// inference this warns only where a Service sends traffic to that container.
    ///
    /// # Why it matters
    ///
    /// Without a probe a pod counts as ready the moment it starts. A rolling update then removes the
    /// old pods although the new code may not work on the migrated schema.
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
    ///       containers:
    ///         - name: api
    ///           image: example.com/shop/api:v1.2.0
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
    /// Whether inferred pairs deny; workloads without a probe by design (`detection.withoutProbes`).
    ///
    /// # References
    ///
    /// - [Kubernetes: readiness probes](https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/)
    "WG502" "missing-readiness-probe", Deny, Object, [Workload(check)]
}

fn check(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    if cx.policy.is_without_probes(&workload.manifest.metadata.display_name()) {
        return;
    }
    let migrated = cx.pairs.first().and_then(|pair| pair.migration.image.as_ref());
    let place = match workload.app_container(migrated, &cx.policy.names) {
        AppContainer::At(place) if !place.init => place,
        AppContainer::At(_) | AppContainer::None => return,
        AppContainer::Ambiguous => {
            if !cx.is_guess() {
                found.advise(
                    "spec.template.spec.containers",
                    "has several containers, so the one that needs a readiness probe is not known",
                    "name the app's container in wavegate.dev/container",
                );
            }
            return;
        }
    };
    let Some(template) = &workload.manifest.spec.template else { return };
    let Some(container) = template.spec.container(place) else { return };
    let probed = container.readiness_probe.is_some_and(|raw| raw.get() != "null");
    let served = cx.state.serves(cx.namespace, template, place.index);
    if probed || (cx.is_guess() && !served) {
        return;
    }
    found.push(
        format!("spec.template.spec.{place}.readinessProbe"),
        format!(
            "container {} has no readiness probe, so its pod is ready before its code has run",
            container.name
        ),
        "add a readinessProbe",
    );
}

#[cfg(test)]
mod tests {
    use crate::domain::workload::WorkloadKind;
    use crate::policy::sample::{workload, workload_problems};

    use super::*;

    #[test]
    fn several_containers_are_never_guessed_between() {
        let two = workload(
            WorkloadKind::Deployment,
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"a:1"},{"name":"b","image":"b:1"}]}}}}"#,
        );
        let found = workload_problems(&RULE, &two);
        assert!(found[0].advice && found[0].help.contains("wavegate.dev/container"));
        let named = workload(
            WorkloadKind::Deployment,
            r#"{"metadata":{"annotations":{"wavegate.dev/container":"b"}},
                "spec":{"template":{"spec":{"containers":[{"name":"a","image":"a:1"},{"name":"b","image":"b:1"}]}}}}"#,
        );
        assert_eq!(
            workload_problems(&RULE, &named)[0].path,
            "spec.template.spec.containers[1].readinessProbe"
        );
        let beside_a_proxy = workload(
            WorkloadKind::StatefulSet,
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"istio-proxy","image":"p:1"},{"name":"b","image":"b:1","readinessProbe":{}}]}}}}"#,
        );
        assert_eq!(workload_problems(&RULE, &beside_a_proxy), []);
    }
}
