//! One bundle through the engine.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::history::History;
use super::load::{Document, Source};
use super::report::{
    CheckError, Checked, CheckedObject, JobReport, Notice, PairReport, Place, Report,
};
use crate::admission::{Admission, Subject};
use crate::cluster::{ClusterState, MigrationFacts, pairing};
use crate::domain::detection::Detection;
use crate::domain::job::Job;
use crate::domain::manifest::{ServiceManifest, display_name};
use crate::domain::role::Role;
use crate::engine::{self, Mode};
use crate::policy::{Policies, Policy};

/// An object of the bundle as the engine reads it.
pub(super) struct Object<'s> {
    pub(super) about: Arc<CheckedObject>,
    document: &'s Document,
    prefix: String,
    pub(super) group: String,
    pub(super) json: String,
    detection: Detection,
}

impl Object<'_> {
    pub(super) fn place(&self, path: &str) -> Place {
        if path.is_empty() {
            return self.about.place;
        }
        let location = self.document.locate(&format!("{}{path}", self.prefix));
        Place::new(self.about.place.source, location)
    }

    pub(super) fn error(&self, path: &str, message: String) -> CheckError {
        CheckError { object: Some(Arc::clone(&self.about)), place: self.place(path), message }
    }

    pub(super) fn admission<'b>(&'b self, json: &'b str) -> Admission<'b> {
        let CheckedObject { kind, namespace, .. } = &*self.about;
        let mut admission = Admission::of_manifest(&self.group, kind, namespace, json);
        admission.detect(&self.detection);
        admission
    }
}

/// Checks manifests as one bundle. Objects without a namespace share the given one.
pub fn check(sources: &[Source], policy: &Policy, namespace: &str) -> Report {
    check_by(sources, &policy.clone().into(), namespace)
}

/// The same by the settings of each object's namespace.
pub fn check_by(sources: &[Source], policies: &Policies, namespace: &str) -> Report {
    let mut report = Report::default();
    let mut objects = objects(sources, namespace, &mut report);
    for object in &mut objects {
        object.detection = policies.of(&object.about.namespace).detection.clone();
    }
    let mut state = ClusterState::default();
    for object in &objects {
        observe(object, &mut state);
    }
    let history = History::read(&objects, &mut state, &mut report);
    report.objects = objects.iter().map(|object| Arc::clone(&object.about)).collect();
    for object in &objects {
        let policy = policies.of(&object.about.namespace);
        check_object(object, &history.beside(object, &state), policy, &mut report);
    }
    report
}

fn observe(object: &Object<'_>, state: &mut ClusterState) {
    match object.admission(&object.json).subject {
        Subject::Job(job) => state.observe_job(&job, &object.about.namespace),
        Subject::Workload(workload) => state.observe_workload(&workload, &object.about.namespace),
        Subject::Unrelated if object.group.is_empty() && object.about.kind == "Service" => {
            if let Ok(service) = serde_json::from_str::<ServiceManifest<'_>>(&object.json) {
                state.observe_service(&service, &object.about.namespace);
            }
        }
        Subject::CronJob(_) | Subject::Unrelated | Subject::Unreadable(_) => {}
    }
}

fn check_object(object: &Object<'_>, state: &ClusterState, policy: &Policy, report: &mut Report) {
    let written = object.admission(&object.json);
    if let Subject::Unreadable(reason) = &written.subject {
        let path = reason.split(": ").next().unwrap_or_default();
        let message = format!("{} cannot be read: {reason}", object.about.kind);
        report.errors.push(object.error(path, message));
        return;
    }
    if let Subject::Job(job) = &written.subject {
        report.jobs.extend(job_report(object, job, state, policy));
    }
    let mutation = engine::mutate(&written, policy, Mode::Enforce);
    let mutated = apply(&object.json, &mutation.patch);
    let admission = object.admission(&mutated);
    // No clock offline: what a record says counts however long ago it was.
    let decision =
        engine::evaluate(&admission, state, policy, Mode::Enforce, Timestamp::UNIX_EPOCH);
    let added = mutation.inserted_init_container;
    for finding in decision.findings {
        let path = without_added_container(finding.path(), added);
        report.findings.push(Checked {
            object: Arc::clone(&object.about),
            place: object.place(&path),
            path,
            finding,
        });
    }
    for message in decision.notices {
        report.notices.push(Notice { place: object.place(""), message });
    }
}

/// The object after a patch of wavegate's own, which always applies.
fn apply(json: &str, patch: &json_patch::Patch) -> String {
    if patch.0.is_empty() {
        return json.to_owned();
    }
    let mut object: Value = serde_json::from_str(json).unwrap_or_default();
    match json_patch::patch(&mut object, patch) {
        Ok(()) => object.to_string(),
        Err(_) => json.to_owned(),
    }
}

/// A field path of the mutated object as one of the manifest.
fn without_added_container(path: &str, added: Option<usize>) -> String {
    const LIST: &str = "spec.template.spec.initContainers[";
    let shifted = || {
        let (index, rest) = path.strip_prefix(LIST)?.split_once(']')?;
        let index: usize = index.parse().ok()?;
        let added = added?;
        Some(match index.cmp(&added) {
            std::cmp::Ordering::Less => path.to_owned(),
            std::cmp::Ordering::Equal => "spec.template.spec.initContainers".to_owned(),
            std::cmp::Ordering::Greater => format!("{LIST}{}]{rest}", index - 1),
        })
    };
    shifted().unwrap_or_else(|| path.to_owned())
}

