//! Tests that need a process of their own run themselves again, in a child with a role to play.

use std::env;
use std::process::Command;

const ROLE: &str = "WAVEGATE_TEST_ROLE";

/// The role that this process has to play, if it is such a child.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// This test binary, to run the one test named by `module` (its `module_path!()`) and `test` in `role`.
pub(crate) fn again(module: &str, test: &str, role: &str) -> Command {
    let (_crate_name, module) = module.split_once("::").expect("the test is in a module");
    let mut command = Command::new(env::current_exe().expect("the path of this binary"));
    command
        .arg(format!("{module}::{test}"))
        .args(["--exact", "--nocapture"])
        .env(ROLE, role)
        .env_remove("RUST_BACKTRACE");
    command
}
