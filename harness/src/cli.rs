//! The command line of `harness`. Not here: what the commands do.

use crate::interrupt::Interrupt;
use crate::plan::Time;
use crate::run::{self, Request};
use crate::{conform, spawn};
use clap::{Parser, Subcommand};
use record::Exit;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compares server models, checks servers, makes load.
#[derive(Debug, Parser)]
#[command(name = "harness", version, about, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare server models and write the report
    Run(RunArgs),
    /// Check how a server behaves: SIGPIPE, resets, half-close, leaks …
    Conform(Box<conform::cli::Args>),
    /// Make the report of a run's folder again
    Report {
        /// The folder with run.json and records.jsonl
        folder: PathBuf,
        /// Write one plot with a background of its own too, for a page of yours
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// The workload of that plot, by the last part of its id
        #[arg(long, value_name = "NAME", requires = "svg")]
        workload: Option<String>,
    },
    /// List the models: families, axes, origins, and why something is not served
    List {
        /// Only this one, in full
        model: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run one server model (the same command as `server`; see `harness serve --help`)
    Serve,
    /// Load a server (the same command as `loadgen`; see `harness load --help`)
    Load,
    /// Run a command and end all that it started when we are gone
    #[command(hide = true)]
    Guard(spawn::guard::Args),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Plan in TOML, or the name of one that comes with the program: quick, families, users [default: quick, under three minutes on two
    /// processors]
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Models, separated by commas [default: those of the plan]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    models: Vec<String>,
    /// Services, separated by commas [default: those of the plan]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    services: Vec<String>,
    /// Folder for the results [default: target/reports/TIME, with the link `latest`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Length of each timed window, as in 1s or 500ms [default: the plan's]
    #[arg(long, value_name = "TIME")]
    duration: Option<Time>,
    /// Trials of each scenario [default: the plan's]
    #[arg(long, value_name = "N")]
    trials: Option<u32>,
    /// Seed of everything random [default: the clock's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Measure without checking conformance first
    #[arg(long)]
    skip_conformance: bool,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let rest = |name: &'static str| std::iter::once(OsString::from(name)).chain(args[2..].iter().cloned());
    // These come before anything that could make a thread: a server that forks must have none.
    match args.get(1).and_then(|word| word.to_str()) {
        Some("serve") => return servers::main(rest("harness serve")),
        Some("load") => return loadgen::main(rest("harness load")).into(),
        _ => {}
    }
    match Args::try_parse_from(&args) {
        Ok(args) => dispatch(args.command).into(),
        Err(error) => {
            // Help goes to stdout, a complaint to stderr; either may be closed.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage.into() } else { Exit::Fine.into() }
        }
    }
}

fn dispatch(command: Command) -> Exit {
    match command {
        Command::Run(args) => run_command(args),
        Command::Conform(args) => conform::cli::command(&args),
        Command::Report { folder, svg, workload } => report(&folder, svg.as_deref(), workload.as_deref()),
        Command::List { model, json } => list(model.as_deref(), json),
        Command::Guard(args) => spawn::guard::command(&args),
        Command::Serve | Command::Load => complain("write the command before any option", Exit::Usage),
    }
}

fn run_command(args: RunArgs) -> Exit {
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return complain(&format!("cannot listen for Ctrl-C: {error}"), Exit::Broken),
    };
    let request = Request {
        plan: args.plan,
        models: args.models,
        services: args.services,
        out: args.out,
        duration: args.duration,
        trials: args.trials,
        seed: args.seed,
        skip_conformance: args.skip_conformance,
    };
    match run::run(&request, &interrupt) {
        Ok(finished) => {
            show(&finished.report);
            let page = finished.folder.join("index.html");
            let _ = writeln!(io::stdout(), "report: {}", page.display());
            finished.exit
        }
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}

fn show(report: &reports::Report) {
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let width = sys::terminal::width().unwrap_or(120);
    // A closed pipe is not an error: the report is on disk.
    let _ = writeln!(io::stdout(), "{}", report.table(width, color));
}

fn report(folder: &Path, svg: Option<&Path>, workload: Option<&str>) -> Exit {
    let make = || -> reports::Result<reports::Report> {
        let report = reports::Report::load(folder)?;
        report.write(folder)?;
        if let Some(path) = svg {
            report.write_svg(path, workload)?;
        }
        Ok(report)
    };
    match make() {
        Ok(report) => {
            show(&report);
            let _ = writeln!(io::stdout(), "report: {}", folder.join("index.html").display());
            Exit::Fine
        }
        Err(error) => complain(&error.to_string(), Exit::Usage),
    }
}

fn list(model: Option<&str>, json: bool) -> Exit {
    match if json { crate::list::json(model) } else { crate::list::text(model) } {
        Ok(text) => {
            let _ = writeln!(io::stdout(), "{text}");
            Exit::Fine
        }
        Err(error) => complain(&error, Exit::Usage),
    }
}

fn complain(text: &str, exit: Exit) -> Exit {
    let _ = writeln!(io::stderr(), "harness: {text}");
    exit
}
