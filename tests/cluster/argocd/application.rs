//! An Application of Argo CD, and what a test does with it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::ending::Ending;
use super::super::kubectl::{Kubectl, Output};
use super::super::namespace::Namespace;
use super::ArgoCd;
use super::repository::Repository;
use super::status::{Health, Operation, Phase, Status, SyncStatus};
use super::sync::{Defaults, Sync};

/// How long any wait may take. The longest thing that Argo CD does by itself takes 30 seconds: to look
/// again at an operation of which it has heard nothing.
pub const BOUND: Duration = Duration::from_mins(2);

const REFRESH: &str = "argocd.argoproj.io/refresh";
/// Tells one request for a refresh from the next: Argo CD takes away only what it has answered.
const REFRESH_NUMBER: &str = "argocd.argoproj.io/refresh-timestamp";
const NUDGE: &str = "test.wavegate.dev/nudge";

/// What the controller logs at each change of a pod, when it compares nothing.
const NOISE: [&str; 3] = ["level (0)", "comparison-level=0", "No status changes"];

const LOG_LINES: usize = 40;

/// An Application that one test has for itself. When it is dropped it is deleted, without what it has
/// applied; that goes with its namespace. If the test is failing, its status is printed before.
#[derive(Debug)]
pub struct Application<'a> {
    argocd: &'a ArgoCd<'a>,
    name: String,
    destination: String,
    repository: Repository,
    path: String,
    /// The version that this test's last change has made. Older ones are not looked at.
    version: AtomicU64,
    explained: AtomicBool,
    /// Dropped after the Application is deleted, else Argo CD would restore what goes with it.
    _namespace: Option<Namespace<'a>>,
}

/// How thorough a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Looks for a new revision.
    Normal,
    /// Also renders the manifests again and forgets the last comparison.
    Hard,
}

/// What becomes of the objects that a deleted Application has applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Argo CD deletes them first.
    Cascade,
    /// They stay.
    Orphan,
}

impl<'a> Application<'a> {
    pub(super) fn new(
        argocd: &'a ArgoCd<'a>,
        name: String,
        (destination, namespace): (String, Option<Namespace<'a>>),
        (repository, path): (Repository, String),
    ) -> Self {
        Self {
            argocd,
            name,
            destination,
            repository,
            path,
            version: AtomicU64::new(0),
            explained: AtomicBool::new(false),
            _namespace: namespace,
        }
    }

    pub(super) fn create(&self, object: &Value) {
        let create = ["create", "--filename=-", "--output=json"];
        let created = self.argocd.kubectl().args(create).stdin(object.to_string()).ok();
        self.changed(&created);
        self.until("Argo CD compares it", |status| {
            (!status.object["status"]["reconciledAt"].is_null()).then_some(())
        });
    }

    /// The name of the Application, which tracking annotations begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the namespace that it is applied to.
    pub fn namespace(&self) -> &str {
        &self.destination
    }

    /// kubectl for that namespace, as cluster administrator.
    pub fn kubectl(&self) -> Kubectl {
        self.argocd.control_plane.kubectl().namespace(&self.destination)
    }

    /// An object in that namespace.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.kubectl().args(["get", kind, name]).json()
    }

    /// Waits for the pod of a Job in that namespace and ends it. Its template must say that it runs until
    /// then.
    ///
    /// # Panics
    /// When the Job has no pod that runs.
    pub fn end_job(&self, job: &str, ending: Ending) {
        ending.of_job(job, || self.kubectl());
    }

