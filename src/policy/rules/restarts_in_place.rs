use crate::domain::job::Job;
use crate::domain::manifest::{Container, ContainerPlace};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job restarts its container in place.
    ///
    /// # What it checks
    ///
    /// The pod template's `restartPolicy` is not `Never`, or the migration container restarts by a
    /// `restartPolicy` or `restartPolicyRules` of its own (Kubernetes 1.34 and later). Native
    /// sidecars, which are init containers with `restartPolicy: Always`, may restart.
    ///
    /// # Why it matters
    ///
    /// With `OnFailure` the kubelet starts a failed container again before the Job controller counts
    /// the failure, so the migration runs again despite `backoffLimit: 0`; and when the limit is
    /// reached the pod is deleted, its logs with it.
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
    ///       restartPolicy: OnFailure
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
    /// None.
    ///
    /// # References
    ///
    /// - [Job: handling pod and container failures](https://kubernetes.io/docs/concepts/workloads/controllers/job/#handling-pod-and-container-failures)
    /// - [KEP-5307: container restart rules](https://github.com/kubernetes/enhancements/issues/5307)
    "WG103" "restarts-in-place", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let pod = job.pod();
    let policy = pod.restart_policy.as_deref().unwrap_or("Always");
    if policy != "Never" {
        found.push(
            "spec.template.spec.restartPolicy",
            format!("is {policy}, so a failed migration starts again in its pod; want Never"),
            "set restartPolicy: Never",
        );
    }
    match job.migration_container() {
        Some((place, container)) => check_container(place, container, found),
        // Which one migrates is not known: none of them may run twice.
        None => {
            for (place, container) in pod.all_containers().filter(|(place, _)| !place.init) {
                check_container(place, container, found);
            }
        }
    }
}

fn check_container(place: ContainerPlace, container: &Container<'_>, found: &mut Problems) {
    let path = format!("spec.template.spec.{place}");
    if let Some(policy) = container.restart_policy.as_deref().filter(|policy| *policy != "Never") {
        found.push(
            format!("{path}.restartPolicy"),
            format!("is {policy}, so the migration container starts again in its pod; want none"),
            "remove the container's restartPolicy",
        );
    }
    if container.restart_policy_rules.iter().any(|rule| rule.action.as_str().starts_with("Restart"))
    {
        found.push(
            format!("{path}.restartPolicyRules"),
            "restarts the migration container after some exit codes; want no such rule",
            "remove the container's restartPolicyRules",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn finds_every_restart() {
        let container = |fields: &str| {
            format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"migrate","image":"a/b:v1","command":["manage.py","migrate"]{fields}}}]}}}}}}}}"#
            )
        };
        let cases = [
            (
                r#"{"spec":{"template":{"spec":{"restartPolicy":"Always"}}}}"#.to_owned(),
                "spec.template.spec.restartPolicy",
            ),
            (
                r#"{"spec":{"template":{"spec":{"restartPolicy":null}}}}"#.to_owned(),
                "spec.template.spec.restartPolicy",
            ),
            (
                container(r#","restartPolicy":"OnFailure""#),
                "spec.template.spec.containers[0].restartPolicy",
            ),
            (
                container(
                    r#","restartPolicy":"Never","restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"In","values":[1]}}]"#,
                ),
                "spec.template.spec.containers[0].restartPolicyRules",
            ),
        ];
        for (patch, path) in cases {
            let found = problems(&RULE, &migration(&patch));
            assert_eq!(
                found.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(),
                [path],
                "{patch}"
            );
        }
    }

    #[test]
    fn native_sidecars_may_restart() {
        let job = migration(
            r#"{"spec":{"template":{"spec":{"initContainers":[{"name":"proxy","image":"p:1","restartPolicy":"Always"}]}}}}"#,
        );
        assert_eq!(problems(&RULE, &job), []);
    }
}
