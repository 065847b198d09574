//! Images put together without an engine, read back by our own eyes and by skopeo.

mod archive;
mod bill;
mod dockerfile;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// An archive in memory: its files by their path.
struct Archive(BTreeMap<String, Vec<u8>>);

/// An entry of a layer: its kind, mode, target and content.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    kind: tar::EntryType,
    mode: u32,
    link: Option<String>,
    bytes: Vec<u8>,
}

impl Archive {
    fn read(path: &Path) -> Self {
        let mut archive = tar::Archive::new(fs::File::open(path).expect("the archive"));
        let mut files = BTreeMap::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its content");
            files.insert(path, bytes);
        }
        Self(files)
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&self.0[path]).expect("JSON")
    }

    /// The blob that a descriptor names, once its digest and size are what the descriptor says.
    fn blob(&self, descriptor: &Value) -> &[u8] {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let bytes = &self.0[&format!("blobs/{}", digest.replace(':', "/"))];
        assert_eq!(digest, sha256(bytes));
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    }

    fn manifest(&self) -> Value {
        let index = self.json("index.json");
        serde_json::from_slice(self.blob(&index["manifests"][0])).expect("JSON")
    }

    fn config(&self) -> Value {
        serde_json::from_slice(self.blob(&self.manifest()["config"])).expect("JSON")
    }

    /// The tar of the one layer.
    fn layer(&self) -> Vec<u8> {
        let manifest = self.manifest();
        assert_eq!(manifest["layers"].as_array().expect("layers").len(), 1);
        let mut tar = Vec::new();
        let compressed = self.blob(&manifest["layers"][0]);
        GzDecoder::new(compressed).read_to_end(&mut tar).expect("gzip");
        tar
    }

    /// The entries of the layer in their order, all of which belong to root and are as old as the epoch.
    fn entries(&self) -> Vec<(String, Found)> {
        let layer = self.layer();
        let mut archive = tar::Archive::new(layer.as_slice());
        let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
            let mut entry = entry.expect("an entry");
            let header = entry.header();
            let owner = (header.uid().expect("a user"), header.gid().expect("a group"));
            assert_eq!((owner, header.mtime().expect("a time")), ((0, 0), 0));
            let (kind, mode) = (header.entry_type(), header.mode().expect("a mode"));
            let link = entry.link_name().expect("a link").map(|link| link.display().to_string());
            let path = entry.path().expect("a path").display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its content");
            (path, Found { kind, mode, link, bytes })
        };
        archive.entries().expect("entries").map(read).collect()
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", hex.concat())
}
