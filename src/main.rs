//! The `wavegate` program.

fn main() {}