    /// Where it comes from.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Commits files, given by their path relative to the Application's, and returns the revision.
    /// Argo CD learns of it by a refresh or a sync.
    pub fn commit<P: AsRef<Path>, C: AsRef<str>>(
        &self,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> String {
        let path = Path::new(&self.path);
        self.repository.commit(files.into_iter().map(|(file, text)| (path.join(file), text)))
    }

    /// The status now: at least as new as the last change by this test.
    pub fn status(&self) -> Status {
        self.until("it is there", |status| Some(status.clone()))
    }

    /// Waits until `probe` of the status has a value. `what` completes the sentence "not within ...".
    ///
    /// # Panics
    /// When it has none within [`BOUND`], with the whole status and the end of the controller's log.
    pub fn until<T>(&self, what: &str, mut probe: impl FnMut(&Status) -> Option<T>) -> T {
        self.until_within(BOUND, what, &mut probe)
    }

    /// Like [`until`](Self::until) with another bound.
    pub fn until_within<T>(
        &self,
        bound: Duration,
        what: &str,
        mut probe: impl FnMut(&Status) -> Option<T>,
    ) -> T {
        let least = self.version.load(Ordering::Relaxed);
        let found = self.argocd.watch.wait(
            &self.name,
            bound,
            |application| {
                let application = application.filter(|it| version(it) >= least)?;
                probe(&Status::of(application))
            },
            |application| self.nudge(application),
        );
        found.unwrap_or_else(|| self.fail(&format!("not within {bound:?}: {what}")))
    }

    /// Has the running operation looked at again. Argo CD collects changes of the objects for five
    /// seconds (`appOperationRequeueDelay` in its controller, a constant) before it does that; any change
    /// of the Application itself makes it look at once, and so halves the time of every test.
    fn nudge(&self, application: &Value) {
        if application["operation"].is_object() {
            let now = application["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            let patch = json!({ "metadata": { "annotations": { NUDGE: now } } });
            // The Application may be gone by now. Whoever waits sees that for himself.
            let _ = self.patch(&patch);
        }
    }

    /// Has Argo CD look for a new revision and compare, and waits until that is done.
    pub fn refresh(&self, refresh: Refresh) -> Status {
        let kind = match refresh {
            Refresh::Normal => "normal",
            Refresh::Hard => "hard",
        };
        let number = self.argocd.number().to_string();
        let annotations = json!({ REFRESH: kind, REFRESH_NUMBER: number });
        self.change(&json!({ "metadata": { "annotations": annotations } }));
        self.until("it is refreshed", |status| {
            let annotations = &status.object["metadata"]["annotations"];
            annotations[REFRESH_NUMBER].is_null().then(|| status.clone())
        })
    }

    /// Refreshes, then waits for this sync status and health.
    pub fn becomes(&self, sync: SyncStatus, health: Health) -> Status {
        self.refresh(Refresh::Normal);
        self.until(&format!("it is {sync:?} and {health:?}"), |status| {
            (status.sync == sync && status.health == health).then(|| status.clone())
        })
    }

    /// Syncs and waits for the end, whatever that is.
    pub fn sync(&self, sync: &Sync) -> Operation {
        self.start(sync).end()
    }

    /// Starts a sync.
    ///
    /// # Panics
    /// When another one runs and does not end.
    pub fn start(&self, sync: &Sync) -> Run<'_, 'a> {
        let number = self.argocd.number();
        self.edit("no other operation runs", |status| {
            let policy = &status.object["spec"]["syncPolicy"];
            let set = |field: &str| Some(policy[field].clone()).filter(|value| !value.is_null());
            let defaults = Defaults {
                revision: self.repository.head(),
                options: set("syncOptions"),
                retry: set("retry"),
            };
            // Like `SetAppOperation` in Argo CD's API server.
            (!status.is_busy()).then(|| {
                json!({
                    "operation": sync.operation(number, &defaults),
                    "status": { "operationState": null },
                })
            })
        });
        Run { application: self, number }
    }

    /// Waits for the end of an operation that Argo CD has started by itself, to this revision.
    pub fn automated(&self, revision: &str) -> Operation {
        self.until(&format!("it is synced to {revision} automatically"), |status| {
            let operation = status.operation.as_ref().filter(|_| !status.is_busy())?;
            let ours = operation.automated && operation.revision == revision;
            (ours && operation.phase.is_end()).then(|| operation.clone())
        })
    }

    /// Ends the running operation, as `argocd app terminate-op` does. Argo CD deletes its running hooks.
    pub fn terminate(&self) -> Operation {
        loop {
            self.edit("an operation runs", |status| {
                let runs = status.operation.is_some() && status.is_busy();
                runs.then(|| json!({ "status": { "operationState": { "phase": "Terminating" } } }))
            });
            // The controller may have been at work and have written over it: so does the command line fail.
            let end = self.until("the operation is terminated", |status| {
                let operation = status.operation.as_ref()?;
                match operation.phase {
                    Phase::Terminating => None,
                    Phase::Running => Some(None),
                    _ => (!status.is_busy()).then(|| Some(operation.clone())),
                }
            });
            if let Some(operation) = end {
                return operation;
            }
        }
    }

    /// Changes the Application by a merge patch, say its `spec`.
    ///
    /// # Panics
    /// When the API server refuses it.
    pub fn change(&self, patch: &Value) {
        let output = self.patch(patch);
        assert!(output.status.success(), "patch {patch} of {}: {}", self.name, output.stderr);
        self.changed(&output.stdout);
    }

    /// Deletes the Application and waits until it is gone.
    pub fn delete(&self, deletion: Deletion) {
        let finalizers: &[&str] = match deletion {
            Deletion::Cascade => &["resources-finalizer.argocd.argoproj.io"],
            Deletion::Orphan => &[],
        };
        self.change(&json!({ "metadata": { "finalizers": finalizers } }));
        let delete = ["delete", "application", &self.name, "--timeout=110s"];
        let output = self.argocd.kubectl().args(delete).within(BOUND).run();
        if !output.status.success() {
            self.fail(&format!("it cannot be deleted: {}", output.stderr));
        }
    }

    /// Changes the Application as long as nobody else does. `patch` makes the change once the status allows it.
    fn edit(&self, what: &str, patch: impl Fn(&Status) -> Option<Value>) {
        loop {
            let patch = self.until(what, |status| {
                let mut patch = patch(status)?;
                // The API server refuses a patch of another version than this.
                patch["metadata"] =
                    json!({ "resourceVersion": status.object["metadata"]["resourceVersion"] });
                Some(patch)
            });
            let output = self.patch(&patch);
            if output.status.success() {
                return self.changed(&output.stdout);
            }
            let conflict = output.stderr.contains("the object has been modified");
            assert!(conflict, "patch {patch} of {}: {}", self.name, output.stderr);
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn patch(&self, patch: &Value) -> Output {
        let patch = patch.to_string();
        let arguments =
            ["patch", "application", &self.name, "--type=merge", "--output=json", "--patch"];
        self.argocd.kubectl().args(arguments).args([patch]).run()
    }

    /// Notes the version of the Application that kubectl has printed.
    fn changed(&self, object: &str) {
        let object: Value = serde_json::from_str(object).unwrap_or_default();
        self.version.fetch_max(version(&object), Ordering::Relaxed);
    }

    fn fail(&self, what: &str) -> ! {
        self.explained.store(true, Ordering::Relaxed);
        panic!("Application {}: {what}\n{}", self.name, self.explanation());
    }

    /// All that helps to understand what became of it.
    fn explanation(&self) -> String {
        let get = ["get", "application", &self.name, "--output=yaml"];
        let object = match self.argocd.kubectl().args(get).try_run() {
            Ok(output) => output.stdout + &output.stderr,
            Err(error) => error.to_string(),
        };
        let mut log = self.argocd.log_of(&self.name);
        log.retain(|line| !NOISE.iter().any(|noise| line.contains(noise)));
        let log = log[log.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("{object}\nThe end of what the controller has logged about it:\n{log}")
    }
}

/// An operation that a test has asked for.
#[derive(Debug)]
#[must_use = "whether it has ended is not known"]
pub struct Run<'r, 'a> {
    application: &'r Application<'a>,
    number: u32,
}

impl Run<'_, '_> {
    /// Waits until the operation has ended, retries included.
    pub fn end(self) -> Operation {
        self.until("the operation ends", |operation| {
            operation.phase.is_end().then(|| operation.clone())
        })
    }

    /// Waits until `probe` of the operation has a value.
    pub fn until<T>(&self, what: &str, mut probe: impl FnMut(&Operation) -> Option<T>) -> T {
        self.application.until(what, |status| {
            let operation = status.operation.as_ref()?;
            (operation.number == Some(self.number)).then(|| probe(operation)).flatten()
        })
    }
}

impl Drop for Application<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.explained.load(Ordering::Relaxed) {
            eprintln!("state of Application {}:\n{}", self.name, self.explanation());
        }
        // Without the finalizers: nothing of Argo CD shall hold it.
        let _ = self.patch(&json!({ "metadata": { "finalizers": [] } }));
        let delete = ["delete", "application", &self.name, "--ignore-not-found"];
        if let Err(error) = self.argocd.kubectl().args(delete).try_run() {
            eprintln!("kubectl {}: {error}", delete.join(" "));
        }
    }
}

/// Versions are numbers that grow with every change of the cluster.
fn version(object: &Value) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
