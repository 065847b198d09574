//! The Dockerfile and the archive say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Archive;
use crate::cluster::image::dockerfile::{DockerfileError, Inputs, image};
use crate::cluster::image::{Image, release};

const NAME: &str = "wavegate.dev/test/stage:1";
const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const IGNORED: &str = include_str!("../../../.dockerignore");
const BILL: &str = "/usr/share/doc/wavegate/sbom.cdx.json";

#[test]
fn wavegates_own_image_is_what_its_dockerfile_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("out");
    fs::create_dir(&out).expect("a directory");
    fs::write(out.join("wavegate"), "the program").expect("a file");
    fs::write(out.join("wavegate.cdx.json"), "{}").expect("a file");
    let path = directory.path().join("image.tar");
    release::assemble(&path, NAME, directory.path()).expect("an image");
    let archive = Archive::read(&path);
    let mut config = archive.config()["config"].clone();
    let labels = config["Labels"].take();
    let start = json!({"User": "65532:65532", "Entrypoint": ["/wavegate"], "Labels": null});
    assert_eq!(config, start);
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("title"), "wavegate");
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("source"), "https://wavegate.dev");
    assert!(!label("description").as_str().expect("text").is_empty());
    assert!(!label("revision").as_str().expect("text").is_empty());
    let files: Vec<_> = archive.entries();
    let files = files.iter().filter(|(path, _)| !path.ends_with('/'));
    let files: Vec<_> = files.map(|(path, found)| (path.as_str(), found.mode)).collect();
    let expected = [("usr/share/doc/wavegate/LICENSE", 0o444), (&BILL[1..], 0o444)];
    assert_eq!(files, [&expected[..], &[("wavegate", 0o555)]].concat());
}

/// What the Dockerfile repeats of Cargo.toml, and what it reads of the sources.
#[test]
fn the_dockerfile_is_of_this_package() {
    assert!(DOCKERFILE.contains(&format!("\nARG VERSION={}\n", env!("CARGO_PKG_VERSION"))));
    let rust = format!("\nFROM rust:{}-bookworm AS builder\n", env!("CARGO_PKG_RUST_VERSION"));
    assert!(DOCKERFILE.contains(&rust));
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(BILL), "the README says where the bill of materials is");
    for needed in ["Cargo.toml", "Cargo.lock", "LICENSE", "src", "tests", "charts", "examples"] {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(needed).exists());
        assert!(!IGNORED.lines().any(|line| line.contains(['*', '!']) || line == needed));
    }
}

/// The image of this Dockerfile, whose earlier stage `builder` has `/out/program`.
fn follow(dockerfile: &str) -> Result<(Image, tempfile::TempDir), DockerfileError> {
    let directory = tempfile::tempdir().expect("a directory");
    for (path, content) in
        [("out/program", "from the builder"), ("context/notes", "of the context")]
    {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, content).expect("a file");
    }
    let inputs = Inputs {
        context: directory.path().join("context"),
        stages: BTreeMap::from([("builder".to_owned(), PathBuf::from(directory.path()))]),
        arguments: BTreeMap::from([("GIVEN".to_owned(), "given".to_owned())]),
    };
    Ok((image(dockerfile, NAME, &inputs)?, directory))
}

fn archive(dockerfile: &str) -> Archive {
    let (image, directory) = follow(dockerfile).expect("a Dockerfile");
    let path = directory.path().join("image.tar");
    image.write(&path).expect("an image");
    Archive::read(&path)
}

#[test]
fn instructions_do_what_an_engine_does() {
    let archive = archive(
        r#"
ARG EARLY=early
ARG HIDDEN=hidden
FROM debian AS builder
ENV IGNORED=yes
RUN anything at all
FROM scratch
ARG EARLY
ARG GIVEN=default LATE=late
ENV JOINED="$EARLY-${GIVEN}" QUOTED='$EARLY'
label a=${LATE:-x} \
    # between two lines
    b="two words" c=${EMPTY:-default} d=1=2
COPY --from=builder --chmod=0500 /out/program /bin/
COPY notes /etc/renamed
COPY --from=builder /out /all
WORKDIR /all
USER 1:2
CMD ["x", "$EARLY"]
"#,
    );
    assert_eq!(
        archive.config()["config"],
        json!({
            "Env": ["JOINED=early-given", "QUOTED=$EARLY"],
            "Labels": {"a": "late", "b": "two words", "c": "default", "d": "1=2"},
            "WorkingDir": "/all",
            "User": "1:2",
            "Cmd": ["x", "$EARLY"],
        })
    );
    let entries: BTreeMap<_, _> = archive.entries().into_iter().collect();
    assert_eq!(entries["bin/program"].bytes, b"from the builder");
    assert_eq!(entries["bin/program"].mode, 0o500);
    assert_eq!(entries["etc/renamed"].bytes, b"of the context");
    assert_eq!(entries["all/program"].bytes, b"from the builder");
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    for (last, said) in [
        ("RUN true", "line 5: RUN is not known here"),
        ("HEALTHCHECK NONE", "line 5: HEALTHCHECK is not known here"),
        ("ENTRYPOINT /program", "line 5: want a JSON list: a shell is not at hand"),
        ("COPY --link notes /", "line 5: the flag --link is not known here"),
        ("COPY --chmod=u+x notes /", "line 5: want an octal mode"),
        ("COPY --from=other x /", "line 5: there is no stage other before the last one"),
        ("COPY notes etc/", "line 5: want an absolute target"),
        ("COPY notes notes /etc", "line 5: want an absolute target, with a slash behind it"),
        ("COPY *.md /", "line 5: want a source by its plain path"),
        ("COPY ../out/program /", "line 5: want a source by its plain path"),
        ("LABEL a", "line 5: want KEY=VALUE"),
        ("LABEL a=\"b", "line 5: want the end of a quote"),
        ("USER $HIDDEN", "line 5: HIDDEN is neither an ARG nor an ENV of this stage"),
        ("ENV A=${B:+c}", "line 5: want ${NAME} or ${NAME:-default}"),
        ("FROM debian", "line 5: the last stage stands on debian"),
    ] {
        let text = format!("ARG HIDDEN=1\nFROM debian AS builder\n\nFROM scratch\n{last}\n");
        let error = follow(&text).expect_err(last).to_string();
        assert!(error.starts_with(said), "{last}: {error}");
    }
    let error = follow("FROM scratch\nCOPY absent /x\n").expect_err("no file").to_string();
    assert!(error.starts_with("line 2: ") && error.contains("absent"), "{error}");
    assert_eq!(
        follow("# nothing\n").expect_err("no stage").to_string(),
        "line 1: there is no instruction FROM"
    );
}
