//! wavegate's own waiter, in both of its forms: what is added to a Job, and how it is told from an author's.

use crate::domain::manifest::Container;

/// The script of the busybox form, the same for every Job.
pub const SCRIPT: &str = include_str!("wait-for-db.sh");

/// The whole command of the busybox form.
pub const BUSYBOX: [&str; 3] = ["/bin/sh", "-c", SCRIPT];

/// The command of the native form. Its arguments follow: `--timeout=60s`, and `--target=` once where the Job names
/// its database.
pub const NATIVE: [&str; 2] = ["/wavegate", "wait-for-db"];

/// Argument of the native form for the longest wait, in whole seconds.
pub const TIMEOUT: &str = "--timeout=";

/// Argument of the native form for the database that is waited for.
pub const TARGET: &str = "--target=";

/// Whether a container is one that wavegate adds, told by all that it runs and never by its name.
///
/// Its image is not compared: another replica, older or newer, may have added it, and a mirror may have renamed it.
/// So whoever writes this command over an image of their own passes for wavegate. That gains them nothing: an own
/// container is left out of the stamped hash of a template which they wrote themselves. Arguments that wavegate does
/// not write make it the author's.
pub fn is_own(container: &Container<'_>) -> bool {
    let command = || container.command.iter().map(AsRef::as_ref);
    let args: Vec<&str> = container.args.iter().map(AsRef::as_ref).collect();
    let is_busybox = command().eq(BUSYBOX) && args.is_empty();
    let is_native = || command().eq(NATIVE) && are_own(&args);
    // A native sidecar is not waited for.
    container.restart_policy.is_none() && (is_busybox || is_native())
}

fn are_own(args: &[&str]) -> bool {
    let (timeout, target) = match args {
        [timeout] => (timeout, None),
        [timeout, target] => (timeout, Some(target)),
        _ => return false,
    };
    let seconds = timeout.strip_prefix(TIMEOUT).and_then(|value| value.strip_suffix('s'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    seconds.is_some_and(is_number) && target.is_none_or(|target| target.starts_with(TARGET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_wavegate_writes_is_its_own() {
        let native = |rest: &str| {
            format!(r#"{{"name":"x","image":"evil","command":["/wavegate","wait-for-db"]{rest}}}"#)
        };
        let cases = [
            (native(r#","args":["--timeout=60s"]"#), true),
            (native(r#","args":["--timeout=60s","--target=db:5432"]"#), true),
            (native(r#","args":["--timeout=60s"],"restartPolicy":"Always""#), false),
            (native(""), false),
            (native(r#","args":["--help"]"#), false),
            (native(r#","args":["--timeout=60s","--help"]"#), false),
            (native(r#","args":["--timeout=s"]"#), false),
            (native(r#","args":["--timeout=1h"]"#), false),
            (native(r#","args":["--timeout","60s"]"#), false),
            (native(r#","args":["--timeout=60s","--target=a:1","--target=b:2"]"#), false),
            (
                r#"{"command":["wavegate","wait-for-db"],"args":["--timeout=60s"]}"#.to_owned(),
                false,
            ),
            (r#"{"name":"wait-for-db","command":["sh","-c","true"]}"#.to_owned(), false),
        ];
        for (json, want) in cases {
            let container: Container<'_> = serde_json::from_str(&json).unwrap();
            assert_eq!(is_own(&container), want, "{json}");
        }
    }
}
