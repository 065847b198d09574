//! A bill of materials in CycloneDX's JSON: what is in the static program, and what has only helped to build it.
//!
//! `cargo tree` says what is built of which features for which target, Cargo.lock has the checksums. The parts of the
//! system that a static program carries, libc and the unwinder, are named by the package that owns them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Why there is no bill of materials.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    #[error("{program}: {source}")]
    Run { program: &'static str, source: io::Error },
    #[error("{0} failed; it says why above")]
    Failed(&'static str),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("`{0}` is no line of cargo tree's")]
    Line(String),
}

/// The archives of the system that are linked in, and their licences in the words of SPDX.
const ARCHIVES: [(&str, &str); 2] =
    [("libc.a", "LGPL-2.1-or-later"), ("libgcc_eh.a", "GPL-3.0-or-later WITH GCC-exception-3.1")];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
}

impl Package {
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B"))
    }
}

/// What `cargo tree` prints: packages, and which of them needs which.
#[derive(Debug, Default)]
struct Tree {
    root: Option<Package>,
    packages: BTreeSet<Package>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

/// The target that the compiler itself runs on.
pub fn host() -> Result<String, SbomError> {
    let said = run("rustc", Command::new("rustc").args(["--print", "host-tuple"]))?;
    Ok(said.trim().to_owned())
}

/// The bill of materials of the package in this directory, built for this target with its default features. The same
/// sources, tools and system give the same text.
pub fn of(directory: &Path, target: &str) -> Result<String, SbomError> {
    let linked = tree(directory, target, "normal,no-proc-macro")?;
    let all = tree(directory, target, "normal,build")?;
    let lock = directory.join("Cargo.lock");
    let lock =
        fs::read_to_string(&lock).map_err(|source| SbomError::File { path: lock, source })?;
    let checksums = checksums(&lock);
    let root = all.root.clone().ok_or_else(|| SbomError::Line(String::new()))?;
    let mut components = Vec::new();
    for package in all.packages.iter().filter(|package| **package != root) {
        let mut component = component("library", package);
        let key = (package.name.as_str(), package.version.as_str());
        if let Some(checksum) = checksums.get(&key) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        let inside = linked.packages.contains(package);
        component["scope"] = json!(if inside { "required" } else { "excluded" });
        components.push(component);
    }
    components.push(standard_library()?);
    components.extend(ARCHIVES.iter().filter_map(|(archive, license)| system(archive, license)));
    let needs = all.needs.iter().map(|(of, on)| json!({"ref": of, "dependsOn": on}));
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component("application", &root)},
        "components": components,
        "dependencies": needs.collect::<Vec<_>>(),
    });
    Ok(format!("{bill:#}\n"))
}

fn component(kind: &str, package: &Package) -> Value {
    json!({
        "type": kind,
        "bom-ref": package.purl(),
        "name": package.name,
        "version": package.version,
        "purl": package.purl(),
        // Cargo once had a slash for OR.
        "licenses": [{"expression": package.license.replace('/', " OR ")}],
    })
}

fn tree(directory: &Path, target: &str, edges: &str) -> Result<Tree, SbomError> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(directory)
        .args(["tree", "--locked", "--target", target, "--edges", edges])
        .args(["--prefix", "depth", "--format", "\t{p}\t{l}\t"]);
    let mut tree = Tree::default();
    // The packages from the root down to the line before.
    let mut above: Vec<String> = Vec::new();
    for line in run("cargo", &mut cargo)?.lines() {
        let invalid = || SbomError::Line(line.to_owned());
        let mut fields = line.split('\t');
        let depth = fields.next().and_then(|depth| depth.parse().ok()).ok_or_else(invalid)?;
        let mut words = fields.next().ok_or_else(invalid)?.split(' ');
        let name = words.next().ok_or_else(invalid)?.to_owned();
        let version = words.next().and_then(|word| word.strip_prefix('v')).ok_or_else(invalid)?;
        let license = fields.next().ok_or_else(invalid)?.to_owned();
        let package = Package { name, version: version.to_owned(), license };
        above.truncate(depth);
        tree.needs.entry(package.purl()).or_default();
        if let Some(needs) = above.last().and_then(|parent| tree.needs.get_mut(parent)) {
            needs.insert(package.purl());
        }
        above.push(package.purl());
        tree.root.get_or_insert_with(|| package.clone());
        tree.packages.insert(package);
    }
    Ok(tree)
}

/// The registry's checksums by name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let value = |block: &'_ str, key: &str| -> Option<(usize, usize)> {
        let start = block.find(&format!("\n{key} = \""))? + key.len() + 5;
        Some((start, start + block.get(start..)?.find('"')?))
    };
    let read = |block| {
        let field = |key| value(block, key).and_then(|(start, end)| str::get(block, start..end));
        Some(((field("name")?, field("version")?), field("checksum")?))
    };
    lock.split("[[package]]").skip(1).filter_map(read).collect()
}

/// Rust's standard library, whose version is the compiler's.
fn standard_library() -> Result<Value, SbomError> {
    let said = run("rustc", Command::new("rustc").arg("--version"))?;
    let version = said.split(' ').nth(1).ok_or_else(|| SbomError::Line(said.clone()))?;
    Ok(json!({
        "type": "library",
        "bom-ref": "rust-std",
        "name": "rust-std",
        "version": version,
        "purl": format!("pkg:generic/rust-std@{version}"),
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "scope": "required",
    }))
}

/// A static archive of the system's, by Debian's source package where Debian's package manager knows it; without a
/// version elsewhere. Nothing where the C compiler has no such archive.
fn system(archive: &str, license: &str) -> Option<Value> {
    let said = run("cc", Command::new("cc").arg(format!("-print-file-name={archive}"))).ok()?;
    let path = fs::canonicalize(said.trim()).ok()?;
    let mut component = json!({
        "type": "library",
        "bom-ref": archive,
        "name": archive,
        "licenses": [{"expression": license}],
        "scope": "required",
    });
    if let Some((name, version)) = debian(&path) {
        component["purl"] = json!(format!("pkg:deb/debian/{name}@{version}?arch=source"));
        component["name"] = json!(name);
        component["version"] = json!(version);
    }
    Some(component)
}

/// Name and version of the Debian source package that a file belongs to.
fn debian(path: &Path) -> Option<(String, String)> {
    let owner = run("dpkg-query", Command::new("dpkg-query").arg("--search").arg(path)).ok()?;
    let (package, _) = owner.split_once(": ")?;
    let format = "--showformat=${source:Package} ${source:Version}";
    let said =
        run("dpkg-query", Command::new("dpkg-query").args(["--show", format, package])).ok()?;
    let (name, version) = said.split_once(' ')?;
    Some((name.to_owned(), version.to_owned()))
}

fn run(program: &'static str, command: &mut Command) -> Result<String, SbomError> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| SbomError::Run { program, source })?;
    if !output.status.success() {
        return Err(SbomError::Failed(program));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
