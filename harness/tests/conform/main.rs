//! The conformance suite tested: each case against a server broken in its way, sound servers, our models, the command line.
//! Not here: the cases.
//!
//! A target with its own `main`, because it is also the mutants: `--mutant NAME --listen URL` makes it one, `guard …` and
//! `conform …` are the harness's own commands, so that nothing but this file has to be built. Else it runs the tests, as libtest does:
//! a word selects, `--list` lists.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "clippy.toml allows these in tests, and does not know a target with its own main for one"
)]

mod cli;
mod faults;
mod matrix;
mod models;
mod mutants;
mod outputs;
mod page;
mod report;
mod trial;

use clap::Parser as _;
use std::process::ExitCode;

#[derive(clap::Parser)]
enum Commands {
    Guard(harness::spawn::guard::Args),
    Conform(Box<harness::conform::Args>),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--mutant") => match mutants::serve(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("mutant: {error}");
                ExitCode::from(3)
            }
        },
        Some("guard" | "conform") => match Commands::parse() {
            Commands::Guard(args) => harness::spawn::guard::command(&args).into(),
            Commands::Conform(args) => harness::conform::command(&args).into(),
        },
        _ => report::run(
            &args,
            matrix::tests()
                .into_iter()
                .chain(models::tests())
                .chain(cli::tests())
                .chain(outputs::tests())
                .chain(faults::tests())
                .chain(page::tests())
                .chain(trial::tests())
                .collect(),
        ),
    }
}
