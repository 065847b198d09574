mod lookalikes;
mod properties;
mod runners;
mod statuses;
mod waiters;

use super::{CommandReading, read_command};

/// A command line as tables write it: elements between ` :: `, or words.
fn elements(line: &str) -> Vec<&str> {
    if line.contains(" :: ") {
        line.split(" :: ").collect()
    } else {
        line.split_whitespace().collect()
    }
}

fn read(line: &str) -> CommandReading {
    read_command(&elements(line), &[], None)
}

/// What a script does that `sh -c` runs.
fn script(text: &str) -> CommandReading {
    read_command(&["/bin/sh", "-c"], &[text], None)
}
