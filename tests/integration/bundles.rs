//! Verdicts that depend on what stands together.

use wavegate::check::check;
use wavegate::check::load::Source;
use wavegate::policy::Policy;

/// A Job in short: what differs from one case to the next.
struct Job<'a> {
    name: &'a str,
    annotations: &'a str,
    command: &'a str,
    image: &'a str,
}

const MIGRATION: Job<'static> = Job {
    name: "shop-migrate",
    annotations: "argocd.argoproj.io/hook: PreSync",
    command: "[alembic, upgrade, head]",
    image: "example.com/shop/api:v1",
};

impl Job<'_> {
    fn yaml(&self) -> String {
        let Self { name, annotations, command, image } = self;
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n\
             spec:\n  backoffLimit: 0\n  activeDeadlineSeconds: 300\n  template:\n    spec:\n      \
             restartPolicy: Never\n      containers:\n        - name: c\n          image: {image}\n          \
             command: {command}\n          envFrom: [{{secretRef: {{name: db}}}}]\n---\n"
        )
    }
}

fn workload(kind: &str, metadata: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: shop, {metadata}}}\nspec:\n  template:\n    \
         spec:\n      containers:\n        - name: c\n          image: {image}\n---\n"
    )
}

/// Effect, code and kind of the object of each finding, without those about the workload's own shape.
fn findings(yaml: &str) -> Vec<String> {
    let report = check(&[Source::new("bundle", yaml)], &Policy::default(), "shop");
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let found = report.findings.iter().map(|checked| {
        let finding = &checked.finding;
        format!("{} {} {}", finding.effect().name(), finding.code(), checked.object.kind)
    });
    found.filter(|line| !line.contains(" WG5")).collect()
}

#[test]
fn only_a_sure_pair_with_a_strong_migration_refuses_the_workload() {
    let latest = "example.com/shop/api:latest";
    let unordered = Job { annotations: "team: shop", image: latest, ..MIGRATION };
    let by_a_guess = unordered.yaml() + &workload("Deployment", "", latest);
    assert!(findings(&by_a_guess).contains(&"warn WG303 Deployment".to_owned()));
    assert!(!findings(&by_a_guess).iter().any(|line| line.starts_with("deny")));

    let wave = "annotations: {argocd.argoproj.io/sync-wave: abc}";
    let unordered = Job { annotations: "team: shop", ..MIGRATION };
    let malformed = unordered.yaml() + &workload("Deployment", wave, MIGRATION.image);
    assert!(findings(&malformed).contains(&"warn WG206 Deployment".to_owned()));

    let sure = MIGRATION.yaml() + &workload("Deployment", wave, MIGRATION.image);
    assert_eq!(findings(&sure), ["deny WG206 Deployment"]);
}

#[test]
fn a_likely_pair_never_refuses() {
    let instance = "labels: {app.kubernetes.io/instance: shop}";
    let wave = "labels: {app.kubernetes.io/instance: shop}, annotations: {argocd.argoproj.io/sync-wave: abc}";
    let migration = Job { image: "example.com/shop/migrations:v1", ..MIGRATION };
    let job = migration.yaml().replacen("metadata: {", &format!("metadata: {{{instance}, "), 1);
    let found = findings(&(job + &workload("Deployment", wave, MIGRATION.image)));
    assert_eq!(found, ["warn WG206 Deployment"]);
}

#[test]
fn an_earlier_releases_job_beside_the_current_one_is_no_mismatch() {
    let old = Job { name: "shop-migrate-v1", ..MIGRATION };
    let new = Job { name: "shop-migrate-v2", image: "example.com/shop/api:v2", ..MIGRATION };
    let app = workload("Deployment", "", "example.com/shop/api:v2");
    assert_eq!(findings(&(old.yaml() + &new.yaml() + &app)), [""; 0]);
    assert_eq!(findings(&(old.yaml() + &app)), ["deny WG301 Deployment"]);
}

