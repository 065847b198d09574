//! The AdmissionReview on the wire, `admission.k8s.io/v1`.
//!
//! Objects of kinds without rules are never read. The answer is written by types of our own, because the
//! usual ones write a patch as a list of numbers and cannot set a status code.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::json::{Reader, Refused};
use crate::domain::manifest::WorkloadManifest;
use crate::domain::text::{Raw, Text, null_as_default};
use crate::domain::workload::WorkloadKind;

/// The one API version that is served.
pub(super) const API_VERSION: &str = "admission.k8s.io/v1";

/// What of a review is read.
#[derive(Debug, Default)]
pub(super) struct ReviewEnvelope<'b> {
    pub(super) api_version: Option<Text<'b>>,
    pub(super) kind: Option<Text<'b>>,
    pub(super) request: Option<RequestEnvelope<'b>>,
}

/// What of a request is read.
#[derive(Debug, Default)]
pub(super) struct RequestEnvelope<'b> {
    pub(super) uid: Text<'b>,
    pub(super) kind: GroupVersionKind<'b>,
    pub(super) sub_resource: Option<Text<'b>>,
    pub(super) name: Option<Text<'b>>,
    pub(super) namespace: Option<Text<'b>>,
    pub(super) operation: Text<'b>,
    pub(super) user_info: UserInfo<'b>,
    pub(super) object: ObjectText<'b>,
    pub(super) old_object: Option<Raw<'b>>,
    pub(super) dry_run: Option<bool>,
    pub(super) options: Option<Options<'b>>,
}

/// An object in a request.
#[derive(Debug, Default)]
pub(super) enum ObjectText<'b> {
    /// There is none.
    #[default]
    Absent,
    /// Its text, not looked at yet.
    Raw(Raw<'b>),
    /// A workload, read in the same pass as the review around it.
    Workload(Box<WorkloadManifest<'b>>),
}

/// Reads a review in one pass. API servers write an object's kind before the object (`AdmissionRequest` in
/// k8s.io/api/admission/v1), so a workload can be read where it stands. A workload that does not read fails the
/// whole review, and the caller reads it again with the objects left as text.
pub(super) fn read_with_workload(body: &str) -> Result<ReviewEnvelope<'_>, Refused> {
    let mut reader = Reader::new(body);
    let review = envelope(&mut reader, true)?;
    reader.end()?;
    Ok(review)
}

/// Reads a review and leaves its objects as text.
pub(super) fn read(body: &str) -> Result<ReviewEnvelope<'_>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let review = envelope(&mut deserializer, false)?;
    deserializer.end()?;
    Ok(review)
}

pub(super) fn envelope<'de, D: Deserializer<'de>>(
    deserializer: D,
    in_one_pass: bool,
) -> Result<ReviewEnvelope<'de>, D::Error> {
    deserializer.deserialize_map(ReviewVisitor { in_one_pass })
}

struct ReviewVisitor {
    in_one_pass: bool,
}

impl<'de> Visitor<'de> for ReviewVisitor {
    type Value = ReviewEnvelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut review = ReviewEnvelope::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.as_str() {
                "apiVersion" => review.api_version = map.next_value()?,
                "kind" => review.kind = map.next_value()?,
                "request" => {
                    let in_one_pass = self.in_one_pass;
                    review.request = map.next_value_seed(RequestSeed { in_one_pass })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(review)
    }
}

#[derive(Clone, Copy)]
struct RequestSeed {
    in_one_pass: bool,
}

impl<'de> DeserializeSeed<'de> for RequestSeed {
    type Value = Option<RequestEnvelope<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for RequestSeed {
    type Value = Option<RequestEnvelope<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request of an AdmissionReview")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut request = RequestEnvelope::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.as_str() {
                "uid" => request.uid = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "kind" => request.kind = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "subResource" => request.sub_resource = map.next_value()?,
                "name" => request.name = map.next_value()?,
                "namespace" => request.namespace = map.next_value()?,
                "operation" => {
                    request.operation = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                "userInfo" => {
                    request.user_info = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                "object" => request.object = self.object(&request, &mut map)?,
                "oldObject" => request.old_object = map.next_value()?,
                "dryRun" => request.dry_run = map.next_value()?,
                "options" => request.options = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Some(request))
    }
}

impl RequestSeed {
    /// Reads an object as far as what came before it allows.
    fn object<'de, A: MapAccess<'de>>(
        self,
        request: &RequestEnvelope<'de>,
        map: &mut A,
    ) -> Result<ObjectText<'de>, A::Error> {
        let whole = request.sub_resource.as_deref().is_none_or(str::is_empty);
        let workload = WorkloadKind::of(&request.kind.group, &request.kind.kind).is_some();
        Ok(if self.in_one_pass && whole && workload {
            map.next_value::<Option<_>>()?.map_or(ObjectText::Absent, ObjectText::Workload)
        } else {
            map.next_value::<Option<_>>()?.map_or(ObjectText::Absent, ObjectText::Raw)
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'b"))]
pub(super) struct GroupVersionKind<'b> {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) group: Text<'b>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) version: Text<'b>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) kind: Text<'b>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'b"))]
pub(super) struct UserInfo<'b> {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) username: Text<'b>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'b"))]
pub(super) struct Options<'b> {
    #[serde(default)]
    pub(super) field_manager: Option<Text<'b>>,
}

/// An AdmissionReview that answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewAnswer<'a> {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    /// The answer itself.
    pub response: Response<'a>,
}

/// `response` of an AdmissionReview.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    /// The request's uid.
    pub uid: Cow<'a, str>,
    /// Whether the request goes on.
    pub allowed: bool,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Told to the client; one line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Base64 of a JSON Patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Always `JSONPatch` where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_type: Option<&'static str>,
    /// Written into the API server's audit log under the webhook's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub audit_annotations: BTreeMap<&'static str, String>,
}

/// A `metav1.Status` as far as a denial needs it.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Always 403: with 409 or 422, `kubectl apply --force` would delete the live object and create it anew.
    pub code: u16,
    /// Always `Forbidden`.
    pub reason: &'static str,
    /// One line.
    pub message: String,
    /// The same, machine-readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
}

/// `details` of a Status.
#[derive(Debug, Serialize)]
pub struct Details {
    /// One per finding.
    pub causes: Vec<Cause>,
}

/// One finding in a Status.
#[derive(Debug, Serialize)]
pub struct Cause {
    /// The rule's code.
    pub reason: &'static str,
    /// What was found.
    pub message: String,
    /// Field path.
    pub field: String,
}
