//! Argo CD's own manifests, of the version that its program is built from.
//!
//! They are no Go code, so `go build` leaves them in the module. One file with those that the tests need
//! is kept beside the programs: later runs do without `go`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use serde_json::Value;

use super::{PARTIAL, Programs, ProgramsError, Recipe, at, lock, say};

const MODULE: &str = "github.com/argoproj/argo-cd/v3";

/// The file's name in the cache. The folder's key stands for the version only: another choice of objects needs
/// another name.
const FILE: &str = "argocd-objects.yaml";

/// Folders of the module under `manifests`, in the order in which their objects can be created: the kinds,
/// the settings, and the service account of the controller with its rights.
const FOLDERS: [&str; 4] = [
    "crds",
    "base/config",
    "base/application-controller-roles",
    "cluster-rbac/application-controller",
];

/// Files in them that are left out: a list of the others, for kustomize, and the kind of a controller that
/// does not run here; to define it takes the API server longer than all the rest.
const LEFT_OUT: [&str; 2] = ["kustomization.yaml", "applicationset-crd.yaml"];

impl Programs {
    /// A file with all objects that Argo CD's controller needs in its namespace, as its authors
    /// ship them. It is made at the first call on a machine, which needs `go`.
    pub fn argocd_manifests(&self) -> Result<PathBuf, ProgramsError> {
        let whole = self.cache.join(FILE);
        if whole.is_file() {
            return Ok(whole);
        }
        let _lock = lock(&self.cache)?;
        say("taking Argo CD's manifests from its module");
        let manifests = join(&module_folder()?.join("manifests"))?;
        let partial = self.cache.join(format!("{FILE}{PARTIAL}{}", process::id()));
        fs::write(&partial, manifests).map_err(at(&partial))?;
        fs::rename(&partial, &whole).map_err(at(&whole))?;
        Ok(whole)
    }
}

/// The module's folder in Go's cache, downloaded if it is not there.
fn module_folder() -> Result<PathBuf, ProgramsError> {
    let output = Recipe::read()?
        .go()
        .args(["mod", "download", "-json", MODULE])
        .stdin(Stdio::null())
        .output()
        .map_err(at(Path::new("go")))?;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    answer["Dir"].as_str().map(PathBuf::from).ok_or_else(|| {
        let reason = answer["Error"].as_str().map(str::to_owned);
        let reason = reason.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned());
        at(Path::new(MODULE))(io::Error::other(reason))
    })
}

fn join(manifests: &Path) -> Result<String, ProgramsError> {
    let mut all = String::new();
    for folder in FOLDERS.map(|folder| manifests.join(folder)) {
        let entries = fs::read_dir(&folder).map_err(at(&folder))?;
        let mut files: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        files.retain(|file| !LEFT_OUT.iter().any(|name| file.ends_with(name)));
        for file in files {
            all.push_str("---\n");
            all.push_str(&fs::read_to_string(&file).map_err(at(&file))?);
        }
    }
    Ok(all)
}
