//! wavegate's own image: the static program, its bill of materials, and what the Dockerfile says of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::dockerfile::{self, DockerfileError, Inputs};
use super::sbom::{self, SbomError};
use super::{ImageError, Written, at, programs};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Why wavegate's image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("{program}: {source}")]
    Run { program: &'static str, source: io::Error },
    #[error("{program} failed: {said}")]
    Failed { program: &'static str, said: String },
    #[error("cargo names no executable wavegate")]
    NoExecutable,
    #[error("{program} is not static: it needs {}", library.display())]
    NotStatic { program: PathBuf, library: PathBuf },
    #[error("Dockerfile, {0}")]
    Dockerfile(#[from] DockerfileError),
    #[error(transparent)]
    Sbom(#[from] SbomError),
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// The name of the image where nobody chooses one.
pub fn default_name() -> String {
    format!("wavegate.dev/wavegate:{}", env!("CARGO_PKG_VERSION"))
}

/// Builds the static program with cargo, which takes minutes where it has changed, and writes the image.
pub fn build(output: &Path, name: &str) -> Result<Written, ReleaseError> {
    let target = sbom::host()?;
    let program = static_program(&target)?;
    let out = Path::new(REPOSITORY).join("target/image/builder/out");
    fs::create_dir_all(&out).map_err(at(&out))?;
    let place = out.join("wavegate");
    fs::copy(&program, &place).map_err(at(&place))?;
    let bill = out.join("wavegate.cdx.json");
    fs::write(&bill, sbom::of(Path::new(REPOSITORY), &target)?).map_err(at(&bill))?;
    assemble(output, name, &Path::new(REPOSITORY).join("target/image/builder"))
}

/// Writes the image that the Dockerfile makes of what is in `builder`, a directory that stands for the root of the
/// stage of that name.
pub fn assemble(output: &Path, name: &str, builder: &Path) -> Result<Written, ReleaseError> {
    let path = Path::new(REPOSITORY).join("Dockerfile");
    let dockerfile = fs::read_to_string(&path).map_err(at(&path))?;
    let arguments = [("VERSION", env!("CARGO_PKG_VERSION").to_owned()), ("REVISION", revision())];
    let inputs = Inputs {
        context: PathBuf::from(REPOSITORY),
        stages: BTreeMap::from([("builder".to_owned(), builder.to_owned())]),
        arguments: arguments.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    Ok(dockerfile::image(&dockerfile, name, &inputs)?.write(output)?)
}

/// The executable file of wavegate, linked with all of libc, as the Dockerfile's builder makes it.
pub fn static_program(target: &str) -> Result<PathBuf, ReleaseError> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(REPOSITORY)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .args(["build", "--release", "--locked", "--bin", "wavegate", "--target", target])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let messages = run("cargo", &mut cargo)?;
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    };
    let program = messages.lines().find_map(executable).ok_or(ReleaseError::NoExecutable)?;
    match programs::libraries(&program)?.first() {
        Some(library) => Err(ReleaseError::NotStatic { program, library: library.clone() }),
        None => Ok(program),
    }
}

/// The commit of the sources, marked `-dirty` where they differ from it, or `unknown` outside of a repository.
fn revision() -> String {
    let describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"];
    let said = run("git", Command::new("git").current_dir(REPOSITORY).args(describe));
    said.map_or_else(|_| "unknown".to_owned(), |said| said.trim().to_owned())
}

fn run(program: &'static str, command: &mut Command) -> Result<String, ReleaseError> {
    let output = command.output().map_err(|source| ReleaseError::Run { program, source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ReleaseError::Failed { program, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
