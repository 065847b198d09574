//! A Dockerfile, followed without an engine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::Archive;
use crate::cluster::image::Image;
use crate::cluster::image::dockerfile::{DockerfileError, Inputs, image};

const NAME: &str = "wavegate.dev/test/stage:1";

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
