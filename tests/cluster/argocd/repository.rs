//! A Git repository on this machine, as Argo CD's source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Git repository with one branch, which Argo CD reads by a `file:` URL. A copy of the value is the
/// same repository: several Applications may have it as their source.
#[derive(Debug, Clone)]
pub struct Repository {
    directory: PathBuf,
}

impl Repository {
    /// An empty repository in a directory that does not exist yet.
    pub(super) fn create(directory: PathBuf) -> Self {
        fs::create_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let repository = Self { directory };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// What an Application names as `repoURL`.
    pub fn url(&self) -> String {
        format!("file://{}", self.directory.display())
    }

    /// Writes files, given by path and content, and commits all there is. Returns the revision.
    ///
    /// # Panics
    /// When nothing changes: that commit would be no new revision.
    pub fn commit<P: AsRef<Path>, C: AsRef<str>>(
        &self,
        files: impl IntoIterator<Item = (P, C)>,
    ) -> String {
        for (path, content) in files {
            let path = self.directory.join(path);
            let parent = path.parent().unwrap_or(&self.directory);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, content.as_ref()))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        self.record()
    }

    /// Removes files and commits. Returns the revision.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn remove(&self, paths: &[&str]) -> String {
        for path in paths {
            let path = self.directory.join(path);
            fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        self.record()
    }

    /// The newest revision.
    ///
    /// # Panics
    /// When nothing has been committed.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    fn record(&self) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=Change"]);
        self.head()
    }

    /// git without the user's configuration: a template, a hook or a signing key would get into it.
    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(&self.directory)
            .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .output()
            .unwrap_or_else(|error| panic!("cannot run git: {error}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {}: {stderr}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
