//! A stored or written object to its spec.

use serde_json::Value;

use super::spec::RolloutPolicySpec;
use super::{KIND, PolicyError};
use crate::domain::record::{GROUP, VERSION};

/// What is read of a `RolloutPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// Which version of its spec it is; 0 in a file.
    pub generation: i64,
    /// What it says.
    pub spec: RolloutPolicySpec,
}

/// Reads a `RolloutPolicy`.
///
/// # Errors
///
/// Fails on another kind of object, and on a field that does not exist or has no such value, with its path.
pub fn read(object: &Value) -> Result<Document, PolicyError> {
    let error = |path: &str, message: String| PolicyError { path: path.to_owned(), message };
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let version = format!("{GROUP}/{VERSION}");
    if text("kind") != KIND {
        return Err(error("kind", format!("it is {:?}; write {KIND}", text("kind"))));
    }
    if text("apiVersion") != version {
        let message = format!("it is {:?}; write {version}", text("apiVersion"));
        return Err(error("apiVersion", message));
    }
    let metadata = object.get("metadata");
    let name = metadata.and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    let generation =
        metadata.and_then(|metadata| metadata.get("generation")).and_then(Value::as_i64);
    let spec = match object.get("spec") {
        None | Some(Value::Null) => RolloutPolicySpec::default(),
        Some(spec) => serde_path_to_error::deserialize(spec).map_err(|wrong| {
            let path = match wrong.path().to_string() {
                path if path == "." => "spec".to_owned(),
                path => format!("spec.{path}"),
            };
            // The position is that of the text in between, not the author's.
            let message = wrong.into_inner().to_string().replace('`', "");
            if message.starts_with("invalid type: boolean false") {
                let message =
                    format!("{message}; to YAML a bare off is false: write \"off\" in quotes");
                return error(&path, message);
            }
            error(&path, message)
        })?,
    };
    if let Some(field) = object
        .as_object()
        .and_then(|object| object.keys().find(|key| !KNOWN.contains(&key.as_str())))
    {
        return Err(error(field, format!("a {KIND} has no such field; write settings below spec")));
    }
    Ok(Document {
        name: name.unwrap_or_default().to_owned(),
        generation: generation.unwrap_or_default(),
        spec,
    })
}

const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
