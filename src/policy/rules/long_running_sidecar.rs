use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A sidecar would keep the migration Job from completing.
    ///
    /// # What it checks
    ///
    /// The pod template asks for a mesh's sidecar, or a regular container beside the migration is a
    /// well-known sidecar, and nothing says that it is a native one.
    ///
    /// # Why it matters
    ///
    /// A Job completes when all regular containers have ended. A proxy that never ends keeps it
    /// running until its deadline, and a migration that succeeded counts as failed. A native sidecar,
    /// an init container with `restartPolicy: Always`, does not.
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
    ///     metadata:
    ///       labels: {sidecar.istio.io/inject: "true"}
    ///     spec:
    ///       restartPolicy: Never
    ///       initContainers:
    ///         - name: wait-for-db
    ///           image: busybox:1.36
    ///           command: [sh, -c, "until nc -z postgres 5432; do sleep 2; done"]
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
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
    ///     metadata:
    ///       labels: {sidecar.istio.io/inject: "false"}
    ///     spec:
    ///       restartPolicy: Never
    ///       initContainers:
    ///         - name: wait-for-db
    ///           image: busybox:1.36
    ///           command: [sh, -c, "until nc -z postgres 5432; do sleep 2; done"]
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    /// ```
    ///
    /// # Configuration
    ///
    /// None.
    ///
    /// # References
    ///
    /// - [Sidecar containers](https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/)
    /// - [istio#11045](https://github.com/istio/istio/issues/11045)
    "WG109" "long-running-sidecar", Warn, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    if let Some(mesh) = job.classic_mesh_sidecar() {
        found.push(
            mesh.path,
            format!("asks for a sidecar of {}, which keeps the Job from completing", mesh.name),
            mesh.help,
        );
    }
    let migrates = job.recognition.container;
    let places =
        job.pod().all_containers().filter(|(place, _)| !place.init && Some(*place) != migrates);
    for (place, container) in places {
        if crate::domain::job::is_sidecar_name(&container.name) {
            found.push(
                format!("spec.template.spec.{place}"),
                format!("is a sidecar, {}, which keeps the Job from completing", container.name),
                "make it an init container with restartPolicy: Always",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn tells_classic_from_native() {
        let template = |metadata: &str| {
            migration(&format!(r#"{{"spec":{{"template":{{"metadata":{metadata}}}}}}}"#))
        };
        let cases = [
            (r#"{"annotations":{"sidecar.istio.io/inject":"true"}}"#, 1),
            (
                r#"{"annotations":{"sidecar.istio.io/inject":"true","sidecar.istio.io/nativeSidecar":"true"}}"#,
                0,
            ),
            (r#"{"annotations":{"linkerd.io/inject":"enabled"}}"#, 1),
            (
                r#"{"annotations":{"linkerd.io/inject":"enabled","config.beta.linkerd.io/proxy-enable-native-sidecar":"true"}}"#,
                0,
            ),
            (r#"{"annotations":{"linkerd.io/inject":"disabled"}}"#, 0),
            (r#"{"annotations":{"consul.hashicorp.com/connect-inject":"true"}}"#, 1),
        ];
        for (metadata, want) in cases {
            assert_eq!(problems(&RULE, &template(metadata)).len(), want, "{metadata}");
        }
        let proxy = r#"{"name":"cloud-sql-proxy","image":"p:1"}"#;
        let beside = migration(&format!(
            r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"m","image":"a:1","command":["manage.py","migrate"]}},{proxy}]}}}}}}}}"#
        ));
        assert_eq!(problems(&RULE, &beside).len(), 1);
        let native = migration(
            r#"{"spec":{"template":{"spec":{"initContainers":[{"name":"cloud-sql-proxy","image":"p:1","restartPolicy":"Always"}]}}}}"#,
        );
        assert_eq!(problems(&RULE, &native), []);
    }
}
