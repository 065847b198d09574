//! The names of a program.

use super::names::{listed, stem};

/// A program, by the names it may be known by.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) struct Program<'a> {
    /// As it is written, without a version: `./bin/rails`, `app.manage`, `@mikro-orm/cli`.
    pub(in crate::domain) full: &'a str,
    /// File name, or the last part of a module.
    pub(in crate::domain) name: &'a str,
    /// First part of a module.
    pub(in crate::domain) first: &'a str,
    /// What it was found in.
    pub(in crate::domain) via: Via,
}

/// Where a program's name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Via {
    /// In command position.
    Path,
    /// Behind an interpreter: it is a script.
    Interpreter,
    /// `python -m`
    Module,
    /// `dotnet X.dll`, `java -jar X.jar`
    Assembly,
    /// A target or script of this task runner.
    Target(&'static str),
}

impl<'a> Program<'a> {
    /// A program or script by its path.
    pub(super) fn path(path: &'a str, via: Via) -> Self {
        let full = without_version(path);
        let mut name = file_name(full);
        // `node_modules/prisma/build/index.js` is known by its package.
        if let Some((_, inside)) = full.rsplit_once("node_modules/")
            && listed("cli.js cli.mjs cli.cjs index.js bin.js bin.cjs main.js", name)
        {
            name = inside.split('/').find(|part| !part.starts_with('@')).unwrap_or(name);
        }
        Self { full, name, first: name, via }
    }

    /// A Python module.
    pub(super) fn module(module: &'a str) -> Self {
        let name = module.rsplit('.').next().unwrap_or(module);
        let first = module.split('.').next().unwrap_or(module);
        Self { full: module, name, first, via: Via::Module }
    }

    /// A Java archive or class, or a .NET assembly.
    pub(super) fn assembly(path: &'a str) -> Self {
        let name = file_name(path);
        Self { full: path, name, first: stem(name), via: Via::Assembly }
    }

    /// A target or script of a task runner.
    pub(in crate::domain) fn target(name: &'a str, runner: &'static str) -> Self {
        let full = without_version(name);
        let name = if full.starts_with('@') { full } else { file_name(full) };
        Self { full, name, first: name, via: Via::Target(runner) }
    }
}

/// `prisma@5.1.0` is `prisma`, `@mikro-orm/cli@6` is `@mikro-orm/cli`.
fn without_version(name: &str) -> &str {
    match name.rsplit_once('@') {
        Some((before, version)) if !before.is_empty() && !version.contains('/') => before,
        _ => name,
    }
}

/// What stands behind the last slash.
pub(in crate::domain) fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}
