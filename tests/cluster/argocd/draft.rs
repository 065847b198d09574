//! An Application before it is created.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::super::namespace::{Namespace, slug};
use super::ArgoCd;
use super::application::Application;
use super::repository::Repository;
use super::sync;

/// An Application in the making. As it is, it has a repository and a namespace of its own and is synced
/// when the test says so.
#[derive(Debug)]
#[must_use = "the Application does not exist until it is created"]
pub struct Draft<'a> {
    argocd: &'a ArgoCd<'a>,
    test: String,
    labels: Vec<(String, String)>,
    destination: Option<String>,
    repository: Option<Repository>,
    path: String,
    files: Vec<(String, String)>,
    annotations: Map<String, Value>,
    finalizer: bool,
    helm: Option<Value>,
    policy: Map<String, Value>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(argocd: &'a ArgoCd<'a>, test: &str) -> Self {
        Self {
            argocd,
            test: test.to_owned(),
            labels: Vec::new(),
            destination: None,
            repository: None,
            path: ".".to_owned(),
            files: Vec::new(),
            annotations: Map::new(),
            finalizer: false,
            helm: None,
            policy: Map::new(),
        }
    }

    /// A label of the Application's own namespace.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// An existing namespace instead of one of its own.
    pub fn namespace(self, name: &str) -> Self {
        Self { destination: Some(name.to_owned()), ..self }
    }

    /// An existing repository instead of one of its own.
    pub fn repository(self, repository: &Repository) -> Self {
        Self { repository: Some(repository.clone()), ..self }
    }

    /// A folder of the repository; the whole of it otherwise.
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// Files of the first commit, given by their path relative to the Application's.
    pub fn files<P: Into<String>, C: Into<String>>(
        mut self,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        self.files.extend(files.into_iter().map(|(path, text)| (path.into(), text.into())));
        self
    }

    /// An annotation of the Application itself.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }

    /// Compares by a dry run in the API server, which admission sees.
    pub fn server_side_diff(self) -> Self {
        self.annotation("argocd.argoproj.io/compare-options", "ServerSideDiff=true")
    }

    /// Which paths decide whether a commit changes this Application; `.` is its own.
    pub fn manifest_generate_paths(self, paths: &str) -> Self {
        self.annotation("argocd.argoproj.io/manifest-generate-paths", paths)
    }

    /// Values for a Helm chart, as in `values.yaml`.
    pub fn helm_values(self, values: &Value) -> Self {
        Self { helm: Some(json!({ "valuesObject": values })), ..self }
    }

    /// Argo CD syncs by itself what has been committed.
    pub fn automated(self) -> Self {
        self.policy("automated", json!({}))
    }

    /// Like [`automated`](Self::automated), and Argo CD undoes changes in the cluster too.
    pub fn self_heal(self) -> Self {
        self.policy("automated", json!({ "selfHeal": true }))
    }

    /// Like [`automated`](Self::automated), and Argo CD deletes what is no longer in Git.
    pub fn automated_with_prune(self) -> Self {
        self.policy("automated", json!({ "prune": true }))
    }

    /// Retries a failed sync that many times, one second apart. Without this Argo CD retries automated
    /// syncs only, 5 times, after 5 seconds and then ever later.
    pub fn retry(self, limit: u32) -> Self {
        self.policy("retry", sync::retry(limit))
    }

    /// `syncOptions` of all syncs, say `ServerSideApply=true`.
    pub fn sync_options(self, options: &[&str]) -> Self {
        self.policy("syncOptions", options.into())
    }

    /// When the Application is deleted, Argo CD deletes what it has applied.
    pub fn finalizer(self) -> Self {
        Self { finalizer: true, ..self }
    }

    fn policy(mut self, field: &str, value: Value) -> Self {
        self.policy.insert(field.to_owned(), value);
        self
    }

    /// Commits the files, creates the Application and waits until Argo CD has compared it once.
    ///
    /// # Panics
    /// When it cannot be created or is not compared.
    pub fn create(self) -> Application<'a> {
        let number = self.argocd.applications.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", slug(&self.test));
        let own = self.destination.is_none().then(|| self.own_namespace());
        let destination = match (&own, self.destination) {
            (Some(namespace), _) => namespace.name().to_owned(),
            (None, destination) => destination.unwrap_or_default(),
        };
        let repository = self.repository.unwrap_or_else(|| self.argocd.repository(&name));
        let application = Application::new(
            self.argocd,
            name.clone(),
            (destination.clone(), own),
            (repository.clone(), self.path.clone()),
        );
        if !self.files.is_empty() {
            application.commit(self.files);
        }
        let finalizers: &[&str] =
            if self.finalizer { &["resources-finalizer.argocd.argoproj.io"] } else { &[] };
        let mut source =
            json!({ "repoURL": repository.url(), "targetRevision": "HEAD", "path": self.path });
        if let Some(helm) = self.helm {
            source["helm"] = helm;
        }
        application.create(&json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": name, "annotations": self.annotations, "finalizers": finalizers,
            },
            "spec": {
                "project": "default",
                "source": source,
                // By this address Argo CD means the cluster that it runs in.
                "destination": {
                    "server": "https://kubernetes.default.svc", "namespace": destination,
                },
                "syncPolicy": self.policy,
            },
        }));
        application
    }

    fn own_namespace(&self) -> Namespace<'a> {
        let labels: Vec<(&str, &str)> =
            self.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        self.argocd.control_plane.namespace(&self.test, &labels)
    }
}
