//! What a sync is asked to do.

use serde_json::{Map, Value, json};

/// An object, as a selective sync names it.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

impl<'a> Resource<'a> {
    pub fn deployment(name: &'a str) -> Self {
        Self { group: "apps", kind: "Deployment", name }
    }

    pub fn job(name: &'a str) -> Self {
        Self { group: "batch", kind: "Job", name }
    }
}

/// A sync in the making: the operation that Argo CD's command line and its UI ask for, with the same
/// defaults. The newest revision of the repository is synced unless another is named.
#[derive(Debug, Clone)]
#[must_use = "nothing happens until an Application is synced with it"]
pub struct Sync {
    operation: Map<String, Value>,
    apply_only: bool,
    force: bool,
    retry: Option<Value>,
}

impl Sync {
    /// Everything, with hooks.
    pub fn full() -> Self {
        Self { operation: Map::new(), apply_only: false, force: false, retry: None }
    }

    /// Only these objects. Argo CD runs no hooks then, although nothing in the request says so.
    pub fn only(resources: &[Resource<'_>]) -> Self {
        let resources: Vec<Value> = resources
            .iter()
            .map(|it| json!({ "group": it.group, "kind": it.kind, "name": it.name }))
            .collect();
        Self::full().with("resources", resources.into())
    }

    /// Everything, without hooks: `argocd app sync --strategy apply`.
    pub fn apply_only() -> Self {
        Self { apply_only: true, ..Self::full() }
    }

    /// One of the `syncOptions`, say `Replace=true`. With any of them the Application's own do not apply.
    pub fn option(mut self, option: &str) -> Self {
        let options = self.operation.entry("syncOptions").or_insert_with(|| json!([]));
        options.as_array_mut().expect("a list").push(option.into());
        self
    }

    pub fn server_side_apply(self) -> Self {
        self.option("ServerSideApply=true")
    }

    pub fn replace(self) -> Self {
        self.option("Replace=true")
    }

    /// `argocd app sync --force`: what cannot be patched is deleted and created anew.
    pub fn force(self) -> Self {
        Self { force: true, ..self }
    }

    pub fn prune(self) -> Self {
        self.with("prune", true.into())
    }

    pub fn dry_run(self) -> Self {
        self.with("dryRun", true.into())
    }

    /// An older revision than the newest. With [`apply_only`](Self::apply_only) this is a rollback.
    pub fn revision(self, revision: &str) -> Self {
        self.with("revision", revision.into())
    }

    /// Retries a failed sync that many times, one second apart.
    pub fn retry(self, limit: u32) -> Self {
        Self { retry: Some(retry(limit)), ..self }
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.operation.insert(field.to_owned(), value);
        self
    }

    /// The value of the Application's field `operation`. Argo CD keeps what is in `info`, so an
    /// operation is recognised by its `number`. `defaults` are for a request without these fields.
    pub(super) fn operation(&self, number: u32, defaults: &Defaults) -> Value {
        let mut sync = self.operation.clone();
        let strategy = if self.apply_only { "apply" } else { "hook" };
        sync.insert("syncStrategy".into(), json!({ strategy: { "force": self.force } }));
        // Argo CD's API server resolves the revision before it asks for the operation.
        sync.entry("revision").or_insert_with(|| defaults.revision.clone().into());
        if let Some(options) = &defaults.options {
            sync.entry("syncOptions").or_insert_with(|| options.clone());
        }
        let mut operation = json!({
            "initiatedBy": { "username": "test" },
            "info": [{ "name": NUMBER, "value": number.to_string() }],
            "sync": sync,
        });
        if let Some(retry) = self.retry.as_ref().or(defaults.retry.as_ref()) {
            operation["retry"] = retry.clone();
        }
        operation
    }
}

/// What Argo CD's API server adds to a request from the Application's `syncPolicy` and repository.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) revision: String,
    pub(super) options: Option<Value>,
    pub(super) retry: Option<Value>,
}

/// Name of the entry of an operation's `info` that tells the operations of the tests apart.
const NUMBER: &str = "test.wavegate.dev/number";

/// The number of an operation that a test has asked for.
pub(super) fn number(operation: &Value) -> Option<u32> {
    let mut info = operation["info"].as_array()?.iter();
    info.find(|entry| entry["name"] == NUMBER)?["value"].as_str()?.parse().ok()
}

/// The value of a field `retry`. Argo CD's own backoff is 5 seconds, doubled with each attempt.
pub(super) fn retry(limit: u32) -> Value {
    json!({ "limit": limit, "backoff": { "duration": "1s", "factor": 1, "maxDuration": "1s" } })
}
