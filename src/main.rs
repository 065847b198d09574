//! The `wavegate` program.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    wavegate::cli::Cli::parse().run()
}
