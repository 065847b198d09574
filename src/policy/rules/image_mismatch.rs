use crate::cluster::{Attempt, MigrationFacts, Pair};
use crate::domain::role::Confidence;
use crate::domain::workload::Workload;
use crate::policy::gate::{Judgement, Match, Release, Releases, Verdict};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, OnUnknown, Problems};

declare_rule! {
    /// A workload runs another release than its migration.
    ///
    /// # What it checks
    ///
    /// A workload and a migration that gates it carry different `wavegate.dev/release` tokens, or,
    /// where not both carry one, the app container's image differs from the migration's: another
    /// digest, else another tag. Images of different repositories are compared by tag where the pair
    /// is explicit.
    ///
    /// # Why it matters
    ///
    /// The migration of one release does not prepare the schema for the code of another.
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
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.1.9
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ---
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
    /// ---
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
    /// None.
    ///
    /// A person lets a release through that is held, or says that its migration is done, by a `GateOverride`:
    /// `docs/overrides.md`.
    ///
    /// # References
    ///
    /// - [argocd-image-updater#574](https://github.com/argoproj-labs/argocd-image-updater/issues/574)
    "WG301" "image-mismatch", Deny, Bundle, [Workload(in_a_bundle), Rollout(at_the_gate)]
}

/// Offline: the manifests of one bundle beside each other.
fn in_a_bundle(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    let manifests = cx.pairs.iter().filter(|pair| pair.reason.is_sure() && !pair.attempted);
    let compared: Vec<(&Pair<'_>, Outcome)> =
        manifests.map(|pair| (pair, compare(workload, pair, cx))).collect();
    for (pair, outcome) in &compared {
        let Outcome::Problem { denies, path, message, help } = outcome else { continue };
        // Jobs of earlier releases may still be there: one of the same image that fits is enough.
        let superseded = compared.iter().any(|(other, outcome)| {
            matches!(outcome, Outcome::Same) && same_runner(pair, other, cx)
        });
        if !superseded {
            let sure = *denies && pair.migration.confidence >= Confidence::Strong;
            found.push_or_advise(sure, path, message, *help);
        }
    }
}

/// In the cluster: the workload beside the migration that ran last.
fn at_the_gate(judgement: &Judgement<'_>, cx: &Context<'_>, found: &mut Problems) {
    let release = judgement.gated;
    let ran = |attempt: &Attempt| {
        let image = attempt.facts.image.as_ref().map(ToString::to_string);
        format!(
            "migration Job {} ran {}",
            attempt.facts.key.name,
            attempt.facts.ties.release.clone().or(image).unwrap_or_default()
        )
    };
    match judgement.verdict {
        Verdict::OtherRelease(newest) => {
            found.push(release.path(), format!("is {release}, but {}", ran(newest)), TOGETHER);
        }
        Verdict::Incomparable(attempt) => found.push_or_advise(
            cx.policy.on_unknown == OnUnknown::Deny,
            release.path(),
            format!(
                "is {release}, and {}: whether that is the same image is not known",
                ran(attempt)
            ),
            TOKEN,
        ),
        Verdict::Ambiguous => found.advise(
            release.path(),
            "has several containers, and none has the repository of a migration of this app",
            "name the app's container in wavegate.dev/container",
        ),
        _ => {}
    }
}

/// How a workload compares with one migration.
enum Outcome {
    Same,
    /// Neither can be said, and another rule says why.
    Silent,
    Problem {
        denies: bool,
        path: String,
        message: String,
        help: &'static str,
    },
}

const TOGETHER: &str = "release the migration and the workload together";
const TOKEN: &str = "set wavegate.dev/release to the same value on both";

fn same_runner(left: &Pair<'_>, right: &Pair<'_>, cx: &Context<'_>) -> bool {
    let images = left.migration.image.as_ref().zip(right.migration.image.as_ref());
    images.is_some_and(|(left, right)| cx.policy.names.same_repository(left, right))
}

fn compare(workload: &Workload<'_>, pair: &Pair<'_>, cx: &Context<'_>) -> Outcome {
    let migration = pair.migration;
    let name = &migration.key.name;
    let releases = Releases::of(workload, migration.image.as_slice(), &cx.policy.names);
    if releases.ambiguous {
        return Outcome::Problem {
            denies: false,
            path: "spec.template.spec.containers".to_owned(),
            message: format!(
                "has several containers, and none has the repository of migration {name}"
            ),
            help: "name the app's container in wavegate.dev/container",
        };
    }
    let outcomes = releases.all.iter().map(|release| compare_release(release, migration, cx));
    outcomes.max_by_key(Outcome::weight).unwrap_or(Outcome::Silent)
}

fn compare_release(release: &Release<'_>, migration: &MigrationFacts, cx: &Context<'_>) -> Outcome {
    let name = &migration.key.name;
    let tokens = release.token.is_some() && migration.ties.release.is_some();
    let (Some(image), Some(migrated)) = (release.image, &migration.image) else {
        return Outcome::Silent;
    };
    // A floating tag proves nothing either way and is WG303's to report.
    if !tokens && (cx.policy.is_floating(image) || cx.policy.is_floating(migrated)) {
        return Outcome::Silent;
    }
    match release.compare(migration, None, cx.policy) {
        Match::Same => Outcome::Same,
        Match::Different if tokens => Outcome::Problem {
            denies: true,
            path: release.path(),
            message: format!(
                "is {release}, but migration {name} is of release {}",
                migration.ties.release.as_deref().unwrap_or_default()
            ),
            help: TOGETHER,
        },
        Match::Different => Outcome::Problem {
            denies: true,
            path: release.image_path(),
            message: format!("is {image}, but migration {name} runs {migrated}"),
            help: if cx.policy.names.same_repository(image, migrated) { TOGETHER } else { TOKEN },
        },
        Match::Unknown => Outcome::Problem {
            denies: false,
            path: release.image_path(),
            message: format!("{image} cannot be compared with {migrated} of migration {name}"),
            help: TOKEN,
        },
    }
}

impl Outcome {
    /// Of several images of one app the one that fits worst is told.
    fn weight(&self) -> u8 {
        match self {
            Self::Silent => 0,
            Self::Same => 1,
            Self::Problem { denies: false, .. } => 2,
            Self::Problem { denies: true, .. } => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::bundle;

    const SHA: &str = "@sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn releases_are_compared_by_token_then_digest_then_tag() {
        let pinned = format!("shop/api:v1{SHA}");
        let app = r#""wavegate.dev/app":"shop""#;
        let token = |value: &str| format!(r#"{app},"wavegate.dev/release":"{value}""#);
        let cases = [
            ("same tag", app.to_owned(), "shop/api:v1", app.to_owned(), "shop/api:v1", vec![]),
            (
                "other tag",
                app.to_owned(),
                "shop/api:v1",
                app.to_owned(),
                "shop/api:v2",
                vec!["deny WG301"],
            ),
            (
                "other repository, same tag",
                app.to_owned(),
                "shop/migrate:v1",
                app.to_owned(),
                "shop/api:v1",
                vec![],
            ),
            (
                "other repository, other tag",
                app.to_owned(),
                "shop/migrate:v1",
                app.to_owned(),
                "shop/api:v2",
                vec!["deny WG301"],
            ),
            (
                "same token, other image",
                token("7"),
                "flyway/flyway:11",
                token("7"),
                "shop/api:v2",
                vec![],
            ),
            (
                "other token, same image",
                token("7"),
                "shop/api:v1",
                token("8"),
                "shop/api:v1",
                vec!["deny WG301"],
            ),
            ("token on one side", token("7"), "shop/api:v1", app.to_owned(), "shop/api:v1", vec![]),
            (
                "digest on one side",
                app.to_owned(),
                pinned.as_str(),
                app.to_owned(),
                "shop/api:v1",
                vec!["warn WG301"],
            ),
            (
                "digest on both",
                app.to_owned(),
                pinned.as_str(),
                app.to_owned(),
                pinned.as_str(),
                vec![],
            ),
        ];
        for (name, job_labels, job_image, labels, image, want) in cases {
            let found = bundle(&RULE, &job_labels, job_image, &labels, image);
            assert_eq!(found, want, "{name}");
        }
    }
}
