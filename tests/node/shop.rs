//! The shop: an app whose releases need their migrations, in a namespace that enforces restricted Pod Security.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::{ControlPlane, Kubectl, Namespace, Output, eventually};

const ADDRESS: &str = include_str!("shop/address.yaml");
const DATABASE: &str = include_str!("shop/database.yaml");
const MIGRATION: &str = include_str!("shop/migration.yaml");
const APP: &str = include_str!("shop/app.yaml");
const VERIFICATION: &str = include_str!("shop/verification.yaml");

/// The password in the database's Secret, which must appear nowhere else.
pub(crate) const PASSWORD: &str = "s3cret-word";

/// Labels of a namespace that wavegate guards and that admits restricted Pods only.
pub(crate) const LABELS: [(&str, &str); 2] =
    [("wavegate.dev/mode", "enforce"), ("pod-security.kubernetes.io/enforce", "restricted")];

/// How long anything on the node may take.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

/// The migration of a release.
pub(crate) fn migration(release: &str) -> String {
    MIGRATION.replace("RELEASE", release)
}

/// The app of a release.
pub(crate) fn app(release: &str) -> String {
    APP.replace("RELEASE", release)
}

/// What checks a release once it runs.
pub(crate) fn verification(release: &str) -> String {
    VERIFICATION.replace("RELEASE", release)
}

/// The shop in a namespace, asked by kubectl.
pub(crate) struct Shop<K: Fn() -> Kubectl> {
    kubectl: K,
}

/// A namespace for the shop, with the credentials and the name of a database that does not run yet.
pub(crate) fn namespace<'c>(cluster: &'c ControlPlane, test: &str) -> Namespace<'c> {
    cluster.namespace(test, &LABELS)
}

impl<K: Fn() -> Kubectl> Shop<K> {
    /// The shop in the namespace that `kubectl` is for.
    pub(crate) fn new(kubectl: K) -> Self {
        let shop = Self { kubectl };
        shop.apply(ADDRESS);
        shop
    }

    pub(crate) fn kubectl(&self) -> Kubectl {
        (self.kubectl)()
    }

    /// Applies a manifest, which must be admitted, and returns what kubectl says on standard error.
    pub(crate) fn apply(&self, manifest: &str) -> String {
        let output = self.try_apply(manifest);
        assert!(output.status.success(), "{}", output.stderr);
        output.stderr
    }

    pub(crate) fn try_apply(&self, manifest: &str) -> Output {
        self.kubectl().args(["apply", "--filename=-"]).stdin(manifest).run()
    }

    pub(crate) fn start_database(&self) {
        self.apply(DATABASE);
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        self.kubectl().args(["get", kind, name]).json()
    }

    /// Waits for the end of a Job: `Complete`, or `Failed:` and the reason.
    pub(crate) fn end_of(&self, job: &str) -> String {
        eventually(&format!("job {job} ends"), BOUND, || {
            let job = self.get("job", job);
            let conditions = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ended = conditions.iter().find(|condition| {
                let kind = condition["type"].as_str().unwrap_or_default();
                matches!(kind, "Complete" | "Failed") && condition["status"] == "True"
            });
            let ended = ended?;
            let text = |field: &str| ended[field].as_str().unwrap_or_default().to_owned();
            Some(if ended["type"] == "Complete" {
                text("type")
            } else {
                format!("Failed: {}", text("reason"))
            })
        })
    }

    /// Waits until all of the app's Pods are of its newest template, and ready.
    pub(crate) fn rolls_out(&self) {
        let status = ["rollout", "status", "deployment/shop-api", "--timeout=120s"];
        self.kubectl().args(status).within(BOUND + Duration::from_secs(5)).ok();
    }

    /// The image that the app is to run.
    pub(crate) fn image(&self) -> String {
        let image = &self.get("deployment", "shop-api")["spec"]["template"]["spec"]["containers"]
            [0]["image"];
        image.as_str().unwrap_or_default().to_owned()
    }

    /// What a container of a Job's Pods logged.
    pub(crate) fn log(&self, job: &str, container: &str) -> String {
        let of_job = format!("--selector=job-name={job}");
        let output =
            self.kubectl().args(["logs", &of_job, "--container", container, "--tail=-1"]).run();
        // A Pod of the Job's last run may vanish meanwhile.
        output.stdout + &output.stderr
    }

    /// The record of a release's only attempt, once its outcome is known.
    pub(crate) fn record(&self, release: &str) -> Value {
        eventually(&format!("the record of {release}"), BOUND, || {
            let records = self.kubectl().args(["get", "migrationrecords"]).json();
            let of_release = |record: &&Value| record["spec"]["release"] == release;
            let record = records["items"].as_array()?.iter().find(of_release)?.clone();
            record["status"]["outcome"].is_string().then_some(record)
        })
    }

    /// What a query returns, asked in the database's own container.
    pub(crate) fn query(&self, sql: &str) -> String {
        let psql = [
            "psql",
            "--host=/data",
            "--username=shop",
            "--dbname=postgres",
            "--no-align",
            "--tuples-only",
        ];
        let run = ["sh", "-c", "PGPASSWORD=$(cat /secret/password) exec \"$@\"", "sh"];
        let exec = ["exec", "deployment/postgres", "--"];
        self.kubectl().args(exec).args(run).args(psql).args(["--command", sql]).ok()
    }
}
