//! `make demo`: wavegate guards a real API server, shown with kubectl. Ends by itself; the exit status is 0 only
//! if everything was as expected.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "it shows its user")]

mod binary;
#[path = "cluster.rs"]
mod cluster;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cluster::wavegate::Wavegate;
use cluster::{ControlPlane, Namespace, Output};

fn main() -> ExitCode {
    match run() {
        Ok(steps) => {
            println!("\nAll {steps} steps went as expected.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\nNOT AS EXPECTED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize, String> {
    heading("A control plane of Kubernetes, and wavegate in front of it");
    let control_plane = ControlPlane::start().map_err(|error| error.to_string())?;
    let binary = binary::built_beside_this_one().map_err(|error| error.to_string())?;
    let wavegate = Wavegate::start(&control_plane, &binary);
    wavegate.register(&control_plane);
    println!(
        "etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok run on loopback;"
    );
    println!("wavegate is registered as charts/wavegate registers it.");
    let namespace = control_plane.namespace("demo", &[("wavegate.dev/mode", "enforce")]);
    println!("namespace {namespace} is labelled wavegate.dev/mode=enforce");
    let mut demo = Demo { namespace, steps: 0 };
    demo.good()?;
    demo.held()?;
    demo.bad()?;
    Ok(demo.steps)
}

fn heading(text: &str) {
    println!("\n== {text} ==");
}

struct Demo<'c> {
    namespace: Namespace<'c>,
    steps: usize,
}

impl Demo<'_> {
    fn good(&mut self) -> Result<(), String> {
        heading("The three manifests of a release pass a server dry run");
        self.passes(&["apply", "--dry-run=server", "--filename=examples/shop"])?;
        heading(
            "The migration is applied, gains an init container that waits for the database, and completes",
        );
        let applied = self.passes(&["apply", "--filename=examples/shop/migration.yaml"])?;
        expect(applied.stderr.contains("wait-for-db was added"), "no waiter was announced")?;
        let path = "--output=jsonpath={.spec.template.spec.initContainers[*].name}";
        let names = self.passes(&["get", "job/shop-migrate", path])?;
        expect(names.stdout.trim() == "wait-for-db", "the Job has no init container")?;
        self.waits("job/shop-migrate", "Complete")?;
        heading("The app follows, and the verification after it");
        self.passes(&["apply", "--filename=examples/shop/app.yaml"])?;
        self.waits("deployment/shop-api", "Available")?;
        self.passes(&["apply", "--filename=examples/shop/verification.yaml"])?;
        self.waits("job/shop-verify", "Complete")?;
        Ok(())
    }

    fn held(&mut self) -> Result<(), String> {
        heading("The next release's migration fails: its app is held, and the old one runs on");
        self.release("migration.yaml", "v1.5.0", "fail")?;
        self.waits("job/shop-migrate", "Failed")?;
        let denied = self.apply("app.yaml", "v1.5.0", "");
        let said = denied.stderr.contains("WG302") && denied.stderr.contains("shop-migrate failed");
        expect(said && !denied.status.success(), "the app was not held by WG302")?;
        heading("The migration is fixed and runs again: the same app passes");
        self.release("migration.yaml", "v1.5.0", "succeed")?;
        self.waits("job/shop-migrate", "Complete")?;
        let passed = self.apply("app.yaml", "v1.5.0", "");
        expect(passed.status.success(), "the app was held")?;
        self.passes(&["rollout", "status", "deployment/shop-api", "--timeout=50s"])?;
        heading("A rollback to an image that has migrated is never held");
        self.passes(&["rollout", "undo", "deployment/shop-api"])?;
        heading("The history is there to be read, and outlives its Jobs");
        self.passes(&["delete", "jobs", "--all"])?;
        let records = self.passes(&["get", "migrationrecords"])?;
        let outcomes = |outcome| records.stdout.matches(outcome).count();
        let complete = outcomes("Succeeded") == 2 && outcomes("Failed") == 1;
        expect(complete, "the history is not two successes and a failure")
    }

    /// Creates a release's migration anew, as Argo CD does before each sync. Its pod ends as `outcome` says.
    fn release(&mut self, file: &str, tag: &str, outcome: &str) -> Result<(), String> {
        self.passes(&["delete", "job", "shop-migrate", "--wait"])?;
        let output = self.apply(file, tag, outcome);
        expect(output.status.success(), "the migration was refused")
    }

    /// Applies one of the three manifests with another tag.
    fn apply(&mut self, file: &str, tag: &str, outcome: &str) -> Output {
        let manifest = fs::read_to_string(format!("examples/shop/{file}")).unwrap_or_default();
        let ends = format!(
            "  template:\n    metadata: {{annotations: {{test.wavegate.dev/outcome: {outcome}}}}}\n"
        );
        let manifest = manifest.replace(":v1.4.0", &format!(":{tag}"));
        let manifest = if outcome.is_empty() {
            manifest
        } else {
            manifest.replacen("  template:\n", &ends, 1)
        };
        let what = format!("examples/shop/{file}, with tag {tag}");
        println!("\n$ kubectl apply --filename=-   # {what}");
        let output = self.namespace.kubectl().args(["apply", "--filename=-"]).stdin(manifest).run();
        self.show(&output);
        output
    }

    fn bad(&mut self) -> Result<(), String> {
        heading("Each variant with one deviation is refused, by its own rule");
        self.passes(&["delete", "--ignore-not-found", "--filename=examples/shop"])?;
        for file in files("examples/bad")? {
            let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let code = name.split('-').next().unwrap_or_default().to_uppercase();
            let output = self.kubectl(&["apply", "--filename", &file.display().to_string()]);
            let refused = !output.status.success() && output.stderr.contains(&code);
            expect(refused, &format!("{} was not refused by {code}", file.display()))?;
        }
        Ok(())
    }

    fn kubectl(&mut self, arguments: &[&str]) -> Output {
        println!("\n$ kubectl {}", arguments.join(" "));
        let output = self.namespace.kubectl().args(arguments).run();
        self.show(&output);
        output
    }

    fn show(&mut self, output: &Output) {
        for line in output.stdout.lines().chain(output.stderr.lines()) {
            println!("  {line}");
        }
        self.steps += 1;
    }

    fn passes(&mut self, arguments: &[&str]) -> Result<Output, String> {
        let output = self.kubectl(arguments);
        expect(output.status.success(), "kubectl failed")?;
        Ok(output)
    }

    fn waits(&mut self, what: &str, condition: &str) -> Result<(), String> {
        let bound = Duration::from_secs(50).as_secs();
        let condition = format!("--for=condition={condition}");
        self.passes(&["wait", what, &condition, &format!("--timeout={bound}s")]).map(|_| ())
    }
}

fn expect(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn files(directory: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{directory}: {error}"))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    Ok(files)
}
