//! The subcommands: what is done with results that are there, and texts about the command itself. Not here: runs.

use super::Cli;
use super::results::Exports;
use crate::export::{self, Destination, Of};
use crate::merge::{self, Align};
use crate::stored::{self, Stored};
use crate::{Error, compare, selftest, summary};
use clap::{Args, CommandFactory as _, Subcommand, ValueEnum};
use clap_complete::Shell;
use record::{Exit, VerdictState};
use std::path::PathBuf;
use std::time::Duration;

/// Shortest run of a self-test: a period of its stalls.
const SHORTEST: Duration = Duration::from_millis(500);

/// What to do instead of a run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One result of several of one load, nothing averaged
    ///
    /// Histograms are added, counters summed.
    #[command(mut_args(|arg| arg.hide_short_help(false)))]
    Merge(Merge),
    /// Stored results again, or one in another format
    #[command(mut_args(|arg| arg.hide_short_help(false)))]
    Report(Report),
    /// Two results, or sets of repeats, side by side, with intervals
    Compare(Compare),
    /// The generator against truths that can be computed
    ///
    /// They are stalls, and the waits of a queue.
    SelfTest(SelfTest),
    /// Completions for a shell, on standard output
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: Shell,
    },
    /// The manual page (roff), on standard output
    Man,
    /// The JSON schema of a result, on standard output
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct SelfTest {
    /// Length of each of its three runs
    #[arg(short, long, default_value = "10s", value_parser = crate::units::parse_time, value_name = "TIME")]
    duration: Duration,
    /// What was expected and got, as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<Destination>,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Results of `loadgen --json`, two or more
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// clock: windows of one time; start: the same, where clocks differ; chain: repeats, one behind the other
    #[arg(long, value_enum, default_value = "clock", hide_possible_values = true)]
    align: Align,
    #[command(flatten)]
    exports: Exports,
    /// No summary
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Results of `loadgen --json`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    exports: Exports,
    /// No summary
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The two results: before and after
    #[arg(num_args = 2, value_name = "FILE", conflicts_with_all = ["base", "head"], required_unless_present = "base")]
    files: Vec<PathBuf>,
    /// Repeats of the one side, two or more
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "head")]
    base: Vec<PathBuf>,
    /// Repeats of the other side, two or more
    #[arg(long, num_args = 1.., value_name = "FILE", requires = "base")]
    head: Vec<PathBuf>,
    /// Changes within this are none
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = crate::units::parse_share)]
    margin: f64,
    /// Exit 1 on a row of this kind (,-separated): worse, better
    #[arg(long, value_name = "WHAT", value_delimiter = ',', hide_possible_values = true)]
    fail_on: Vec<FailOn>,
    /// The comparison as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<Destination>,
    /// No table
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Worse,
    Better,
}

/// Does it.
pub(crate) fn execute(command: &Command) -> Result<Exit, Error> {
    match command {
        Command::Merge(args) => run_merge(args),
        Command::Report(args) => run_report(args),
        Command::Compare(args) => run_compare(args),
        Command::SelfTest(args) => run_self_test(args),
        Command::Completions { shell } => {
            let mut bytes = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "loadgen", &mut bytes);
            put(&bytes)
        }
        Command::Man => {
            let mut bytes = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut bytes)
                .map_err(|source| Error::Output { path: "-".into(), source })?;
            put(&bytes)
        }
        Command::Schema => put(&export::json(&record::load::schema())?),
    }
}

fn put(bytes: &[u8]) -> Result<Exit, Error> {
    Destination::stdout().write(bytes).map(|()| Exit::Fine)
}

fn run_self_test(args: &SelfTest) -> Result<Exit, Error> {
    if args.duration < SHORTEST {
        return Err(Error::Usage("a self-test of less than 500 ms sees no stall: give it more".to_owned()));
    }
    if let Some(file) = &args.json {
        file.check()?;
    }
    let outcome = selftest::execute(args.duration, &*super::stop_on_signals()?)?;
    if let Some(file) = &args.json {
        file.write(&export::json(&outcome)?)?;
    }
    say_beside_json(args.json.as_ref(), &selftest::render(&outcome));
    Ok(outcome.exit())
}

/// The text on standard output, or on standard error where the JSON has taken that.
fn say_beside_json(json: Option<&Destination>, text: &str) {
    let beside = json.is_some_and(Destination::is_stdout);
    let exports = Exports { json: json.cloned().filter(|_| beside), ..Exports::default() };
    exports.say(text);
}

fn read(files: &[PathBuf]) -> Result<Vec<Stored>, Error> {
    files.iter().map(|file| stored::read(file)).collect()
}

fn run_merge(args: &Merge) -> Result<Exit, Error> {
    args.exports.check()?;
    let finished = merge::merge(&read(&args.files)?, args.align)?;
    args.exports.write(&finished)?;
    if !args.quiet {
        args.exports.say(&summary::render(&finished.load));
    }
    Ok(validity(finished.load.verdict.state))
}

fn run_report(args: &Report) -> Result<Exit, Error> {
    args.exports.check()?;
    let results = read(&args.files)?;
    if args.exports.any() {
        let [result] = &results[..] else {
            return Err(Error::Usage("one file at a time can be written in another format".to_owned()));
        };
        let by_interval = args.exports.of == Of::Latency;
        if args.exports.hlog.is_some() && by_interval && result.finished.latencies.is_empty() {
            return Err(result.refuse("it has no histograms of its intervals: an older loadgen wrote it"));
        }
        args.exports.write(&result.finished)?;
    }
    if !args.quiet {
        for result in &results {
            let name = match results.len() {
                1 => String::new(),
                _ => format!("== {} ==\n", result.path.display()),
            };
            args.exports.say(&format!("{name}{}", summary::render(result.load())));
        }
    }
    Ok(validity(results.iter().map(|r| r.load().verdict.state).max().unwrap_or(VerdictState::Valid)))
}

/// A stored run that is invalid is as unfit as a fresh one.
fn validity(state: VerdictState) -> Exit {
    if state == VerdictState::Invalid { Exit::Unfit } else { Exit::Fine }
}

fn run_compare(args: &Compare) -> Result<Exit, Error> {
    let (base, head) = match &args.files[..] {
        [base, head] => (read(std::slice::from_ref(base))?, read(std::slice::from_ref(head))?),
        _ => (read(&args.base)?, read(&args.head)?),
    };
    if let Some(file) = &args.json {
        file.check()?;
    }
    let comparison = compare::compare(&base, &head, args.margin)?;
    if let Some(file) = &args.json {
        file.write(&export::json(&comparison)?)?;
    }
    if !args.quiet {
        say_beside_json(args.json.as_ref(), &summary::render_comparison(&comparison));
    }
    if comparison.validity == VerdictState::Invalid {
        return Ok(super::complain("one of the runs is invalid: nothing follows from it", Exit::Unfit));
    }
    let met = |what: &FailOn| {
        let word = match what {
            FailOn::Worse => compare::Word::Worse,
            FailOn::Better => compare::Word::Better,
        };
        comparison.rows.iter().any(|row| row.word == word)
    };
    Ok(if args.fail_on.iter().any(met) { Exit::Found } else { Exit::Fine })
}
