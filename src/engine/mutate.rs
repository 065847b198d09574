//! What wavegate adds to a Job when it is created: its stamps, a waiter where one is missing, and what a policy fills in.
//!
//! The patch is built from paths. It is never the difference between an object and its re-serialised form,
//! which would remove every field that a newer API server knows and wavegate does not.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Value, json};

use super::wait_for_db::{self, Injection};
use super::{Mode, fixes};
use crate::admission::{Admission, Operation, Subject};
use crate::domain::job::Job;
use crate::domain::manifest::StringMap;
use crate::domain::stamp::{Additions, Stamps};
use crate::domain::waiter::own;
use crate::policy::{Inject, Policy};

/// What to change about an object.
#[derive(Clone, Debug, Default)]
pub struct Mutation {
    /// The changes; empty if there are none.
    pub patch: Patch,
    /// Remarks for the client, each a sentence.
    pub notices: Vec<String>,
    /// Where in `initContainers` a container was inserted.
    pub inserted_init_container: Option<usize>,
}

/// Plans the mutation of a request. Only Jobs that are created change; applying the patch and asking again
/// plans nothing more.
pub fn mutate(admission: &Admission<'_>, policy: &Policy, mode: Mode) -> Mutation {
    let mut mutation = Mutation::default();
    if let (Subject::Job(job), Operation::Create) = (&admission.subject, admission.operation) {
        let has_pod = !job.pod().containers.is_empty();
        let fixes = mode == Mode::Enforce && is_certain(job) && has_pod;
        let deadline = if fixes { fixes::deadline(job, policy) } else { None };
        let injected = inject(job, policy, mode, deadline, &mut mutation);
        let mut additions = Additions { injected, ..Additions::default() };
        if fixes {
            let waits = waits(job, injected, policy);
            additions.fixed = fixes::apply(admission, job, policy, waits, &mut mutation);
        }
        stamp(admission, job, &additions, &mut mutation);
    }
    mutation
}

/// Whether a Job is a migration beyond guessing, so that more than stamps may be added to it.
fn is_certain(job: &Job<'_>) -> bool {
    job.recognition.is_migration() && job.recognition.may_deny()
}

/// Whether the migration surely starts behind a waiter. An author's own is taken for one.
fn waits(job: &Job<'_>, injected: Option<&str>, policy: &Policy) -> bool {
    let own = |place| job.pod().container(place).is_some_and(own::is_own);
    match job.waiter() {
        Some((place, _)) if !own(place) => true,
        _ => injected.is_some() && wait_for_db::is_sure(job, policy),
    }
}

/// The stamps that a Job must carry as it is.
pub(super) fn stamps(admission: &Admission<'_>, job: &Job<'_>) -> Stamps {
    let injected = wait_for_db::injected(job).map(|container| container.name.as_str());
    compute(admission, job, &Additions { injected, ..Additions::default() })
}

fn compute(admission: &Admission<'_>, job: &Job<'_>, additions: &Additions<'_>) -> Stamps {
    let template = if job.recognition.is_migration() { template(admission) } else { Value::Null };
    Stamps::compute(job, &template, additions, &admission.username)
}

fn template(admission: &Admission<'_>) -> Value {
    let object: Value = serde_json::from_str(admission.object).unwrap_or_default();
    object.pointer("/spec/template").cloned().unwrap_or_default()
}

/// Adds a waiter where the policy says so. Returns the name of the one that is there in the end, if any. `deadline` is
/// what the Job gets beside it.
fn inject<'j>(
    job: &'j Job<'_>,
    policy: &Policy,
    mode: Mode,
    deadline: Option<i64>,
    mutation: &mut Mutation,
) -> Option<&'j str> {
    if let Some(container) = wait_for_db::injected(job) {
        return Some(container.name.as_str());
    }
    let wanted = match policy.inject {
        Inject::Enforce => mode == Mode::Enforce,
        Inject::Always => true,
        Inject::Off => false,
    };
    if !wanted || !is_certain(job) || job.waiter().is_some() {
        return None;
    }
    match wait_for_db::plan(job, policy, deadline) {
        Injection::Add { container, name, index } => {
            let list = ["spec", "template", "spec", "initContainers"];
            mutation.inserted_init_container = Some(index);
            if job.pod().init_containers.is_empty() {
                mutation.add(&list, json!([container]));
            } else {
                let index = index.to_string();
                mutation.add(&[&list[..], &[&index]].concat(), container);
            }
            mutation.notices.push(format!(
                "init container {name} was added to this migration: it waits for the database"
            ));
            Some(name)
        }
        Injection::Skip(reason) => {
            mutation
                .notices
                .push(format!("no init container that waits for the database was added: {reason}"));
            None
        }
    }
}

fn stamp(
    admission: &Admission<'_>,
    job: &Job<'_>,
    additions: &Additions<'_>,
    mutation: &mut Mutation,
) {
    let metadata = &job.manifest.metadata;
    let mut differences = compute(admission, job, additions).differences(metadata);
    for (field, map) in [("labels", &metadata.labels), ("annotations", &metadata.annotations)] {
        let (own, rest): (Vec<_>, Vec<_>) = differences.into_iter().partition(|d| d.field == field);
        differences = rest;
        if own.iter().any(|difference| difference.want.is_some()) {
            make_room(admission, &["metadata", field], map, mutation);
        }
        for difference in own {
            let path = ["metadata", field, &difference.key];
            match difference.want {
                Some(value) => mutation.add(&path, Value::String(value)),
                None => mutation.remove(&path),
            }
        }
    }
}

/// Adds a map where the object has none, with the objects on the way to it, so that entries can be added. One whose only
/// entry is not read, the copy that `kubectl apply` keeps, is there nevertheless.
pub(super) fn make_room(
    admission: &Admission<'_>,
    path: &[&str],
    map: &StringMap<'_>,
    mutation: &mut Mutation,
) {
    if !map.is_empty() {
        return;
    }
    let object: Value = serde_json::from_str(admission.object).unwrap_or_default();
    let (mut at, mut way) = (Some(&object), Vec::with_capacity(path.len()));
    for field in path {
        way.push(*field);
        at = at.and_then(|object| object.get(field)).filter(|found| !found.is_null());
        if at.is_none() && !mutation.adds(&way) {
            mutation.add(&way, json!({}));
        }
    }
}

impl Mutation {
    pub(super) fn add(&mut self, path: &[&str], value: Value) {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.patch.0.push(PatchOperation::Add(AddOperation { path, value }));
    }

    /// Whether something is added at this path.
    fn adds(&self, path: &[&str]) -> bool {
        let path = PointerBuf::from_tokens(path.iter().copied());
        let mut patch = self.patch.0.iter();
        patch.any(|operation| matches!(operation, PatchOperation::Add(add) if add.path == path))
    }

    fn remove(&mut self, path: &[&str]) {
        let path = PointerBuf::from_tokens(path.iter().copied());
        self.patch.0.push(PatchOperation::Remove(RemoveOperation { path }));
    }
}
