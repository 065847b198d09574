//! Bytes to an [`Admission`].

use std::borrow::Cow;

use serde::Deserialize;
use thiserror::Error;

use super::json::{self, Refused};
use super::review::{self, API_VERSION, ObjectText, RequestEnvelope};
use super::{Admission, Operation, Subject};
use crate::domain::detection::Detection;
use crate::domain::job::Job;
use crate::domain::text::Raw;
use crate::domain::workload::{Workload, WorkloadKind};

/// Why a body is no AdmissionReview that can be answered. Without a uid an answer would be refused by the API
/// server, so each of these becomes an HTTP 400 and the webhook's `failurePolicy` decides.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The body is not JSON where it is read, or not of the shape of a review.
    #[error("the body is no AdmissionReview: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The body is not even text.
    #[error("the body is no AdmissionReview: it is not UTF-8 text ({0})")]
    NotText(#[from] std::str::Utf8Error),
    /// Another kind.
    #[error("the body is a {0}, want an AdmissionReview")]
    Kind(String),
    /// Another API version.
    #[error(
        "apiVersion is {0}, and only {API_VERSION} is served: set admissionReviewVersions to [v1]"
    )]
    Version(String),
    /// No request in it.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// No uid in the request.
    #[error("the AdmissionReview's request has no uid")]
    NoUid,
    /// An operation that does not exist.
    #[error("operation is {0:?}, want CREATE, UPDATE, DELETE or CONNECT")]
    Operation(String),
}

/// Decodes a request body. Objects of kinds without rules are not read; an object that cannot be read is not
/// an error but a [`Subject::Unreadable`], since the request can still be answered.
pub fn decode(body: &[u8]) -> Result<Admission<'_>, DecodeError> {
    // The body is validated as a whole, at a fraction of what validating string by string costs.
    let text = std::str::from_utf8(body)?;
    let review = match review::read_with_workload(text) {
        Ok(review) => review,
        Err(Refused) => review::read(text)?,
    };
    let version = review.api_version.as_deref().unwrap_or("absent");
    let kind = review.kind.as_deref().unwrap_or("AdmissionReview");
    if kind != "AdmissionReview" {
        return Err(DecodeError::Kind(kind.to_owned()));
    }
    if version != API_VERSION {
        return Err(DecodeError::Version(version.to_owned()));
    }
    admission(review.request.ok_or(DecodeError::NoRequest)?)
}

/// The uid of a review, read without looking at its objects.
pub fn uid_of(body: &[u8]) -> Option<String> {
    let review = review::read(std::str::from_utf8(body).ok()?).ok()?;
    Some(review.request?.uid.as_str().to_owned()).filter(|uid| !uid.is_empty())
}

/// The uid of a stored object, read from its text.
pub(super) fn uid_of_object(object: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified {
        metadata: Identity,
    }
    #[derive(Deserialize)]
    struct Identity {
        uid: String,
    }
    serde_json::from_str::<Identified>(object).ok().map(|object| object.metadata.uid)
}

fn admission(request: RequestEnvelope<'_>) -> Result<Admission<'_>, DecodeError> {
    if request.uid.is_empty() {
        return Err(DecodeError::NoUid);
    }
    let operation = operation(&request.operation)?;
    let kind = request.kind;
    let object = match &request.object {
        ObjectText::Raw(raw) => raw.get(),
        ObjectText::Absent | ObjectText::Workload(_) => "",
    };
    let whole = request.sub_resource.is_none_or(|sub_resource| sub_resource.is_empty());
    let decided = whole && matches!(operation, Operation::Create | Operation::Update);
    let old = request.old_object.map(Raw::get).filter(|old| decided && *old != "null");
    let subject = match request.object {
        ObjectText::Raw(raw) if decided => subject(&kind.group, &kind.kind, raw.get()),
        ObjectText::Workload(manifest) if decided => {
            match WorkloadKind::of(&kind.group, &kind.kind) {
                Some(kind) => Subject::Workload(Box::new(Workload::read(kind, *manifest))),
                None => Subject::Unrelated,
            }
        }
        ObjectText::Absent | ObjectText::Raw(_) | ObjectText::Workload(_) => Subject::Unrelated,
    };
    let name = match request.name {
        Some(name) if !name.is_empty() => name.into(),
        _ => subject.display_name().into_owned().into(),
    };
    Ok(Admission {
        uid: request.uid.into(),
        operation,
        group: kind.group.into(),
        version: kind.version.into(),
        kind: kind.kind.into(),
        namespace: request.namespace.unwrap_or_default().into(),
        name,
        username: request.user_info.username.into(),
        field_manager: request.options.and_then(|options| options.field_manager).map(Cow::from),
        dry_run: request.dry_run.unwrap_or(false),
        subject,
        old,
        detection: Detection::default(),
        object,
    })
}

fn operation(name: &str) -> Result<Operation, DecodeError> {
    use Operation::{Connect, Create, Delete, Update};
    let known = [Create, Update, Delete, Connect];
    let found = known.into_iter().find(|operation| operation.name() == name);
    found.ok_or_else(|| DecodeError::Operation(name.to_owned()))
}

/// Parses an object as its kind needs it.
pub(super) fn subject<'b>(group: &str, kind: &str, object: &'b str) -> Subject<'b> {
    match (group, kind) {
        // Its text is parsed once more for its stamps (`engine/mutate.rs`), where an error would not be seen.
        ("batch", "Job") => {
            read_strictly(object, |manifest| Subject::Job(Box::new(Job::read(manifest))))
        }
        ("batch", "CronJob") => read(object, |manifest| Subject::CronJob(Box::new(manifest))),
        _ => match WorkloadKind::of(group, kind) {
            Some(kind) => {
                read(object, |manifest| Subject::Workload(Box::new(Workload::read(kind, manifest))))
            }
            None => Subject::Unrelated,
        },
    }
}

