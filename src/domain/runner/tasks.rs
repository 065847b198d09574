//! Package managers, task runners and runtimes that name what they run.

use super::names::listed;
use super::program::Program;
use super::wrapper::{Step, skip_options};

/// Task runners that take targets as arguments, with options that take a value.
const TARGETS: &[(&str, &str, &str)] = &[
    ("make", "make", "-C -f -j -I -o -W"),
    ("gmake", "make", "-C -f -j -I -o -W"),
    ("just", "just", "-f -d --justfile --working-directory --set"),
    ("task", "task", "-d -t --dir --taskfile"),
    ("go-task", "task", "-d -t --dir --taskfile"),
    ("mage", "mage", "-d -w"),
    ("invoke", "invoke", "-c -r -f"),
    ("inv", "invoke", "-c -r -f"),
    ("lein", "lein", ""),
    ("ant", "ant", "-f"),
    ("gulp", "gulp", "-f"),
];

/// Options of npm and its like that take a value.
const NPM: &str = "\
    --prefix -C --dir --cwd -w --workspace --filter -F --loglevel --workspace-concurrency --config
    --env-file -p --package --scope --stream";

/// What a package manager, task runner or runtime runs; `None` where the program is none of them.
pub(super) fn unwrap<'a>(name: &str, args: &'a [&'a str]) -> Option<Step<'a>> {
    if let Some((_, runner, valued)) = TARGETS.iter().find(|(known, ..)| *known == name) {
        return Some(Step::Targets(runner, skip_options(args, valued)));
    }
    match name {
        "npm" | "pnpm" | "yarn" | "bun" | "yarnpkg" | "corepack" => {
            Some(package_manager(name, args))
        }
        "deno" => Some(deno(args)),
        "turbo" | "nx" | "lerna" | "moon" => Some(monorepo(name, args)),
        "composer" => Some(script("composer run", skip_word(args, "run run-script"))),
        "dotnet" => Some(dotnet(args)),
        "java" => Some(java(args)),
        "cargo" => Some(cargo(args)),
        _ => None,
    }
}

fn package_manager<'a>(name: &str, args: &'a [&'a str]) -> Step<'a> {
    let mut rest = skip_options(args, NPM);
    // `corepack pnpm ...`, `yarn workspace NAME ...`, `yarn workspaces foreach run ...`
    if name == "corepack" {
        rest = rest.get(1..).unwrap_or_default();
    } else if rest.first() == Some(&"workspace") {
        rest = rest.get(2..).unwrap_or_default();
    } else if rest.first() == Some(&"workspaces") {
        let run = rest.iter().position(|arg| *arg == "run");
        rest = run.and_then(|at| rest.get(at..)).unwrap_or_default();
    }
    let Some((verb, after)) = rest.split_first() else {
        return Step::Nothing;
    };
    let runner = match name {
        "npm" => "npm run",
        "yarn" | "yarnpkg" => "yarn",
        "bun" => "bun run",
        _ => "pnpm",
    };
    match *verb {
        "run" | "run-script" | "rum" => script(runner, skip_options(after, NPM)),
        "exec" | "x" | "dlx" | "node" => {
            match after.iter().position(|arg| matches!(*arg, "-c" | "--call")) {
                Some(at) => Step::Eval(after.get(at + 1..).unwrap_or_default()),
                None if *verb == "node" => Step::Interpreted(skip_options(after, NPM)),
                None => Step::Command(skip_options(after, NPM)),
            }
        }
        _ if name == "npm" => Step::Nothing,
        _ => script(runner, rest),
    }
}

/// A named script and its arguments. A path is a file.
fn script<'a>(runner: &'static str, words: &'a [&'a str]) -> Step<'a> {
    let Some((name, args)) = words.split_first() else {
        return Step::Nothing;
    };
    let is_path = name.contains('/') && !name.starts_with('@');
    if is_path || name.contains(' ') {
        Step::Interpreted(words)
    } else {
        Step::Program(Program::target(name, runner), args)
    }
}