#[test]
fn two_releases_of_one_chart_do_not_concern_each_other() {
    let of = |name: &str, tag: &str| {
        let label = format!("labels: {{app.kubernetes.io/instance: {name}}}");
        let image = format!("example.com/shop/api:{tag}");
        let migration = Job { name: &format!("{name}-migrate"), image: &image, ..MIGRATION };
        migration.yaml().replacen("metadata: {", &format!("metadata: {{{label}, "), 1)
            + &workload("Deployment", &label, &image)
                .replace("name: shop,", &format!("name: {name},"))
    };
    assert_eq!(findings(&(of("blue", "v1") + &of("green", "v2"))), [""; 0]);
}

#[test]
fn a_declared_none_is_left_alone() {
    let verifying = Job {
        name: "shop-verify",
        annotations: "argocd.argoproj.io/hook: PostSync, argocd.argoproj.io/sync-wave: abc",
        command: "[python, manage.py, migrate, --check]",
        ..MIGRATION
    };
    let app = workload("Deployment", "", MIGRATION.image);
    let inferred = MIGRATION.yaml() + &verifying.yaml() + &app;
    assert_eq!(findings(&inferred), ["warn WG202 Job"]);
    let none =
        verifying.yaml().replacen("annotations: {", "annotations: {wavegate.dev/role: none, ", 1);
    assert_eq!(findings(&(MIGRATION.yaml() + &none + &app)), [""; 0]);
}

#[test]
fn a_runner_image_is_told_to_use_a_release_token() {
    let label = "labels: {wavegate.dev/app: shop}";
    let flyway = Job { image: "flyway/flyway:11.1", command: "[flyway, migrate]", ..MIGRATION };
    let job = flyway.yaml().replacen("metadata: {", &format!("metadata: {{{label}, "), 1);
    let yaml = job + &workload("Deployment", label, MIGRATION.image);
    let report = check(&[Source::new("bundle", yaml)], &Policy::default(), "shop");
    let mismatch =
        report.findings.iter().find(|checked| checked.finding.code() == "WG301").unwrap();
    assert!(mismatch.finding.help().contains("wavegate.dev/release"), "{}", mismatch.finding);
}

/// What a record says of a failure stands in the denial, and a record of before there was such a field is read too.
#[test]
fn a_denial_quotes_how_the_recorded_attempt_failed() {
    let record = |failure: &str| {
        format!(
            "apiVersion: wavegate.dev/v1alpha1\nkind: MigrationRecord\nmetadata: {{name: u-1}}\nspec:\n  \
             app: shop\n  migration: shop-migrate\n  release: v2\n  image: example.com/shop/api:v2\n  \
             phase: expand\n  confidence: strong\n  hooks: [PreSync]\n  job: {{name: shop-migrate, uid: \
             u-1, created: \"2026-11-24T10:00:00Z\"}}\nstatus:\n  outcome: Failed\n  completionTime: \
             \"2026-11-24T10:01:00Z\"\n{failure}---\n"
        ) + &workload("Deployment", "", "example.com/shop/api:v2")
    };
    let message = |yaml: &str| {
        let report = check(&[Source::new("bundle", yaml)], &Policy::default(), "shop");
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        let found = report.findings.iter().find(|checked| checked.finding.code() == "WG302");
        found.map(|checked| checked.finding.message().to_owned()).expect("WG302")
    };
    let said =
        "  failure: {container: wait-for-db, exitCode: 1, reason: Error, message: no answer}\n";
    assert!(
        message(&record(said)).ends_with(
            "shop-migrate failed: container wait-for-db ended with exit code 1: no answer"
        )
    );
    let silent = "  failure: {container: migrate, exitCode: 137, reason: OOMKilled}\n";
    assert!(
        message(&record(silent))
            .ends_with("failed: container migrate ended with exit code 137 (OOMKilled)")
    );
    assert!(message(&record("")).ends_with("shop-migrate failed"));
}