fn read<'b, T: Deserialize<'b>>(
    object: &'b str,
    wrap: impl FnOnce(T) -> Subject<'b>,
) -> Subject<'b> {
    match json::from_str(object) {
        Ok(manifest) => wrap(manifest),
        Err(Refused) => read_strictly(object, wrap),
    }
}

/// Reads an object of which every byte must be JSON.
fn read_strictly<'b, T: Deserialize<'b>>(
    object: &'b str,
    wrap: impl FnOnce(T) -> Subject<'b>,
) -> Subject<'b> {
    match serde_json::from_str(object) {
        Ok(manifest) => wrap(manifest),
        // Read once more to name the field: tracking paths costs too much to do it for every request.
        Err(error) => {
            let mut deserializer = serde_json::Deserializer::from_str(object);
            let traced: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
            let reason = match traced {
                Err(traced) => format!("{}: {}", traced.path(), without_position(&error)),
                Ok(_) => without_position(&error),
            };
            Subject::Unreadable(reason)
        }
    }
}

/// Lines and columns of the minified JSON on the wire tell nobody anything.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIGRATION: &[u8] =
        include_bytes!("../../tests/fixtures/reviews/argo-ssd-sync/11-validate-create-jobs.json");
    const ROLLOUT: &[u8] = include_bytes!(
        "../../tests/fixtures/reviews/kubectl-update/01-validate-update-deployments.json"
    );

    #[test]
    fn a_workload_before_its_kind_is_read_all_the_same() {
        let text = std::str::from_utf8(ROLLOUT).unwrap();
        let review: serde_json::Value = serde_json::from_str(text).unwrap();
        let request = &review["request"];
        let reordered = format!(
            r#"{{"request":{{"oldObject":{},"object":{},"kind":{},"uid":"u","operation":"UPDATE"}},"apiVersion":"admission.k8s.io/v1"}}"#,
            request["oldObject"], request["object"], request["kind"]
        );
        for body in [text, &reordered] {
            let admission = decode(body.as_bytes()).unwrap();
            let Subject::Workload(workload) = &admission.subject else { panic!("a workload") };
            assert_eq!(workload.manifest.metadata.name.as_deref(), Some("api"));
            assert!(matches!(admission.old(), Some(Subject::Workload(_))));
        }
    }

    #[test]
    fn an_unreadable_workload_is_told_by_its_field() {
        let text = std::str::from_utf8(ROLLOUT).unwrap();
        let broken =
            text.replacen(r#""strategy":{"type""#, r#""strategy":{"rollingUpdate":7,"type""#, 1);
        let admission = decode(broken.as_bytes()).unwrap();
        let Subject::Unreadable(reason) = &admission.subject else {
            panic!("{:?}", admission.subject)
        };
        assert!(reason.starts_with("spec.strategy.rollingUpdate: "), "{reason}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body);
        }

        #[test]
        fn a_damaged_review_is_decoded_or_refused(
            at in 0..MIGRATION.len().min(ROLLOUT.len()),
            length in 0..40_usize,
            filling in prop_oneof![Just(""), Just("null"), Just("[]"), Just("{}"), Just("\""), Just("7"), Just("\u{0}")],
        ) {
            for body in [MIGRATION, ROLLOUT] {
                let mut damaged = body.to_vec();
                let end = (at + length).min(damaged.len());
                damaged.splice(at..end, filling.bytes());
                if let Ok(admission) = decode(&damaged) {
                    prop_assert!(!admission.uid.is_empty());
                }
            }
        }
    }
}
