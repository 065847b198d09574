//! What an untyped YAML scalar means.
//!
//! kubectl, Helm and Argo CD read manifests with `sigs.k8s.io/yaml`, which resolves scalars with
//! go-yaml v2 and then writes JSON. The rules here are those of its `resolve.go`: YAML 1.1
//! booleans and octals, no sexagesimal numbers, timestamps left as strings.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::{Number, Value};
use thiserror::Error;

/// The type a tag asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// No tag: a plain scalar's type follows from its text, a quoted one is a string.
    Implied,
    Bool,
    Float,
    Int,
    Null,
    /// Any other tag (`!!str`, `!!binary`, `!!timestamp`, `!custom`): the text as it stands.
    Text,
}

impl Tag {
    /// The tag of a name in the `tag:yaml.org,2002:` namespace.
    pub(super) fn from_core_name(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "float" => Self::Float,
            "int" => Self::Int,
            "null" => Self::Null,
            _ => Self::Text,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bool => "!!bool",
            Self::Float => "!!float",
            Self::Int => "!!int",
            Self::Null => "!!null",
            Self::Implied | Self::Text => "!!str",
        }
    }
}

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    Int(i64),
    /// Only above `i64::MAX`.
    UInt(u64),
    Float(f64),
    Text(Cow<'t, str>),
}

/// Why a scalar has no place in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ScalarError {
    #[error("`{text}` is no {tag}, as its tag says")]
    Mistagged { text: String, tag: &'static str },
    #[error("`{0}` has no form in JSON, so no Kubernetes field can hold it")]
    NotFinite(String),
    #[error("{0} cannot be a mapping key")]
    NotAKey(&'static str),
}

/// Longest piece of a scalar that an error message repeats, in characters.
const QUOTED_CHARS: usize = 40;

/// Types a scalar. `plain` is false for quoted and block scalars.
pub(super) fn resolve(
    text: Cow<'_, str>,
    plain: bool,
    tag: Tag,
) -> Result<Scalar<'_>, ScalarError> {
    match tag {
        Tag::Implied if plain => Ok(implied(&text).unwrap_or(Scalar::Text(text))),
        Tag::Implied | Tag::Text => Ok(Scalar::Text(text)),
        _ => tagged(&text, tag).ok_or_else(|| ScalarError::Mistagged {
            text: text.chars().take(QUOTED_CHARS).collect(),
            tag: tag.name(),
        }),
    }
}

fn tagged(text: &str, tag: Tag) -> Option<Scalar<'static>> {
    match (tag, implied(text)?) {
        (Tag::Bool, scalar @ Scalar::Bool(_))
        | (Tag::Float, scalar @ (Scalar::Float(_) | Scalar::Int(_)))
        | (Tag::Int, scalar @ (Scalar::Int(_) | Scalar::UInt(_)))
        | (Tag::Null, scalar @ Scalar::Null) => Some(scalar),
        _ => None,
    }
}

/// The type that a plain scalar's text implies; `None` for a string.
fn implied(text: &str) -> Option<Scalar<'static>> {
    let Some(first) = text.bytes().next() else {
        return Some(Scalar::Null);
    };
    match first {
        b'+' | b'-' | b'0'..=b'9' => infinity(text).or_else(|| number(text)),
        b'.' => infinity(text).or_else(|| fraction(text)),
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        _ => None,
    }
}

fn word(text: &str) -> Option<Scalar<'static>> {
    Some(match text {
        // go-yaml v2 takes the single letters too, which YAML 1.2 readers do not.
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => return None,
    })
}

fn infinity(text: &str) -> Option<Scalar<'static>> {
    Some(Scalar::Float(match text {
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => f64::INFINITY,
        "-.inf" | "-.Inf" | "-.INF" => f64::NEG_INFINITY,
        _ => return None,
    }))
}

