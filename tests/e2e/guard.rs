//! The one wavegate that all tests share, and how to read what kubectl says of its verdicts.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use crate::cluster::{ControlPlane, Namespace, Output, shared, wavegate::Wavegate};

/// The shared control plane with wavegate registered in front of it.
pub(crate) fn guarded() -> (&'static ControlPlane, &'static Wavegate) {
    static GUARD: OnceLock<Wavegate> = OnceLock::new();
    let control_plane = shared();
    let wavegate = GUARD.get_or_init(|| {
        let wavegate = Wavegate::start(control_plane, Path::new(env!("CARGO_BIN_EXE_wavegate")));
        wavegate.register(control_plane);
        wavegate
    });
    (control_plane, wavegate)
}

/// A namespace in which wavegate enforces.
pub(crate) fn enforcing(test: &str) -> Namespace<'static> {
    let (control_plane, _) = guarded();
    control_plane.namespace(test, &[("wavegate.dev/mode", "enforce")])
}

/// What the API server did with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Codes in the denial; empty if the request was let through.
    pub(crate) denied: BTreeSet<String>,
    /// Codes in the warnings.
    pub(crate) warned: BTreeSet<String>,
}

/// Reads the verdict off kubectl's standard error. Whatever failed for another reason than a denial by
/// wavegate fails the test.
pub(crate) fn verdict(output: &Output) -> Verdict {
    let (warnings, errors): (Vec<&str>, Vec<&str>) =
        output.stderr.lines().partition(|line| line.starts_with("Warning: "));
    let codes = |lines: &[&str]| {
        lines.iter().flat_map(|line| codes_in(line)).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let denied = codes(&errors);
    if !output.status.success() {
        let refused = errors.iter().any(|line| line.contains("\" denied the request: "));
        assert!(refused && !denied.is_empty(), "failed, but not by wavegate: {}", output.stderr);
    }
    Verdict { denied, warned: codes(&warnings) }
}

fn codes_in(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| {
        word.strip_prefix("WG").is_some_and(|n| n.len() == 3 && n.parse::<u16>().is_ok())
    })
}

/// A set of codes.
pub(crate) fn codes(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|code| (*code).to_owned()).collect()
}
