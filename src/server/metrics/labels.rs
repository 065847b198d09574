//! The closed label values of the metrics: no label ever carries text from a request.

use std::fmt;

use hyper::StatusCode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::domain::gate_override::OverrideKind;
use crate::server::webhook::Endpoint;

macro_rules! label_value {
    ($type:ty) => {
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&self.label(), encoder)
            }
        }
    };
}

label_value!(EndpointLabel);
label_value!(StatusClass);
label_value!(RefusalReason);
label_value!(HandshakeFailure);
label_value!(ReloadResult);
label_value!(Effect);
label_value!(Verdict);
label_value!(OverrideState);

/// Whether an override counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverrideState {
    /// It does.
    Active,
    /// It has expired.
    Expired,
}

impl OverrideState {
    pub(super) const ALL: [Self; 2] = [Self::Active, Self::Expired];

    const fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// The kind of an override, in lower case as all label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OverrideKindLabel(pub(super) OverrideKind);

impl EncodeLabelValue for OverrideKindLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(
            &match self.0 {
                OverrideKind::Bypass => "bypass",
                OverrideKind::Attest => "attest",
                OverrideKind::Invalidate => "invalidate",
                OverrideKind::Retire => "retire",
            },
            encoder,
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OverrideUseLabels {
    pub(super) kind: OverrideKindLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OverrideLabels {
    pub(super) kind: OverrideKindLabel,
    pub(super) state: OverrideState,
}

/// Which endpoint a request named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum EndpointLabel {
    Known(Endpoint),
    /// A path that is not served.
    Other,
}

impl EndpointLabel {
    const fn label(self) -> &'static str {
        match self {
            Self::Known(endpoint) => endpoint.label(),
            Self::Other => "other",
        }
    }
}

/// First digit of an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum StatusClass {
    Success,
    ClientError,
    ServerError,
}

impl StatusClass {
    pub(super) const ALL: [Self; 3] = [Self::Success, Self::ClientError, Self::ServerError];

    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            ..400 => Self::Success,
            400..500 => Self::ClientError,
            _ => Self::ServerError,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// Why a request was answered without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) enum RefusalReason {
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    BodyTooLarge,
    BodyTimeout,
    BodyTruncated,
    BodyMemory,
    HeaderTimeout,
    HeaderTruncated,
    Concurrency,
    Connections,
    Panic,
}

impl RefusalReason {
    pub(super) const ALL: [Self; 12] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::BodyTruncated,
        Self::BodyMemory,
        Self::HeaderTimeout,
        Self::HeaderTruncated,
        Self::Concurrency,
        Self::Connections,
        Self::Panic,
    ];

    pub(in crate::server) const fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyTruncated => "body_truncated",
            Self::BodyMemory => "body_memory",
            Self::HeaderTimeout => "header_timeout",
            Self::HeaderTruncated => "header_truncated",
            Self::Concurrency => "concurrency",
            Self::Connections => "connections",
            Self::Panic => "panic",
        }
    }
}

/// Why a TLS handshake did not end in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) enum HandshakeFailure {
    /// It took longer than the limit.
    Timeout,
    /// The peer broke off, does not trust the certificate, offers no common version, or shows no client
    /// certificate where one is asked for.
    Failed,
}

impl HandshakeFailure {
    pub(super) const ALL: [Self; 2] = [Self::Timeout, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
    }
}

/// What became of a changed certificate file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) enum ReloadResult {
    /// The new pair serves.
    Ok,
    /// The old pair stays.
    Failed,
}

impl ReloadResult {
    pub(super) const ALL: [Self; 2] = [Self::Ok, Self::Failed];

    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

/// What a finding did to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The request was denied.
    Deny,
    /// The client was warned.
    Warn,
}

impl Effect {
    const fn label(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
        }
    }
}

/// How a decision on an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was let through, and there was nothing to say.
    Allowed,
    /// It was let through with a warning.
    Warned,
    /// It was refused.
    Denied,
}

impl Verdict {
    /// The value of the label.
    const fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) endpoint: EndpointLabel,
    pub(super) status: StatusClass,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EndpointLabels {
    pub(super) endpoint: EndpointLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusalLabels {
    pub(super) reason: RefusalReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HandshakeLabels {
    pub(super) cause: HandshakeFailure,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReloadLabels {
    pub(super) result: ReloadResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FindingLabels {
    pub(super) code: &'static str,
    pub(super) effect: Effect,
    pub(super) endpoint: EndpointLabel,
}
