//! Manifests read from YAML or JSON, with the place of every field.
//!
//! The values are those that `sigs.k8s.io/yaml` gives kubectl, Helm and Argo CD: go-yaml v2 with
//! YAML 1.1 scalars, then JSON. So `backoffLimit: 08` is 8, `suspend: on` is true and a repeated key
//! is no error. [`Document::locate`] turns a field path into the text to underline.
//!
//! Known differences. Accepted here, refused or read otherwise there:
//! - The grammar is that of YAML 1.2 with the leniency of common readers. NEL, LS and PS are
//!   characters, not line breaks; `%YAML 1.2` is no error, nor is a tab behind `-` or on a blank line;
//!   `\/` and surrogate pairs work in double quotes; `{a:, b: 1}` has the key `a`, not `a:`.
//! - Every document of a text is read, also one after `...` or behind `--- {`, where kubectl drops
//!   what follows silently.
//! - `!!binary` text stays as it is written, and `!!timestamp` is not checked.
//! - A number in a JSON file takes the way of YAML too: `1.0` becomes 1.
//!
//! Refused here, accepted there: text behind the end of a document, which kubectl drops; a byte order
//! mark within a text; tabs that indent a flow list or mapping below a block key.

mod error;
mod marks;
mod path;
mod reader;
mod scalar;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use self::error::{YamlError, YamlWarning};
pub use self::marks::{Location, Marks};
use self::reader::Reader;

/// Deepest nesting of lists and mappings, aliases expanded. Real manifests stay below 60, CRDs
/// included.
pub const MAX_DEPTH: usize = 100;

/// What anchors and aliases may copy within one text, in estimated bytes of memory. It stops alias
/// bombs; a manifest's anchors copy some kilobytes.
pub const MAX_COPIED_BYTES: usize = 64 << 20;

/// One document of a YAML stream.
#[derive(Clone, Debug)]
pub struct Document {
    /// The content, never null.
    pub value: Value,
    /// Where each field is written.
    pub marks: Marks,
    /// Line of the first node, from 1.
    pub line: usize,
    /// What a reader should know although kubectl takes it.
    pub warnings: Vec<YamlWarning>,
}

impl Document {
    /// Where the field at `path` is written, for an underline in the text the document came from.
    ///
    /// A path has dots between keys and brackets around list indices and around keys that hold dots
    /// or slashes, quoted or not: `spec.template.spec.containers[0].image`,
    /// `metadata.annotations[argocd.argoproj.io/sync-wave]`, `metadata.labels["wavegate.dev/role"]`.
    /// The empty path is the document itself.
    ///
    /// - A scalar is underlined together with its key where both stand on one line; so is an alias.
    /// - Of a list, a mapping or a block scalar the key alone is underlined.
    /// - A list item without a key of its own shows its first field.
    /// - Where the path leads through an alias or a merge, the place is in the anchored text, since
    ///   that is what an author edits.
    /// - Where nothing stands at the path, the key of its nearest ancestor is underlined and
    ///   [`Location::exact`] is false.
    pub fn locate(&self, path: &str) -> Location {
        self.marks.locate(path)
    }
}

/// Reads all documents of a text; one without content, or with null alone, is left out, as kubectl
/// leaves it out.
///
/// Time and memory are linear in the text plus at most [`MAX_COPIED_BYTES`]. The caller bounds the
/// text. A byte order mark and any line ends are accepted.
///
/// # Errors
///
/// Fails on text that is not YAML or has no form in JSON (`.inf`, a list as a key), on nesting beyond
/// [`MAX_DEPTH`], and on aliases that copy more than [`MAX_COPIED_BYTES`].
pub fn documents(text: &str) -> Result<Vec<Document>, YamlError> {
    let mut reader = Reader::new(text);
    let mut documents = Vec::new();
    while let Some(document) = reader.document()? {
        if !document.value.is_null() {
            documents.push(document);
        }
    }
    Ok(documents)
}
