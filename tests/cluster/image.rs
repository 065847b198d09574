//! An image put together without a container engine, of one layer: what `docker save` writes of an image built `FROM
//! scratch`.
//!
//! The same input gives the same bytes: times are the epoch, all belongs to 0:0, entries are sorted. The layer is
//! compressed by gzip.
//!
//! ```ignore
//! Image::new("wavegate.dev/psql:1")
//!     .directory("/tmp", 0o1777)
//!     .program("/usr/lib/postgresql/15/bin/psql")?
//!     .entrypoint(["/usr/lib/postgresql/15/bin/psql"])
//!     .write("psql.tar".as_ref())?;
//! ```

mod archive;
pub mod dockerfile;
mod layer;
mod programs;
pub mod release;
pub mod sbom;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use layer::{Content, Entry, Node};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{0} is no name of an image: want HOST/PATH:TAG")]
    Name(String),
    #[error("{0} is no path in an image: want an absolute one without `..`")]
    Path(String),
    #[error("/{path} lies below /{parent}, which is no directory")]
    Parent { path: String, parent: String },
    #[error("{0} is no ELF program, so it has no libraries to bring along: want `copy`")]
    NoProgram(PathBuf),
    #[error("{program} needs {library}, which is not installed")]
    Library { program: PathBuf, library: String },
    #[error("ldd of {program}: {said}")]
    Ldd { program: PathBuf, said: String },
}

/// An image to be written.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    entries: Vec<(String, Entry)>,
    config: Config,
}

/// How a container of the image starts, where its pod does not say otherwise.
#[derive(Debug, Clone, Default)]
struct Config {
    user: String,
    working_directory: String,
    env: Vec<(String, String)>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// The archive: an OCI image layout and a docker-archive at once.
    pub path: PathBuf,
    /// The image's name with its tag.
    pub name: String,
    /// `sha256:` and the digest of the image's manifest, by which a registry and a node know it.
    pub digest: String,
    /// Bytes of the layer as it is pulled.
    pub compressed: u64,
    /// Bytes of the layer's tar.
    pub uncompressed: u64,
}

impl Image {
    /// An empty image of this name, which has a tag: `wavegate.dev/psql:1`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), entries: Vec::new(), config: Config::default() }
    }

    /// Adds a directory. Directories above a path are made with mode 755 where nobody adds them.
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, mode, Node::Directory)
    }

    /// Adds a file. Of two entries of one path the later one holds.
    pub fn file(self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.entry(path, mode, Node::File(Content::Bytes(bytes.into())))
    }

    /// Adds a symbolic link.
    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, Node::Link(target.to_owned()))
    }

    /// Copies a file, or a directory with all that is in it, following symbolic links and keeping modes. Contents are
    /// read when the image is written.
    pub fn copy(self, host: impl AsRef<Path>, path: &str) -> Result<Self, ImageError> {
        self.copy_as(host.as_ref(), path, None)
    }

    /// Copies an executable file and the shared libraries that `ldd` names, each to the path that it has here. What it
    /// opens at run time, say a plugin, is for its user to add.
    pub fn program(self, path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let libraries = programs::libraries(path)?;
        let own = std::iter::once(path).chain(libraries.iter().map(PathBuf::as_path));
        own.into_iter().try_fold(self, |image, path| image.copy(path, &text(path)?))
    }

    /// The user, and the group behind a colon, as numbers: Kubernetes cannot tell whether a name is root.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.config.user);
        self
    }

    /// The directory in which a container starts.
    pub fn working_directory(mut self, path: &str) -> Self {
        path.clone_into(&mut self.config.working_directory);
        self
    }

    /// The program of a container and its first arguments.
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.config.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// The arguments behind the entry point.
    pub fn command<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.config.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.config.env.retain(|(known, _)| known != name);
        self.config.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.config.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Writes the archive, replacing one that is there, and the directories above it.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<Written, ImageError> {
        archive::write(self, path.as_ref())
    }

    fn entry(mut self, path: &str, mode: u32, node: Node) -> Self {
        self.entries.push((path.to_owned(), Entry { mode, node }));
        self
    }

    /// Like [`copy`](Self::copy), with this mode for every file where there is one.
    fn copy_as(self, host: &Path, path: &str, mode: Option<u32>) -> Result<Self, ImageError> {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(host).map_err(at(host))?;
        let own = metadata.permissions().mode() & 0o7777;
        if !metadata.is_dir() {
            let content = Node::File(Content::Host(host.to_owned()));
            return Ok(self.entry(path, mode.unwrap_or(own), content));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(host).map_err(at(host))? {
            names.push(entry.map_err(at(host))?.file_name());
        }
        let inside = path.trim_end_matches('/');
        names.iter().try_fold(self.directory(path, own), |image, name| {
            image.copy_as(&host.join(name), &format!("{inside}/{}", text(name)?), mode)
        })
    }
}

/// A path as the text that names it in an image.
fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> Result<String, ImageError> {
    let path = path.as_ref();
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| ImageError::Path(path.to_string_lossy().into_owned()))
}

fn at(path: &Path) -> impl Fn(io::Error) -> ImageError {
    move |source| ImageError::File { path: path.to_owned(), source }
}
