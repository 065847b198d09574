use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job runs more than one pod.
    ///
    /// # What it checks
    ///
    /// `parallelism` or `completions` of a migration Job is anything but 1, or `completionMode` is
    /// `Indexed`.
    ///
    /// # Why it matters
    ///
    /// Two runners on one schema race. Most runners have no lock, and those that have one are known
    /// to dead-lock or to record a step as done that was not. `parallelism: 0` is a Job that never
    /// starts.
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
    ///   parallelism: 2
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
    /// None.
    ///
    /// # References
    ///
    /// - [Job: parallel execution](https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs)
    "WG104" "parallel-runners", Deny, Object, [Migration(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    let spec = &job.manifest.spec;
    let counts = [("parallelism", spec.parallelism), ("completions", spec.completions)];
    for (field, count) in counts {
        if let Some(count) = count.filter(|count| *count != 1) {
            found.push(
                format!("spec.{field}"),
                format!("is {count}; a migration has exactly one runner"),
                format!("remove {field} or set it to 1"),
            );
        }
    }
    if spec.completion_mode.as_deref() == Some("Indexed") {
        found.push(
            "spec.completionMode",
            "is Indexed, which runs and retries the pod per index; want NonIndexed",
            "remove completionMode",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn each_field_is_named() {
        let cases = [
            (r#""parallelism":0"#, "spec.parallelism"),
            (r#""completions":3"#, "spec.completions"),
            (r#""completionMode":"Indexed""#, "spec.completionMode"),
        ];
        for (field, path) in cases {
            let job = migration(&format!(r#"{{"spec":{{{field}}}}}"#));
            assert_eq!(problems(&RULE, &job)[0].path, path);
        }
        let one = migration(
            r#"{"spec":{"parallelism":1,"completions":1,"completionMode":"NonIndexed"}}"#,
        );
        assert_eq!(problems(&RULE, &one), []);
    }
}
