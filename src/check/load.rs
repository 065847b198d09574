//! Files, directories and standard input to sources.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::Place;
pub use super::yaml::Document;
use super::yaml::{self, YamlError};

/// How output names standard input.
pub const STDIN: &str = "<stdin>";

/// Largest source in bytes that is read.
const MAX_SOURCE: u64 = 64 * 1024 * 1024;

/// One file or standard input.
#[derive(Debug)]
pub struct Source {
    /// How output names it: [`STDIN`], or a path as short as it can be written from where the check runs.
    pub name: String,
    /// Its text, for excerpts.
    pub text: String,
    /// Its documents, or why it is not YAML.
    pub documents: Result<Vec<Document>, YamlError>,
}

impl Source {
    /// Parses a text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let documents = yaml::documents(&text);
        Self { name: name.into(), text, documents }
    }
}

/// Why a path could not be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The operating system says so.
    #[error("{path}: {source}")]
    Io {
        /// The path as given.
        path: String,
        /// Its answer.
        source: io::Error,
    },
    /// A directory without manifests.
    #[error(
        "{0}: no .yaml, .yml or .json file in this directory; name the folder that holds the manifests"
    )]
    Empty(String),
    /// More than is sensible.
    #[error("{0}: larger than {MAX_SOURCE} bytes")]
    TooLarge(String),
    /// Nothing to check: what made the manifests has failed, or the wrong file was named.
    #[error("{0}: holds no object; nothing was checked")]
    Nothing(String),
    /// Not text.
    #[error("{0}: not UTF-8 text")]
    NotText(String),
}

/// One bundle: everything that is checked together.
#[derive(Debug)]
pub struct Bundle {
    /// Its sources, in the order of their names.
    pub sources: Vec<Source>,
}

impl Bundle {
    /// The name of the source that a place is in.
    pub fn name_of(&self, place: &Place) -> &str {
        self.sources.get(place.source).map_or("", |source| &source.name)
    }

    /// The text of the source that a place is in.
    pub fn text_of(&self, place: &Place) -> &str {
        self.sources.get(place.source).map_or("", |source| &source.text)
    }
}

/// Reads one command-line argument: a file, a directory with everything below it, or `-` for standard input.
/// With `per_directory` each directory that holds manifests becomes a bundle of its own.
pub fn load(argument: &str, per_directory: bool) -> Result<Vec<Bundle>, LoadError> {
    if argument == "-" {
        let text = read(argument, io::stdin().lock())?;
        return Ok(vec![Bundle { sources: vec![Source::new(STDIN, text)] }]);
    }
    let path = Path::new(argument);
    let metadata = fs::metadata(path).map_err(|source| io_error(path, source))?;
    if !metadata.is_dir() {
        return Ok(vec![Bundle { sources: vec![load_file(path)?] }]);
    }
    let mut directories = Vec::new();
    walk(path, &mut directories)?;
    directories.retain(|files| !files.is_empty());
    if directories.is_empty() {
        return Err(LoadError::Empty(argument.to_owned()));
    }
    let groups = if per_directory { directories } else { vec![directories.concat()] };
    let bundle = |files: Vec<PathBuf>| {
        let sources = files.iter().map(|file| load_file(file)).collect::<Result<_, _>>()?;
        Ok(Bundle { sources })
    };
    groups.into_iter().map(bundle).collect()
}

/// Lists manifests, one entry per directory, directories and files in the order of their names. Symbolic
/// links to directories are not followed, so there is no way round in circles.
fn walk(directory: &Path, directories: &mut Vec<Vec<PathBuf>>) -> Result<(), LoadError> {
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).map_err(|source| io_error(&directory, source))?;
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.map_err(|source| io_error(&directory, source))?;
            let kind = entry.file_type().map_err(|source| io_error(&entry.path(), source))?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if is_manifest(&path) {
                files.push(path);
            }
        }
        files.sort();
        folders.sort();
        directories.push(files);
        pending.extend(folders.into_iter().rev());
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}

pub(super) fn load_file(path: &Path) -> Result<Source, LoadError> {
    let file = fs::File::open(path).map_err(|source| io_error(path, source))?;
    let text = read(&path.display().to_string(), file)?;
    Ok(Source::new(short(path).display().to_string(), text))
}

/// A path without what leads nowhere: CI systems compare it with those of the repository, which have no `./`.
fn short(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

fn read(name: &str, reader: impl Read) -> Result<String, LoadError> {
    let mut bytes = Vec::new();
    let mut bounded = reader.take(MAX_SOURCE + 1);
    bounded.read_to_end(&mut bytes).map_err(|source| io_error(Path::new(name), source))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_SOURCE {
        return Err(LoadError::TooLarge(name.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| LoadError::NotText(name.to_owned()))
}

fn io_error(path: &Path, source: io::Error) -> LoadError {
    LoadError::Io { path: path.display().to_string(), source }
}
