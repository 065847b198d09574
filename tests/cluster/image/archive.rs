//! The archive: an OCI image layout, and `manifest.json`, by which older readers find the same blobs.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use serde_json::{Value, json};
use tar::EntryType;

use super::layer::{self, Sum};
use super::{Config, Image, ImageError, Written, at};

const EPOCH: &str = "1970-01-01T00:00:00Z";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

pub(super) fn write(image: &Image, path: &Path) -> Result<Written, ImageError> {
    let tag = tag(&image.name)?;
    let mut layer = layer::build(&image.entries)?;
    let config = config(&image.config, &layer.tar).to_string();
    let config_sum = Sum::of(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config_sum),
        "layers": [descriptor(LAYER, &layer.blob)],
    })
    .to_string();
    let manifest_sum = Sum::of(manifest.as_bytes());

    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    let mut tar = tar::Builder::new(File::create(path).map_err(at(path))?);
    for directory in ["blobs/", "blobs/sha256/"] {
        let mut header = layer::header(EntryType::Directory, 0o755, 0);
        tar.append_data(&mut header, directory, std::io::empty()).map_err(at(path))?;
    }
    let mut file = |name: &str, text: &str| {
        let mut header = layer::header(EntryType::Regular, 0o644, text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).map_err(at(path))
    };
    file(&blob(&config_sum), &config)?;
    file(&blob(&manifest_sum), &manifest)?;
    file("index.json", &index(&image.name, tag, &manifest_sum).to_string())?;
    file("manifest.json", &docker_manifest(&image.name, &config_sum, &layer.blob).to_string())?;
    file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    layer.file.seek(SeekFrom::Start(0)).map_err(at(path))?;
    let mut header = layer::header(EntryType::Regular, 0o644, layer.blob.length);
    tar.append_data(&mut header, blob(&layer.blob), &layer.file).map_err(at(path))?;
    tar.into_inner().map_err(at(path))?;
    Ok(Written {
        path: path.to_owned(),
        name: image.name.clone(),
        digest: format!("sha256:{}", manifest_sum.digest),
        compressed: layer.blob.length,
        uncompressed: layer.tar.length,
    })
}

/// The tag of a name that has a host and a tag, as containerd wants it.
fn tag(name: &str) -> Result<&str, ImageError> {
    let invalid = || ImageError::Name(name.to_owned());
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    let (repository, tag) = name.rsplit_once(':').ok_or_else(invalid)?;
    let whole = repository.contains('/') && !tag.is_empty() && !tag.contains('/');
    if whole && name.chars().all(allowed) { Ok(tag) } else { Err(invalid()) }
}

fn config(config: &Config, tar: &Sum) -> Value {
    let env: Vec<String> =
        config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut start = json!({});
    // A field that is there and empty means another thing to some readers than one that is not.
    for (field, value, empty) in [
        ("User", json!(config.user), config.user.is_empty()),
        ("WorkingDir", json!(config.working_directory), config.working_directory.is_empty()),
        ("Env", json!(env), env.is_empty()),
        ("Entrypoint", json!(config.entrypoint), config.entrypoint.is_empty()),
        ("Cmd", json!(config.command), config.command.is_empty()),
        ("Labels", json!(config.labels), config.labels.is_empty()),
    ] {
        if !empty {
            start[field] = value;
        }
    }
    json!({
        "created": EPOCH,
        "architecture": architecture(),
        "os": "linux",
        "config": start,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", tar.digest)]},
        "history": [{"created": EPOCH, "created_by": "wavegate's image example"}],
    })
}

fn index(name: &str, tag: &str, manifest: &Sum) -> Value {
    let mut image = descriptor(MANIFEST, manifest);
    image["platform"] = json!({"architecture": architecture(), "os": "linux"});
    image["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": tag,
    });
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [image],
    })
}

fn docker_manifest(name: &str, config: &Sum, layer: &Sum) -> Value {
    json!([{"Config": blob(config), "RepoTags": [name], "Layers": [blob(layer)]}])
}

fn descriptor(media_type: &str, sum: &Sum) -> Value {
    json!({
        "mediaType": media_type,
        "digest": format!("sha256:{}", sum.digest),
        "size": sum.length,
    })
}

fn blob(sum: &Sum) -> String {
    format!("blobs/sha256/{}", sum.digest)
}

/// This machine's processor in OCI's words, which are Go's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
