//! The command line: parsed, checked, run, written down. Not here: what a run does.

use crate::abort::{Plan, Rule};
use crate::config::{Config, Pacing, Stop};
use crate::flags::{ConnectionFlags, HttpFlags, RawFlags, Spoken};
use crate::output::{self, Destination};
use crate::schedule::Arrivals;
use crate::{Error, run, summary, units};
use clap::{Parser, ValueEnum};
use record::{Exit, Load, VerdictState};
use service::{Kind, Work};
use std::ffi::OsString;
use std::io::Write as _;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::Url;

/// Puts load on a socket server and says what became of every request.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110, after_help = AFTER_HELP)]
struct Args {
    /// Target: tcp://HOST:PORT, http://HOST[:PORT][/PATH], unix:/PATH or unix:@NAME
    url: Url,

    /// Connections at the same time, in total
    #[arg(short, long, default_value_t = 10, value_name = "N", help_heading = "Load")]
    connections: u32,
    /// Threads that share the connections
    #[arg(short, long, default_value_t = 1, value_name = "N", help_heading = "Load")]
    threads: u32,
    /// Length of the timed window [default: 10s]
    #[arg(short, long, value_parser = units::parse_time, value_name = "TIME", help_heading = "Load", conflicts_with = "requests")]
    duration: Option<Duration>,
    /// Requests in total, instead of a duration
    #[arg(short = 'n', long, value_parser = units::parse_count, value_name = "N", help_heading = "Load")]
    requests: Option<u64>,
    /// Requests/s in total, over all connections and threads (10k, 1M); without it a closed loop
    #[arg(short = 'R', long, value_parser = units::parse_rate, value_name = "N", help_heading = "Load")]
    rate: Option<f64>,
    /// How the requests of --rate are spread
    #[arg(long, default_value = "constant", value_name = "HOW", help_heading = "Load", requires = "rate")]
    arrivals: ArrivalsName,
    /// The same traffic before the window, thrown away
    #[arg(long, default_value = "0s", value_parser = units::parse_time, value_name = "TIME", help_heading = "Load")]
    warm_up: Duration,

    /// greeting, echo, sized, http or raw [default: http for http://, else echo]
    #[arg(long, value_name = "NAME", help_heading = "Requests")]
    service: Option<Spoken>,
    #[command(flatten)]
    raw: RawFlags,
    #[command(flatten)]
    http: HttpFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    /// Bytes of an echo message, or of a sized or http reply (4k, 1MiB) [default: 64; http: GET PATH]
    #[arg(long, value_parser = units::parse_size, value_name = "BYTES", help_heading = "Requests")]
    size: Option<u64>,
    /// Handler work that each sized or http request asks for (spin:50us, sleep:1ms)
    #[arg(long, value_name = "WORK", help_heading = "Requests")]
    work: Option<Work>,
    /// Close a connection after N replies and make a new one
    #[arg(long, value_name = "N", help_heading = "Requests")]
    requests_per_connection: Option<NonZeroU64>,
    /// Age at which a request counts as late; nothing is cut off
    #[arg(long, default_value = "2s", value_parser = units::parse_time, value_name = "TIME", help_heading = "Requests")]
    timeout: Duration,
    /// Close connections abruptly, PHASE:FRACTION[:fin|rst] as in after-request:5%:fin; repeatable
    #[arg(long, value_name = "PLAN", help_heading = "Requests")]
    abort: Vec<Rule>,
    /// Decides payloads, random arrivals and aborts
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Requests")]
    seed: u64,

    /// The whole result; - for standard output
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    json: Option<Destination>,
    /// One line for each interval
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    csv: Option<Destination>,
    /// HdrHistogram log of the intervals
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    hlog: Option<Destination>,
    /// Exit 1 on these: errors, late, unanswered, collateral, suspect (,-separated)
    #[arg(
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = "Results"
    )]
    fail_on: Vec<FailOn>,
    /// No summary
    #[arg(short, long, help_heading = "Results")]
    quiet: bool,
}

const AFTER_HELP: &str =
    "Every rate is a total. Abort phases: connect, mid-request, after-request, mid-response, idle.
Exit: 0 fine, 1 --fail-on met, 2 wrong use, 3 target unreachable or run invalid, 4 the tool broke.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ArrivalsName {
    Constant,
    Poisson,
}

/// What makes a run that was made well a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Any error, on any connection.
    Errors,
    /// A reply after the timeout.
    Late,
    /// A request without a reply at the end.
    Unanswered,
    /// An error on a connection that was not to be aborted.
    Collateral,
    /// A verdict that is not `valid`.
    Suspect,
    /// A verdict of `invalid`, which is exit 3 in any case; accepted so that it can be said.
    Invalid,
}

/// The command `loadgen`, from its arguments (the first one is the program's name) to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            return complain(&one_line(&error.render().to_string()), Exit::Usage);
        }
        Err(help) => {
            let _ = std::io::stdout().write_all(help.render().to_string().as_bytes());
            return Exit::Fine;
        }
    };
    match execute(&args) {
        Ok(exit) => exit,
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}