fn job_report(
    object: &Object<'_>,
    job: &Job<'_>,
    state: &ClusterState,
    policy: &Policy,
) -> Option<JobReport> {
    let recognition = &job.recognition;
    let verified = engine::verified_workloads(job, state, &object.about.namespace, policy);
    let (role, confidence, reason) = match recognition.role {
        Role::None if !verified.is_empty() => {
            let reason = "checks the result as a PostSync hook with the app's image".to_owned();
            (Role::Verification, "medium", reason)
        }
        Role::None if recognition.reason.is_empty() => return None,
        role => (role, recognition.confidence.name(), recognition.reason.clone()),
    };
    let facts = MigrationFacts::of(job, &object.about.namespace);
    let paired = |workload| {
        let reason = pairing::pair(&facts, workload, &policy.names)?;
        Some((workload, reason))
    };
    let pairs = match role {
        Role::Migration => state.workloads().iter().filter_map(paired).collect(),
        Role::Verification if verified.is_empty() => {
            state.workloads().iter().filter_map(paired).collect()
        }
        Role::Verification => verified,
        Role::None => Vec::new(),
    };
    let pairs = pairs.into_iter().map(|(workload, reason)| PairReport {
        kind: workload.key.kind.to_owned(),
        object: workload.key.name.clone(),
        sure: reason.is_sure(),
        reason: reason.to_string(),
    });
    Some(JobReport {
        namespace: object.about.namespace.clone(),
        object: object.about.name.clone(),
        place: object.place(""),
        role: role.name(),
        confidence,
        reason,
        phase: (role == Role::Migration).then(|| recognition.phase.name()),
        pairs: pairs.collect(),
    })
}

/// Every object of the sources, those inside `List`s too.
fn objects<'s>(sources: &'s [Source], namespace: &str, report: &mut Report) -> Vec<Object<'s>> {
    let mut objects = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        match &source.documents {
            Ok(documents) => {
                for document in documents {
                    for warning in &document.warnings {
                        report.notices.push(Notice {
                            place: Place::new(index, warning.location),
                            message: warning.message.clone(),
                        });
                    }
                    collect(
                        index,
                        document,
                        &document.value,
                        String::new(),
                        namespace,
                        &mut objects,
                        report,
                    );
                }
            }
            Err(error) => report.errors.push(CheckError {
                object: None,
                place: Place::new(index, error.location),
                message: match error.help {
                    Some(help) => format!("{}; {help}", error.message),
                    None => error.message.clone(),
                },
            }),
        }
    }
    objects
}

/// Lists in lists do not occur in practice; a bound keeps hostile input from nesting without end.
const MAX_LIST_DEPTH: usize = 4;

fn collect<'s>(
    source: usize,
    document: &'s Document,
    value: &Value,
    prefix: String,
    namespace: &str,
    objects: &mut Vec<Object<'s>>,
    report: &mut Report,
) {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let (Some(kind), Some(version)) = (text("/kind"), text("/apiVersion")) else {
        report.errors.push(CheckError {
            object: None,
            place: Place::new(source, document.locate(prefix.trim_end_matches('.'))),
            message: "this is no Kubernetes object: it lacks apiVersion or kind".to_owned(),
        });
        return;
    };
    let items = value.get("items").and_then(Value::as_array);
    if let Some(items) = items.filter(|_| kind.ends_with("List")) {
        if prefix.matches("items[").count() < MAX_LIST_DEPTH {
            for (index, item) in items.iter().enumerate() {
                let prefix = format!("{prefix}items[{index}].");
                collect(source, document, item, prefix, namespace, objects, report);
            }
        }
        return;
    }
    let own = text("/metadata/namespace").filter(|own| !own.is_empty());
    let name = display_name(text("/metadata/name"), text("/metadata/generateName"));
    let about = CheckedObject {
        kind: kind.to_owned(),
        namespace: own.unwrap_or(namespace).to_owned(),
        name: name.into_owned(),
        place: Place::new(source, document.locate(prefix.trim_end_matches('.'))),
    };
    objects.push(Object {
        about: about.into(),
        document,
        prefix,
        group: version.split_once('/').map_or("", |(group, _)| group).to_owned(),
        json: value.to_string(),
        detection: Detection::default(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_point_into_the_manifest_and_not_into_the_mutated_object() {
        let list = "spec.template.spec.initContainers";
        let cases = [
            (format!("{list}[0].image"), Some(0), list.to_owned()),
            (format!("{list}[1].image"), Some(0), format!("{list}[0].image")),
            (format!("{list}[0].image"), Some(1), format!("{list}[0].image")),
            (format!("{list}[0].image"), None, format!("{list}[0].image")),
            ("spec.backoffLimit".to_owned(), Some(0), "spec.backoffLimit".to_owned()),
            (list.to_owned(), Some(0), list.to_owned()),
        ];
        for (path, added, want) in cases {
            assert_eq!(without_added_container(&path, added), want, "{path} {added:?}");
        }
    }
}
