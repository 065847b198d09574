//! What an archive is, whoever reads it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tar::EntryType;

use super::{Archive, sha256};
use crate::cluster::image::{Image, ImageError};

const NAME: &str = "wavegate.dev/test/stand-in:1.2";

/// An image with an entry of every kind.
fn stand_in(directory: &Path) -> Image {
    fs::write(directory.join("program"), "a program").expect("a file");
    fs::set_permissions(directory.join("program"), fs::Permissions::from_mode(0o751))
        .expect("a mode");
    symlink("program", directory.join("alias")).expect("a link");
    fs::create_dir_all(directory.join("share/deep")).expect("a directory");
    fs::write(directory.join("share/deep/data"), "data").expect("a file");
    Image::new(NAME)
        .directory("/tmp", 0o1777)
        .file("/etc/passwd", 0o644, "root:x:0:0::/:/bin/sh\n")
        .copy(directory.join("alias"), "/usr/bin/program")
        .and_then(|image| image.copy(directory.join("share"), "/usr/share/program"))
        .expect("the files are there")
        .link("/bin/sh", "busybox")
        .user("65532:65532")
        .working_directory("/tmp")
        .entrypoint(["/usr/bin/program"])
        .command(["--help"])
        .env("PATH", "/nowhere")
        .env("PATH", "/usr/bin")
        .label("org.opencontainers.image.title", "stand-in")
}

#[test]
fn the_layout_reads_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("made/for/it/image.tar");
    let written = stand_in(directory.path()).write(&path).expect("an image");
    let archive = Archive::read(&path);
    assert_eq!(archive.json("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}));
    let index = archive.json("index.json");
    let manifests = index["manifests"].as_array().expect("manifests");
    assert_eq!(manifests.len(), 1);
    assert_eq!(manifests[0]["digest"], *written.digest);
    assert_eq!(manifests[0]["annotations"]["io.containerd.image.name"], NAME);
    assert_eq!(manifests[0]["annotations"]["org.opencontainers.image.ref.name"], "1.2");
    let manifest = archive.manifest();
    assert_eq!(manifest["layers"][0]["size"], written.compressed);
    let tar = archive.layer();
    assert_eq!(tar.len() as u64, written.uncompressed);
    let config = archive.config();
    assert_eq!(config["rootfs"]["diff_ids"], json!([sha256(&tar)]));
    assert_eq!(
        config["config"],
        json!({
            "User": "65532:65532",
            "WorkingDir": "/tmp",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/program"],
            "Cmd": ["--help"],
            "Labels": {"org.opencontainers.image.title": "stand-in"},
        })
    );
    let blob =
        |digest: &Value| digest.as_str().expect("a digest").replace("sha256:", "blobs/sha256/");
    assert_eq!(
        archive.json("manifest.json"),
        json!([{
            "Config": blob(&manifest["config"]["digest"]),
            "RepoTags": [NAME],
            "Layers": [blob(&manifest["layers"][0]["digest"])],
        }])
    );
}

#[test]
fn entries_are_sorted_and_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar");
    stand_in(directory.path()).write(&path).expect("an image");
    let entries = Archive::read(&path).entries();
    let seen: Vec<_> =
        entries.iter().map(|(path, found)| (&**path, found.mode, found.kind)).collect();
    let folder = EntryType::Directory;
    assert_eq!(
        seen,
        [
            ("bin/", 0o755, folder),
            ("bin/sh", 0o777, EntryType::Symlink),
            ("etc/", 0o755, folder),
            ("etc/passwd", 0o644, EntryType::Regular),
            ("tmp/", 0o1777, folder),
            ("usr/", 0o755, folder),
            ("usr/bin/", 0o755, folder),
            ("usr/bin/program", 0o751, EntryType::Regular),
            ("usr/share/", 0o755, folder),
            ("usr/share/program/", 0o755, folder),
            ("usr/share/program/deep/", 0o755, folder),
            ("usr/share/program/deep/data", 0o644, EntryType::Regular),
        ]
    );
    assert_eq!(entries[1].1.link.as_deref(), Some("busybox"));
    assert_eq!(entries[7].1.bytes, b"a program");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let read = || {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("image.tar");
        let written = stand_in(directory.path()).write(&path).expect("an image");
        (written.digest, fs::read(path).expect("the archive"))
    };
    let first = read();
    // Files that are seconds younger, in a directory of another name.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == read());
}

