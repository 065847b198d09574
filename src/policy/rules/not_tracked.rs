use crate::domain::job::Job;
use crate::domain::keys;
use crate::domain::stamp::is_stamped;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A migration Job does not carry wavegate's stamps.
    ///
    /// # What it checks
    ///
    /// A Job that an API server creates carries other `stamp.wavegate.dev/` labels and annotations
    /// than wavegate computes from it: a migration Job without them or with others, or any Job with
    /// stamps that are not its own. wavegate's mutating webhook writes them; an author never needs
    /// to.
    ///
    /// # Why it matters
    ///
    /// The stamps say what was recognised when the Job was created, by whom it was created and from
    /// which template. A migration without them could never count as evidence: its rollout would wait
    /// for ever. Refusing it before it runs is kinder. The usual cause is that the mutating webhook
    /// was not reachable for a moment, or too slow: the API server goes on without it, and the Job
    /// carries no stamp at all. The message says so, and creating the Job again helps.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected as-sent
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   labels: {stamp.wavegate.dev/tracked: "true"}
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
    /// ```yaml accepted admitted
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
    /// - [Admission webhook good practices](https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/)
    "WG310" "not-tracked", Deny, Admission, [CreatedJob(check)]
}

fn check(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let Some(stamps) = &cx.stamps else { return };
    let differences = stamps.differences(&job.manifest.metadata);
    // What was filled in is told to people; another webhook may have changed it since.
    let mut tracking = differences.iter().filter(|difference| difference.key != keys::STAMP_FIXED);
    let Some(first) = tracking.next() else { return };
    let (message, help) = if is_stamped(&job.manifest.metadata) { STRANGE } else { NOT_ASKED };
    found.push(format!("metadata.{}[{}]", first.field, first.key), message, help);
}

/// Nothing is stamped: the mutating webhook's failure policy is Ignore.
const NOT_ASKED: (&str, &str) = (
    "is missing: wavegate's mutating webhook was not asked about this Job, or did not answer in time; \
     it is not tracked, and its success could not count",
    "create the Job again",
);

const STRANGE: (&str, &str) = (
    "is not what wavegate computes for this Job: it is not tracked, and its success could not count",
    "create the Job again without stamp.wavegate.dev/ keys; wavegate's mutating webhook writes them",
);
