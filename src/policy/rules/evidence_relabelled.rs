use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::manifest::{Metadata, StringMap};
use crate::policy::Problems;
use crate::policy::rule::declare_rule;

declare_rule! {
    /// An update changes what a Job proves.
    ///
    /// # What it checks
    ///
    /// An update of a Job adds, changes or removes a `wavegate.dev/` or `stamp.wavegate.dev/` label
    /// or annotation. Argo CD's own updates, such as the removal of its finalizer, never do.
    ///
    /// # Why it matters
    ///
    /// The keys decide which app a migration belongs to and whether its success counts. A Job that
    /// could be relabelled after it ran would prove whatever one likes.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected update
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {wavegate.dev/app: shop}
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
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
    /// ---
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {wavegate.dev/app: billing}
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
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
    /// ```yaml accepted update
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {wavegate.dev/app: shop}
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
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
    /// ---
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {wavegate.dev/app: shop, team: checkout}
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
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
    /// None.
    "WG311" "evidence-relabelled", Deny, Admission, [JobUpdate(check)]
}

fn check(old: &Job<'_>, new: &Job<'_>, found: &mut Problems) {
    compare("metadata", &old.manifest.metadata, &new.manifest.metadata, found);
    // Mutable as long as the Job is suspended.
    let (old, new) = (&old.manifest.spec.template, &new.manifest.spec.template);
    compare("spec.template.metadata", &old.metadata, &new.metadata, found);
}

fn compare(path: &str, old: &Metadata<'_>, new: &Metadata<'_>, found: &mut Problems) {
    for (field, old, new) in
        [("labels", &old.labels, &new.labels), ("annotations", &old.annotations, &new.annotations)]
    {
        for key in changed(old, new) {
            found.push(
                format!("{path}.{field}[{key}]"),
                "changes after the Job was created, and with it what the Job proves",
                "delete the Job and create it again with the right keys",
            );
        }
    }
}

fn changed<'m>(
    old: &'m StringMap<'_>,
    new: &'m StringMap<'_>,
) -> impl Iterator<Item = &'m str> + use<'m> {
    let removed = old.iter().filter(|(key, _)| new.get(key).is_none());
    let set = new.iter().filter(|(key, value)| old.get(key) != Some(*value));
    removed.chain(set).map(|(key, _)| key).filter(|key| keys::is_ours(key))
}