fn execute(args: &Args) -> Result<Exit, Error> {
    let config = configure(args)?;
    let files = [&args.json, &args.csv, &args.hlog];
    for file in files.into_iter().flatten() {
        file.check()?;
    }
    if files.into_iter().flatten().filter(|file| file.is_stdout()).count() > 1 {
        return Err(Error::Usage("only one result can go to standard output".to_owned()));
    }
    let stop = stop_on_signals()?;
    let finished = run::measure(&config, &stop)?;
    if let Some(file) = &args.json {
        file.write(&output::json(&finished.load)?)?;
    }
    if let Some(file) = &args.csv {
        file.write(&output::csv(&finished.load)?)?;
    }
    if let Some(file) = &args.hlog {
        file.write(&output::hlog(&finished)?)?;
    }
    if !args.quiet {
        let text = summary::render(&finished.load);
        // Nobody reads it any more where that fails.
        let _ = if files.into_iter().flatten().any(Destination::is_stdout) {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            std::io::stdout().write_all(text.as_bytes())
        };
    }
    Ok(conclude(&args.fail_on, &finished.load))
}

/// What the run means for the exit code.
fn conclude(fail_on: &[FailOn], load: &Load) -> Exit {
    if load.verdict.state == VerdictState::Invalid {
        return complain(&load.verdict.reasons.join("; "), Exit::Unfit);
    }
    let met = |condition: &FailOn| match condition {
        FailOn::Errors => load.requests.failed > 0 || !load.errors.is_empty(),
        FailOn::Late => load.requests.late > 0,
        FailOn::Unanswered => load.requests.unanswered > 0,
        FailOn::Collateral => load.collateral_errors > 0,
        FailOn::Suspect => load.verdict.state != VerdictState::Valid,
        FailOn::Invalid => false,
    };
    if fail_on.iter().any(met) { Exit::Found } else { Exit::Fine }
}

fn configure(args: &Args) -> Result<Config, Error> {
    let mut config = Config::new(args.url.clone());
    config.connections = args.connections;
    config.threads = args.threads;
    config.stop = match (args.requests, args.duration) {
        (Some(requests), _) => Stop::Requests(requests),
        (None, Some(time)) => Stop::After(time),
        (None, None) => config.stop,
    };
    if let Some(rate_per_s) = args.rate {
        let arrivals = match args.arrivals {
            ArrivalsName::Constant => Arrivals::Constant,
            ArrivalsName::Poisson => Arrivals::Poisson,
        };
        config.pacing = Pacing::Open { rate_per_s, arrivals };
    }
    config.warm_up = args.warm_up;
    config.timeout = args.timeout;
    config.requests_per_connection = args.requests_per_connection;
    config.aborts = Plan::new(args.abort.clone()).map_err(Error::Usage)?;
    config.ask.seed = args.seed;
    args.connection.apply(&mut config)?;
    configure_requests(args, &mut config)?;
    Ok(config)
}

fn configure_requests(args: &Args, config: &mut Config) -> Result<(), Error> {
    let ask = &mut config.ask;
    match args.service {
        Some(Spoken::Raw) => return args.raw.apply(config),
        Some(Spoken::Ours(kind)) => ask.kind = kind,
        None if args.raw.is_given() => return args.raw.apply(config),
        None => {}
    }
    if args.raw.is_given() {
        return Err(Error::Usage("--send, --expect and --banner belong to --service raw".to_owned()));
    }
    ask.work = args.work;
    if ask.kind == Kind::Greeting && args.size.is_some() {
        return Err(Error::Usage("a greeting has the size it has: leave --size out".to_owned()));
    }
    if args.url.path.is_some() && (args.size.is_some() || args.work.is_some()) {
        return Err(Error::Usage(
            "the URL's path says what is asked for: leave the path, or --size and --work, out".to_owned(),
        ));
    }
    if args.size.is_some() && args.work.is_some() && ask.kind == Kind::Http {
        return Err(Error::Usage("an http request asks for --size or for --work, not for both".to_owned()));
    }
    if args.size.is_some() || args.work.is_some() {
        ask.path = None;
    } else if ask.kind == Kind::Http {
        // Over a Unix socket, whose URL has no room for one.
        ask.path.get_or_insert_with(|| "/".to_owned());
    }
    ask.size = args.size.unwrap_or(ask.size);
    args.http.apply(config)
}

/// Blocks SIGINT and SIGTERM in this thread and those that it makes; a thread of its own waits for them.
///
/// The first one ends the run early, a second one ends the process.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let signals = sys::signal::Signals::new(false).map_err(Error::Setup)?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let watch = move || {
        loop {
            let waited = sys::socket::wait_readable(&[std::os::fd::AsFd::as_fd(&signals)], None);
            match signals.next() {
                Ok(Some(_)) if seen.swap(true, Relaxed) => {
                    sys::process::exit_now(i32::from(Exit::Unfit.code()))
                }
                Ok(_) if waited.is_ok() => {}
                // Without the descriptor nobody can be told: the run goes on to its end.
                _ => return,
            }
        }
    };
    // Never joined: it waits for what may never come.
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).map_err(Error::Setup)?;
    Ok(stop)
}

fn complain(text: &str, exit: Exit) -> Exit {
    let _ = writeln!(std::io::stderr(), "loadgen: {text}");
    exit
}

/// What clap has to say, without its usage lines, as one line.
fn one_line(text: &str) -> String {
    let lines =
        text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
    let words: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}
