use crate::cluster::{Pair, PairReason};
use crate::domain::image::{Comparison, ImageRef};
use crate::domain::keys;
use crate::domain::role::Confidence;
use crate::domain::workload::AppContainer;
use crate::domain::workload::Workload;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

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
    /// # References
    ///
    /// - [argocd-image-updater#574](https://github.com/argoproj-labs/argocd-image-updater/issues/574)
    "WG301" "image-mismatch", Deny, Bundle, [Workload(check)]
}

fn check(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    let compared: Vec<(&Pair<'_>, Outcome)> = cx
        .pairs
        .iter()
        .filter(|pair| pair.reason.is_sure())
        .map(|pair| (pair, compare(workload, pair, cx)))
        .collect();
    for (pair, outcome) in &compared {
        let Outcome::Problem { denies, path, message, help } = outcome else { continue };
        // Jobs of earlier releases may still be there: one of the same image that fits is enough.
        let superseded = compared
            .iter()
            .any(|(other, outcome)| matches!(outcome, Outcome::Same) && same_runner(pair, other));
        if !superseded {
            let sure = *denies && pair.migration.confidence >= Confidence::Strong;
            found.push_or_advise(sure, path, message, *help);
        }
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

fn same_runner(left: &Pair<'_>, right: &Pair<'_>) -> bool {
    let images = left.migration.image.as_ref().zip(right.migration.image.as_ref());
    images.is_some_and(|(left, right)| left.same_repository(right))
}

fn compare(workload: &Workload<'_>, pair: &Pair<'_>, cx: &Context<'_>) -> Outcome {
    match (workload.key(keys::RELEASE), &pair.migration.ties.release) {
        (Some(token), Some(migrated)) if token.value == migrated => Outcome::Same,
        (Some(token), Some(migrated)) => Outcome::Problem {
            denies: true,
            path: token.path(),
            message: format!(
                "is {}, but migration {} is of release {migrated}",
                token.value, pair.migration.key.name
            ),
            help: TOGETHER,
        },
        _ => compare_images(workload, pair, cx),
    }
}

fn compare_images(workload: &Workload<'_>, pair: &Pair<'_>, cx: &Context<'_>) -> Outcome {
    let Some(migrated) = &pair.migration.image else { return Outcome::Silent };
    let name = &pair.migration.key.name;
    let place = match workload.app_container(Some(migrated)) {
        AppContainer::At(place) => place,
        AppContainer::None => return Outcome::Silent,
        AppContainer::Ambiguous => {
            return Outcome::Problem {
                denies: false,
                path: "spec.template.spec.containers".to_owned(),
                message: format!(
                    "has several containers, and none has the repository of migration {name}"
                ),
                help: "name the app's container in wavegate.dev/container",
            };
        }
    };
    let container = workload.pod().and_then(|pod| pod.container(place));
    let Some(Ok(image)) = container.map(|container| ImageRef::parse(&container.image)) else {
        return Outcome::Silent;
    };
    // A floating tag proves nothing either way and is WG303's to report.
    if cx.policy.is_floating(&image) || cx.policy.is_floating(migrated) {
        return Outcome::Silent;
    }
    let path = format!("spec.template.spec.{place}.image");
    let together = if image.same_repository(migrated) { TOGETHER } else { TOKEN };
    match comparison(&image, migrated, pair) {
        Comparison::Same => Outcome::Same,
        Comparison::Different => Outcome::Problem {
            denies: true,
            path,
            message: format!("is {image}, but migration {name} runs {migrated}"),
            help: together,
        },
        Comparison::Unknown => Outcome::Problem {
            denies: false,
            path,
            message: format!("{image} cannot be compared with {migrated} of migration {name}"),
            help: TOKEN,
        },
    }
}

/// Digests of different repositories can never agree, so those are compared by tag, where the pair is explicit.
fn comparison(image: &ImageRef, migrated: &ImageRef, pair: &Pair<'_>) -> Comparison {
    if image.same_repository(migrated) {
        return image.compare(migrated);
    }
    let explicit = matches!(pair.reason, PairReason::App(_));
    match (image.tag(), migrated.tag()) {
        (Some(left), Some(right)) if explicit && left == right => Comparison::Same,
        (Some(_), Some(_)) => Comparison::Different,
        _ => Comparison::Unknown,
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