fn skip_word<'a>(args: &'a [&'a str], words: &str) -> &'a [&'a str] {
    let rest = skip_options(args, "-d --working-dir");
    match rest.split_first() {
        Some((first, after)) if listed(words, first) => skip_options(after, ""),
        _ => rest,
    }
}

fn deno<'a>(args: &'a [&'a str]) -> Step<'a> {
    match args.split_first() {
        Some((&"task", after)) => script("deno task", skip_options(after, "--cwd --config -c")),
        Some((&"run", after)) => Step::Interpreted(skip_options(after, "--config -c --env-file")),
        _ => Step::Nothing,
    }
}

/// `turbo run db:migrate`, `nx run api:migrate`. Without `run`, `nx migrate` updates packages.
fn monorepo<'a>(name: &str, args: &'a [&'a str]) -> Step<'a> {
    let rest = skip_options(args, NPM);
    let runner = match name {
        "turbo" => "turbo run",
        "nx" => "nx run",
        "lerna" => "lerna run",
        _ => "moon run",
    };
    match rest.split_first() {
        Some((&"run", after)) => {
            let after = skip_options(after, NPM);
            let Some((target, args)) = after.split_first() else {
                return Step::Nothing;
            };
            let target = match target.split_once(':') {
                Some((_, target)) if matches!(name, "nx" | "moon") => target,
                _ => target,
            };
            Step::Program(Program::target(target, runner), args)
        }
        _ if name == "turbo" => script(runner, rest),
        _ => Step::Nothing,
    }
}

/// `dotnet ef ...`, `dotnet X.dll ...`, `dotnet run --project X -- ...`.
fn dotnet<'a>(args: &'a [&'a str]) -> Step<'a> {
    let rest = skip_options(args, "--roll-forward --fx-version --depsfile --runtimeconfig");
    let Some((first, after)) = rest.split_first() else {
        return Step::Nothing;
    };
    match *first {
        "exec" => dotnet_assembly(skip_options(after, "--depsfile --runtimeconfig")),
        "tool" => Step::Command(after.get(1..).unwrap_or_default()),
        "run" => {
            let at = after.iter().position(|arg| matches!(*arg, "--project" | "-p"));
            let project = at.and_then(|at| after.get(at + 1)).map_or("", |project| *project);
            let args = after.iter().position(|arg| *arg == "--").and_then(|at| after.get(at + 1..));
            Step::Program(Program::assembly(project), args.unwrap_or_default())
        }
        name if name.contains(' ') => Step::Command(rest),
        name if is_assembly(name) => dotnet_assembly(rest),
        _ => Step::Command(rest),
    }
}

fn dotnet_assembly<'a>(words: &'a [&'a str]) -> Step<'a> {
    match words.split_first() {
        Some((path, args)) => Step::Program(Program::assembly(path), args),
        None => Step::Nothing,
    }
}

fn is_assembly(name: &str) -> bool {
    let end = name.rsplit('.').next().unwrap_or_default();
    end.eq_ignore_ascii_case("dll") || end.eq_ignore_ascii_case("exe")
}

fn java<'a>(args: &'a [&'a str]) -> Step<'a> {
    let mut rest = args;
    while let Some((option, after)) = rest.split_first() {
        rest = match *option {
            "-jar" => return dotnet_assembly(after),
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" => {
                after.get(1..).unwrap_or_default()
            }
            option if option.starts_with(['-', '@']) => after,
            _ => return dotnet_assembly(rest),
        };
    }
    Step::Nothing
}

/// `cargo sqlx migrate run` runs `cargo-sqlx`; `cargo run --bin migrate -- up` a binary of the project.
fn cargo<'a>(args: &'a [&'a str]) -> Step<'a> {
    let Some((first, after)) = args.split_first() else {
        return Step::Nothing;
    };
    if *first != "run" {
        return Step::Command(args);
    }
    let at =
        after.iter().position(|arg| matches!(*arg, "--bin" | "-p" | "--package" | "--example"));
    let name = at.and_then(|at| after.get(at + 1)).map_or("", |name| *name);
    let args = after.iter().position(|arg| *arg == "--").and_then(|at| after.get(at + 1..));
    Step::Program(Program::target(name, "cargo run"), args.unwrap_or_default())
}
