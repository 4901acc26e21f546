//! The command line of `ci`, and the one place that prints. Not here: comparing.

use crate::{Comparison, Policy, compare, markdown, share, text};
use clap::{Parser, Subcommand};
use record::Exit;
use reports::Report;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Gate changes to servers on what was measured of them.
#[derive(Debug, Parser)]
#[command(name = "ci", version, after_help = EXITS)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit codes: 0 fine; 1 slower, a scenario vanished, or a new fault; 2 wrong use, or nothing matched; \
3 not fit to judge (no valid trials, or too few to show anything); 4 the tool broke";

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare two report folders: those with run.json and records.jsonl.
    Compare(Compare),
}

#[derive(Debug, clap::Args)]
struct Compare {
    /// Report folder of the base.
    base: PathBuf,
    /// Report folder of the head.
    head: PathBuf,
    /// Smallest change that counts, as `5%` or `0.05`.
    #[arg(long, default_value = "5%", value_parser = share)]
    threshold: f64,
    /// Chance of any false alarm over all gates together.
    #[arg(long, default_value = "0.01", value_parser = share)]
    alpha: f64,
    /// Write the comparison as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as markdown for a pull request to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Runs the command; errors are said on stderr in one line.
#[must_use]
pub fn run(cli: &Cli) -> Exit {
    let Command::Compare(args) = &cli.command;
    match read(args).and_then(|(base, head)| show(args, &base, &head)) {
        Ok(exit) => exit,
        Err((exit, message)) => {
            // Nothing is left to be done where even this cannot be said.
            let _ = writeln!(std::io::stderr(), "ci: {message}");
            exit
        }
    }
}

/// A way to end early, and why.
type Stop = (Exit, String);

fn read(args: &Compare) -> Result<(Report, Report), Stop> {
    let load = |path: &Path| Report::load(path).map_err(|e| (Exit::Usage, e.to_string()));
    Ok((load(&args.base)?, load(&args.head)?))
}

fn show(args: &Compare, base: &Report, head: &Report) -> Result<Exit, Stop> {
    let comparison = compare(base, head, Policy { threshold: args.threshold, alpha: args.alpha });
    if let Some(path) = &args.json {
        let json =
            serde_json::to_vec_pretty(&Json::of(&comparison)).map_err(|e| (Exit::Broken, e.to_string()))?;
        write(path, &json)?;
    }
    if let Some(path) = &args.markdown {
        write(path, markdown(&comparison).as_bytes())?;
    }
    match std::io::stdout().write_all(text(&comparison).as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err((Exit::Broken, format!("write to stdout: {e}")));
        }
        _ => {}
    }
    let exit = comparison.exit();
    let why = match exit {
        Exit::Usage => "nothing matched: base and head have no scenario in common",
        Exit::Unfit => "not fit to judge: see `unfit` and `too few trials`",
        _ => return Ok(exit),
    };
    Err((exit, why.to_owned()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    record::store::write(path, bytes).map_err(|e| (Exit::Broken, format!("write `{}`: {e}", path.display())))
}

/// The JSON form: the comparison, under a version, with the exit code that goes with it.
#[derive(serde::Serialize)]
struct Json<'a> {
    schema: u32,
    exit_code: u8,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

impl<'a> Json<'a> {
    fn of(comparison: &'a Comparison) -> Self {
        Self { schema: record::SCHEMA, exit_code: comparison.exit().code(), comparison }
    }
}