fn number(text: &str) -> Option<Scalar<'static>> {
    let digits: Cow<'_, str> =
        if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&digits).or_else(|| float(&digits))
}

/// An integer as Go's `strconv.ParseInt(s, 0, 64)` and then `ParseUint(s, 0, 64)` take it: a
/// leading zero alone means octal. One too large for 64 bits is left to [`float`].
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0'] => return Some(Scalar::Int(0)),
        [b'0', b'b' | b'B', _, ..] => (2, unsigned.get(2..)?),
        [b'0', b'o' | b'O', _, ..] => (8, unsigned.get(2..)?),
        [b'0', b'x' | b'X', _, ..] => (16, unsigned.get(2..)?),
        [b'0', _, ..] => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    // `from_str_radix` would take one more sign here.
    if !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) => (unsigned.len() == text.len()).then_some(Scalar::UInt(magnitude)),
    }
}

/// A number that starts with its point. Underscores may only stand between digits here, since
/// go-yaml hands such a text to Go's `strconv.ParseFloat` as it is.
fn fraction(text: &str) -> Option<Scalar<'static>> {
    if !text.contains('_') {
        return float(text);
    }
    let separates = |at: usize| {
        let digit = |index: Option<usize>| {
            index.and_then(|index| text.as_bytes().get(index)).is_some_and(u8::is_ascii_digit)
        };
        digit(at.checked_sub(1)) && digit(at.checked_add(1))
    };
    text.match_indices('_').all(|(at, _)| separates(at)).then(|| float(&text.replace('_', "")))?
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` within the range of a double; a number
/// beyond it stays a string, as in go-yaml.
fn float(text: &str) -> Option<Scalar<'static>> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_holds = exponent.is_none_or(|exponent| {
        let power = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !power.is_empty() && digits(power)
    });
    if !(digits(whole) && digits(part) && exponent_holds && (whole.len() + part.len()) > 0) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}

impl Scalar<'_> {
    /// The JSON value.
    pub(super) fn into_value(self) -> Result<Value, ScalarError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::UInt(value) => value.into(),
            Self::Float(value) => Value::Number(json_number(value)?),
            Self::Text(text) => Value::String(text.into_owned()),
        })
    }

    /// The key that `sigs.k8s.io/yaml` makes of the scalar. It refuses null and integers above
    /// `i64::MAX` (`unsupported map key`).
    pub(super) fn into_key(self) -> Result<String, ScalarError> {
        match self {
            Self::Null => Err(ScalarError::NotAKey("null")),
            Self::UInt(_) => Err(ScalarError::NotAKey("an integer above 2^63-1")),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Float(value) => Ok(float_key(value)),
            Self::Text(text) => Ok(text.into_owned()),
        }
    }
}

/// The number as it reaches the API server. Go's JSON encoder writes a double below 1e21 without
/// exponent and, if it is whole, without a point, so `1e3` and `1000.0` are read back as the
/// integer 1000.
fn json_number(value: f64) -> Result<Number, ScalarError> {
    if value.fract() == 0.0 && value.abs() < 1e21 {
        let text = value.to_string();
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(whole.into());
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Ok(whole.into());
        }
    }
    Number::from_f64(value).ok_or_else(|| ScalarError::NotFinite(special(value).to_owned()))
}

fn special(value: f64) -> &'static str {
    if value.is_nan() {
        ".nan"
    } else if value > 0.0 {
        ".inf"
    } else {
        "-.inf"
    }
}

/// Go's `strconv.FormatFloat(value, 'g', -1, 32)`, which `sigs.k8s.io/yaml` calls: the shortest form
/// in single precision, with an exponent of at least two digits below 1e-4 and from 1e6.
fn float_key(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "single precision is what Go formats")]
    let single = value as f32;
    if !single.is_finite() {
        return special(f64::from(single)).to_owned();
    }
    let scientific = format!("{single:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(power) if !(-4..6).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", power.abs())
        }
        _ => single.to_string(),
    }
}
