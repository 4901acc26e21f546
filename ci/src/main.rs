//! The command `ci`. Not here: anything but handing over to the library.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    ci::cli::run(&ci::cli::Cli::parse()).into()
}
