//! Where cargo put the program, for binaries that cargo does not tell.

use std::io;
use std::path::PathBuf;

/// `wavegate` of the same profile as this example: `target/debug/examples/demo` stands beside
/// `target/debug/wavegate`.
pub(crate) fn built_beside_this_one() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let profile = own.parent().and_then(|examples| examples.parent());
    let binary = profile.map(|profile| profile.join("wavegate")).unwrap_or_default();
    if binary.is_file() {
        return Ok(binary);
    }
    let hint = format!("{} is not there: run `cargo build` first", binary.display());
    Err(io::Error::new(io::ErrorKind::NotFound, hint))
}