#[test]
fn skopeo_reads_both_forms() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar");
    let written = stand_in(directory.path()).write(&path).expect("an image");
    for form in ["oci-archive", "docker-archive"] {
        // Copying reads every blob and checks it against its digest.
        let place = format!("{form}:{}", path.display());
        let copy = format!("dir:{}", directory.path().join(form).display());
        skopeo(&["copy", "--quiet", "--insecure-policy", &place, &copy]);
        let seen: Value = serde_json::from_str(&skopeo(&["inspect", &copy])).expect("JSON");
        assert_eq!(seen["Labels"]["org.opencontainers.image.title"], "stand-in", "{form}");
        let config = skopeo(&["inspect", "--config", &place]);
        let config: Value = serde_json::from_str(&config).expect("JSON");
        assert_eq!(config["config"]["User"], "65532:65532", "{form}");
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/program"]), "{form}");
    }
    let place = format!("oci-archive:{}", path.display());
    let seen: Value = serde_json::from_str(&skopeo(&["inspect", &place])).expect("JSON");
    assert_eq!(seen["Digest"], *written.digest);
}

fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo").args(arguments).output();
    let output = output.expect("skopeo is not installed: run `make tools`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_program_brings_what_it_is_linked_to() {
    let shell = fs::canonicalize("/bin/sh").expect("a shell");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar");
    let image = Image::new(NAME).program(&shell).expect("a program");
    image.write(&path).expect("an image");
    let root = directory.path().join("root");
    let layer = Archive::read(&path).layer();
    tar::Archive::new(layer.as_slice()).unpack(&root).expect("the layer");
    let inside = |path: &Path| root.join(path.strip_prefix("/").expect("an absolute path"));
    let files: Vec<_> = Archive::read(&path).entries().into_iter().map(|(path, _)| path).collect();
    let loader = files.iter().find(|path| path.contains("/ld-linux")).expect("a loader");
    let folders: Vec<_> =
        files.iter().filter_map(|path| root.join(path).parent().map(Path::to_owned)).collect();
    let load = |before: &[&str], behind: &[&str]| {
        let output = Command::new(root.join(loader))
            .arg("--inhibit-cache")
            .arg("--library-path")
            .arg(std::env::join_paths(&folders).expect("no colons"))
            .args(before)
            .arg(inside(&shell))
            .args(behind)
            .output()
            .expect("the layer's loader");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    // The loader looks into the system's own directories last, so what is missing would come from there.
    let listed = load(&["--list"], &[]);
    let found = listed.lines().filter_map(|line| line.split_once(" => ")).map(|(_, path)| path);
    let outside = found.filter(|path| !path.starts_with(&*root.to_string_lossy()));
    assert_eq!(outside.collect::<Vec<_>>(), [""; 0], "{listed}");
    assert!(listed.contains("libc.so"), "{listed}");
    assert_eq!(load(&[], &["-c", "echo runs"]), "runs\n");
}

#[test]
fn what_cannot_be_in_an_image_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar");
    let refused = |image: Image| image.write(&path).expect_err("no image").to_string();
    assert!(refused(Image::new("wavegate")).contains("want HOST/PATH:TAG"));
    assert!(refused(Image::new("localhost:5000/wavegate")).contains("want HOST/PATH:TAG"));
    for wrong in ["etc/passwd", "/etc/../passwd"] {
        let said = refused(Image::new(NAME).file(wrong, 0o644, ""));
        assert_eq!(
            said,
            format!("{wrong} is no path in an image: want an absolute one without `..`")
        );
    }
    let below = Image::new(NAME).link("/lib", "usr/lib").file("/lib/x", 0o644, "");
    assert_eq!(refused(below), "/lib/x lies below /lib, which is no directory");
    let script = directory.path().join("script");
    fs::write(&script, "#!/bin/sh\n").expect("a file");
    assert!(matches!(Image::new(NAME).program(&script), Err(ImageError::NoProgram(_))));
    let absent = directory.path().join("absent");
    assert!(matches!(Image::new(NAME).copy(&absent, "/x"), Err(ImageError::File { .. })));
}
