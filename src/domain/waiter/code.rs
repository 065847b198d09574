//! Code behind `python -c` that waits. Only what can be nothing else counts: a loop that connects and sleeps.

use std::time::Duration;

use super::{Waiter, seconds};

/// Calls that connect to something.
const CONNECTS: &[&str] = &[".connect(", ".connect_ex(", "create_connection("];

/// What may change something, so that the code is more than a wait.
const DOES: &[&str] =
    &["migrat", "subprocess", "os.system", "os.exec", "call_command", "upgrade", "execute("];

/// The waiter that such a program is.
pub(super) fn read(program: &str, args: &[&str]) -> Option<Waiter> {
    let language = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let at = args.iter().position(|arg| *arg == "-c")?;
    let code = args.get(at + 1).filter(|_| language == "python")?;
    let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
    let loops = has(&["while ", "for "]);
    let waits = loops && has(CONNECTS) && has(&["sleep("]) && !has(DOES);
    waits.then(|| Waiter::new("connection attempt", bound(code)))
}

/// `for _ in range(30)` with `sleep(2)`.
fn bound(code: &str) -> Option<Duration> {
    let rounds: u32 = argument(code, "in range(")?.parse().ok()?;
    let pause = seconds(argument(code, "sleep(")?)?;
    (!code.contains("while ")).then(|| pause.saturating_mul(rounds))
}

fn argument<'a>(code: &'a str, call: &str) -> Option<&'a str> {
    let (_, rest) = code.split_once(call)?;
    rest.split_once(')').map(|(argument, _)| argument.trim())
}
