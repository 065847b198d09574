use crate::domain::image::ImageRef;
use crate::domain::job::Job;
use crate::domain::manifest::{Container, ContainerPlace};
use crate::domain::workload::Workload;
use crate::policy::gate::{Judgement, Releases, Remark};
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// An image tag does not say which release it is.
    ///
    /// # What it checks
    ///
    /// The image of the migration container, or of the app container of a workload that opted in or
    /// is paired with a migration, has no tag, the tag `latest` or one of the policy's floating tags
    /// (`main`, `master`, `dev`, `stable`, `edge`, `nightly`), and no digest; or it cannot be read as
    /// an image reference at all.
    ///
    /// # Why it matters
    ///
    /// Such a tag means one image today and another tomorrow. Nobody can tell whether the migration
    /// that ran is the one that the code needs, and a node with an older copy may run either.
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
    ///           image: example.com/shop/api:latest
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
    /// The floating tags.
    ///
    /// # References
    ///
    /// - [Kubernetes: images](https://kubernetes.io/docs/concepts/containers/images/)
    "WG303" "floating-image-tag", Deny, Object, [Migration(migration), Workload(workload), Rollout(pushed_again)]
}

fn pushed_again(judgement: &Judgement<'_>, _cx: &Context<'_>, found: &mut Problems) {
    for remark in &judgement.remarks {
        if let Remark::PushedAgain(newest) = remark {
            let (release, job) = (judgement.gated, &newest.facts.key.name);
            found.advise(
                release.path(),
                format!("{release} was pushed again: migration Job {job} ran another image than an earlier one"),
                "never push a release's tag again, or use digests",
            );
        }
    }
}

fn migration(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    if let Some((place, container)) = job.migration_container() {
        check_image(place, container, Subject { what: "migration", denies: true }, cx, found);
    }
}

fn workload(workload: &Workload<'_>, cx: &Context<'_>, found: &mut Problems) {
    let paired = cx.pairs.iter().find(|pair| pair.reason.is_sure());
    if paired.is_none() && !workload.is_opted_in() {
        return;
    }
    let Some(pod) = workload.pod() else { return };
    let stays = |container: &Container<'_>| {
        container.image.parsed().is_ok_and(|image| !cx.policy.is_floating(image))
    };
    if pod.all_containers().all(|(_, container)| stays(container)) {
        return;
    }
    let pairs = cx.pairs.iter().filter(|pair| pair.reason.is_sure());
    let migrated: Vec<&ImageRef> = pairs.filter_map(|pair| pair.migration.image.as_ref()).collect();
    let releases = Releases::of(workload, &migrated, &cx.policy.names);
    for (place, container) in pod.all_containers() {
        if releases.all.iter().any(|release| release.is_of(place)) {
            let subject = Subject { what: "app", denies: cx.is_gated() };
            check_image(place, container, subject, cx, found);
        }
    }
}

/// Whose image it is, and whether it may be refused for it.
#[derive(Clone, Copy)]
struct Subject {
    what: &'static str,
    denies: bool,
}

fn check_image(
    place: ContainerPlace,
    container: &Container<'_>,
    subject: Subject,
    cx: &Context<'_>,
    found: &mut Problems,
) {
    let path = || format!("spec.template.spec.{place}.image");
    let what = subject.what;
    let image = match container.image.parsed() {
        Ok(image) => image,
        Err(error) => {
            found.push_or_advise(
                subject.denies,
                path(),
                format!(
                    "`{}` of the {what} container is no image reference: {error}",
                    container.image
                ),
                "write registry/repository:tag",
            );
            return;
        }
    };
    if !cx.policy.is_floating(image) {
        return;
    }
    let tag =
        image.tag().map_or_else(|| "no tag".to_owned(), |tag| format!("the floating tag `{tag}`"));
    found.push_or_advise(
        subject.denies,
        path(),
        format!(
            "{image} of the {what} container has {tag}, so nobody can tell which release it is"
        ),
        "use the release's own tag or a digest",
    );
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn tags_that_move() {
        let sha = format!("a/b@sha256:{}", "f".repeat(64));
        let pinned = format!("a/b:latest@sha256:{}", "f".repeat(64));
        let cases = [
            ("a/b", 1),
            ("a/b:latest", 1),
            ("a/b:main", 1),
            ("a/b:v1", 0),
            ("host:5000/a/b", 1),
            ("host:5000/a/b:v1", 0),
            (sha.as_str(), 0),
            (pinned.as_str(), 0),
            ("a/b:{{ .Values.tag }}", 1),
            ("", 1),
        ];
        for (image, want) in cases {
            let job = migration(&format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"m","image":"{image}","command":["manage.py","migrate"]}}]}}}}}}}}"#
            ));
            assert_eq!(problems(&RULE, &job).len(), want, "{image}");
        }
    }
}
