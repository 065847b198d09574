//! Which shared libraries a program needs.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ImageError, at};

const ELF: [u8; 4] = *b"\x7fELF";

/// The shared libraries of a program and its loader, by the paths that the loader opens. A static program has none.
pub(super) fn libraries(program: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let mut start = [0; 4];
    let mut file = File::open(program).map_err(at(program))?;
    if file.read_exact(&mut start).is_err() || start != ELF {
        return Err(ImageError::NoProgram(program.to_owned()));
    }
    let output = Command::new("ldd")
        .env("LC_ALL", "C")
        .arg(program)
        .output()
        .map_err(at(Path::new("ldd")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    if said.trim() == "statically linked" || failed.trim() == "not a dynamic executable" {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        let said = failed.trim().to_owned();
        return Err(ImageError::Ldd { program: program.to_owned(), said });
    }
    said.lines().filter_map(|line| library(program, line)).collect()
}

/// The library of a line of ldd's; `linux-vdso.so.1` is the kernel's own and no file.
fn library(program: &Path, line: &str) -> Option<Result<PathBuf, ImageError>> {
    let line = line.trim();
    let (name, place) = line.split_once(" => ").unwrap_or((line, line));
    if place == "not found" {
        let (program, library) = (program.to_owned(), name.to_owned());
        return Some(Err(ImageError::Library { program, library }));
    }
    let path = place.split(" (0x").next().unwrap_or_default();
    path.starts_with('/').then(|| Ok(PathBuf::from(path)))
}
