//! A real Argo CD beside the control plane: its application controller, its repository server, and Redis.
//!
//! Comparison, sync waves, hooks, self-heal and retries are Argo CD's own code, acting as its own service
//! account with the rights that its authors give it. Only its API server is missing: what that one does for
//! the command line and the UI is a few lines in [`application`].
//!
//! ```ignore
//! let app = argocd::shared()
//!     .application("gate::holds_new_code")
//!     .label("wavegate.dev/mode", "enforce")
//!     .files([("migration.yaml", MIGRATION), ("app.yaml", APP)])
//!     .create();
//! let operation = app.sync(&Sync::full());
//! assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
//! app.becomes(SyncStatus::Synced, Health::Healthy);
//! ```

mod application;
mod draft;
mod repository;
mod start;
mod status;
mod sync;
mod watch;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::ControlPlane;
use super::kubectl::Kubectl;
use super::server::Server;

pub use application::{Application, BOUND, Deletion, Refresh, Run};
pub use draft::Draft;
pub use repository::Repository;
pub use start::ArgoCdError;
pub use status::{Condition, Health, Operation, Outcome, Phase, Status, SyncStatus};
pub use sync::{Resource, Sync};

use watch::Watch;

/// Where Argo CD and its Applications are. Its manifests name it.
pub const NAMESPACE: &str = "argocd";

/// The user as whom Argo CD changes the cluster.
pub const USER: &str = "system:serviceaccount:argocd:argocd-application-controller";

/// A running Argo CD. It ends when it is dropped, or with the control plane.
#[derive(Debug)]
pub struct ArgoCd<'c> {
    watch: Watch,
    controller: Server,
    repo_server: Server,
    redis: Server,
    control_plane: &'c ControlPlane,
    directory: PathBuf,
    applications: AtomicU32,
    operations: AtomicU32,
}

/// The Argo CD on the shared control plane, started at the first call.
///
/// # Panics
/// With the reason, on every call, when it cannot be started.
pub fn shared() -> &'static ArgoCd<'static> {
    static SHARED: OnceLock<Result<ArgoCd<'static>, String>> = OnceLock::new();
    let control_plane = super::shared();
    match SHARED.get_or_init(|| ArgoCd::start(control_plane).map_err(|error| error.to_string())) {
        Ok(argocd) => argocd,
        Err(error) => panic!("there is no Argo CD for this test: {error}"),
    }
}

impl<'c> ArgoCd<'c> {
    /// Starts Argo CD, once per control plane, and waits until it looks after Applications.
    pub fn start(control_plane: &'c ControlPlane) -> Result<Self, ArgoCdError> {
        start::start(control_plane)
    }

    /// An Application in the making, named after the test.
    pub fn application(&self, test: &str) -> Draft<'_> {
        Draft::new(self, test)
    }

    /// The Application of a manifest, as it stands there but for its repository; returns once Argo CD has compared it.
    ///
    /// # Panics
    /// When it cannot be created or is not compared.
    pub fn apply(&self, manifest: &Value, repository: &Repository) -> Application<'_> {
        let mut manifest = manifest.clone();
        manifest["spec"]["source"]["repoURL"] = repository.url().into();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&manifest["metadata"]["name"]);
        let destination = text(&manifest["spec"]["destination"]["namespace"]);
        let path = text(&manifest["spec"]["source"]["path"]);
        let source = (repository.clone(), path);
        let application = Application::new(self, name, (destination, None), source);
        application.create(&manifest);
        application
    }

    /// An empty Git repository, for several Applications. The name must not be in use.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::create(self.directory.join("git").join(name))
    }

    /// kubectl for Argo CD's namespace, as cluster administrator.
    pub fn kubectl(&self) -> Kubectl {
        self.control_plane.kubectl().namespace(NAMESPACE)
    }

    /// kubectl as Argo CD's controller.
    pub fn kubectl_as_controller(&self) -> Kubectl {
        self.control_plane.site().kubectl(&self.kubeconfig())
    }

    /// The controller's kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        start::kubeconfig(&self.directory)
    }

    /// The controller, the repository server and Redis.
    pub fn servers(&self) -> [&Server; 3] {
        [&self.controller, &self.repo_server, &self.redis]
    }

    /// What the controller has logged about an Application, line by line.
    pub fn log_of(&self, application: &str) -> Vec<String> {
        let field = format!("application={application}");
        let log = self.controller.log();
        let lines = log.lines().filter(|line| line.split(' ').any(|word| word == field));
        lines.map(str::to_owned).collect()
    }

    /// A number that no other operation has.
    fn number(&self) -> u32 {
        self.operations.fetch_add(1, Ordering::Relaxed)
    }
}
