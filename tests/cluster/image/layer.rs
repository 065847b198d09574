//! The one layer of an image: a tar of its entries, compressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::{ImageError, at};

/// Gzip's number for a system that is not told.
const UNKNOWN_SYSTEM: u8 = 255;

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) mode: u32,
    pub(super) node: Node,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Directory,
    File(Content),
    Link(String),
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Host(PathBuf),
}

/// A layer in a file, with the two digests that an image names it by.
pub(super) struct Layer {
    pub(super) file: File,
    pub(super) blob: Sum,
    pub(super) tar: Sum,
}

/// Digest and length of some bytes.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    /// In hexadecimal, without an algorithm.
    pub(super) digest: String,
    pub(super) length: u64,
}

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut summing = Summing::new(io::sink());
        let _ = summing.write_all(bytes);
        summing.end().1
    }
}

/// Writes the layer of these entries to an unnamed file.
pub(super) fn build(entries: &[(String, Entry)]) -> Result<Layer, ImageError> {
    let tree = tree(entries)?;
    let unnamed = |source| ImageError::File { path: std::env::temp_dir(), source };
    let file = tempfile::tempfile().map_err(unnamed)?;
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(Summing::new(file), Compression::default());
    let mut tar = tar::Builder::new(Summing::new(gzip));
    for (path, entry) in &tree {
        append(&mut tar, path, entry)?;
    }
    let (gzip, tar) = tar.into_inner().map_err(unnamed)?.end();
    let (file, blob) = gzip.finish().map_err(unnamed)?.end();
    Ok(Layer { file, blob, tar })
}

/// The entries by their path without the leading slash, sorted, so that a directory comes before what is in it, and
/// with all directories above them.
fn tree(entries: &[(String, Entry)]) -> Result<BTreeMap<String, Entry>, ImageError> {
    let mut tree = BTreeMap::new();
    for (path, entry) in entries {
        let path = relative(path)?;
        if !path.is_empty() {
            tree.insert(path, entry.clone());
        }
    }
    for path in tree.keys().cloned().collect::<Vec<_>>() {
        for (end, _) in path.match_indices('/') {
            let parent = path.get(..end).unwrap_or_default();
            let made = Entry { mode: 0o755, node: Node::Directory };
            let above = tree.entry(parent.to_owned()).or_insert(made);
            if !matches!(above.node, Node::Directory) {
                return Err(ImageError::Parent { parent: parent.to_owned(), path });
            }
        }
    }
    Ok(tree)
}

fn relative(path: &str) -> Result<String, ImageError> {
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if !path.starts_with('/') || parts.contains(&"..") {
        return Err(ImageError::Path(path.to_owned()));
    }
    Ok(parts.join("/"))
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, entry: &Entry) -> Result<(), ImageError> {
    let named = |source| ImageError::File { path: PathBuf::from(format!("/{path}")), source };
    match &entry.node {
        Node::Directory => {
            let mut header = header(EntryType::Directory, entry.mode, 0);
            tar.append_data(&mut header, format!("{path}/"), io::empty()).map_err(named)
        }
        Node::Link(target) => {
            let mut header = header(EntryType::Symlink, entry.mode, 0);
            tar.append_link(&mut header, path, target).map_err(named)
        }
        Node::File(Content::Bytes(bytes)) => {
            let mut header = header(EntryType::Regular, entry.mode, bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice()).map_err(named)
        }
        Node::File(Content::Host(host)) => {
            let file = File::open(host).map_err(at(host))?;
            let length = file.metadata().map_err(at(host))?.len();
            let mut header = header(EntryType::Regular, entry.mode, length);
            // A file that grows meanwhile must not reach into the next entry.
            tar.append_data(&mut header, path, file.take(length)).map_err(named)
        }
    }
}

/// The head of an entry that belongs to root and is as old as the epoch.
pub(super) fn header(kind: EntryType, mode: u32, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length);
    header
}

/// Passes bytes on, and knows their digest and how many they were.
struct Summing<W> {
    inner: W,
    digest: Sha256,
    length: u64,
}

impl<W> Summing<W> {
    fn new(inner: W) -> Self {
        Self { inner, digest: Sha256::new(), length: 0 }
    }

    fn end(self) -> (W, Sum) {
        let digest = self.digest.finalize().iter().fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        });
        (self.inner, Sum { digest, length: self.length })
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
