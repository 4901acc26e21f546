//! The command line: parsed, checked, run, written down. Not here: what a run does.

mod commands;
mod habits;
mod results;

use crate::abort::{self, Plan, Rule};
use crate::config::{Config, Shard, Stop};
use crate::export::{self, Destination};
use crate::flags::{ArrivalFlags, ConnectionFlags, HttpFlags, MisfitFlags, RawFlags, Spoken};
use crate::fleet::{self, Gate};
use crate::search::Search;
use crate::targets::Target;
use crate::{Error, ports, run, units};
use clap::{ArgAction, Parser};
use commands::Command;
use habits::Habits;
use record::Exit;
pub(crate) use results::Results;
use service::{Kind, Work};
use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::signal::{Received, Signals};

/// Puts load on a socket server and says what became of every request.
#[derive(Debug, Parser)]
#[command(
    name = "loadgen",
    version,
    max_term_width = 110,
    after_help = AFTER_HELP,
    after_long_help = abort::LONG_HELP,
    args_conflicts_with_subcommands = true,
    allow_negative_numbers = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    // Both are declared below, where they can be left out of the short help.
    disable_help_flag = true,
    disable_version_flag = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// tcp|udp://HOST:PORT, http://HOST[:PORT][/PATH], unix|unixgram:/PATH
    ///
    /// A target: tcp://HOST:PORT, udp://HOST:PORT, http://HOST[:PORT][/PATH], unix:/PATH, unixgram:/PATH, unix:@NAME or unixgram:@NAME;
    /// with a weight before it, WEIGHT@URL. Several share the load by their weights, as in 3@tcp://A:7000 tcp://B:7000: in an open loop each arrival goes to one of them,
    /// drawn from the seed; in a closed loop the connections are shared out.
    #[arg(required = true, value_name = "URL")]
    targets: Vec<Target>,

    /// Connections at the same time, in total
    #[arg(short, long, default_value_t = 10, value_name = "N", help_heading = "Load")]
    connections: u32,
    /// Threads that share the connections
    #[arg(short, long, default_value_t = 1, value_name = "N", help_heading = "Load")]
    threads: u32,
    /// Length of the timed window [default: 10s]
    #[arg(short, long, short_alias = 'z', value_parser = units::parse_time, value_name = "TIME", help_heading = "Load", conflicts_with = "requests")]
    duration: Option<Duration>,
    /// Requests in total, instead of a duration
    #[arg(short = 'n', long, value_parser = units::parse_count, value_name = "N", help_heading = "Load")]
    requests: Option<u64>,
    #[command(flatten)]
    arrivals: ArrivalFlags,
    /// Processes that share the connections under this command, for more than one may open; -c, --idle, rates and -n are totals,
    /// --threads are those of each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "N", hide_short_help = true, help_heading = "Load", conflicts_with_all = ["shard", "log", "find_max", "sweep"])]
    processes: u32,
    /// Said by `--processes` to those that it starts
    #[arg(long, hide = true)]
    part: Option<Shard>,
    /// Traffic before the window, thrown away
    ///
    /// It is the same traffic as in the window.
    #[arg(long, aliases = ["warmup", "warm-up-time"], default_value = "0s", value_parser = units::parse_time, value_name = "TIME", help_heading = "Load")]
    warm_up: Duration,

    /// greeting, echo, sized, http, raw
    ///
    /// By default what the URL suggests.
    #[arg(long, value_name = "NAME", help_heading = "Requests")]
    service: Option<Spoken>,
    #[command(flatten)]
    raw: RawFlags,
    #[command(flatten)]
    http: HttpFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    /// Bytes of a message [default: 64]
    ///
    /// Of an echo message or of a reply, as 4k.
    #[arg(long, value_parser = units::parse_size, value_name = "BYTES", help_heading = "Requests")]
    size: Option<u64>,
    /// Work a sized or http request asks for, as sleep:1ms
    #[arg(long, hide_short_help = true, value_name = "WORK", help_heading = "Requests")]
    work: Option<Work>,
    /// Age of a late request
    ///
    /// It counts as late from this age on, and is not cut off.
    #[arg(long, default_value = "2s", value_parser = units::parse_time, value_name = "TIME", help_heading = "Requests")]
    timeout: Duration,
    /// Ends by plan: PHASE:SHARE[:KIND]
    ///
    /// A share of the requests, as after-request:5%:fin; repeatable.
    #[arg(long, value_name = "PLAN", help_heading = "Requests")]
    abort: Vec<Rule>,
    #[command(flatten)]
    misfits: MisfitFlags,
    /// Decides payloads, arrivals and aborts
    #[arg(long, hide_short_help = true, default_value_t = 1, value_name = "N", help_heading = "Requests")]
    seed: u64,

    #[command(flatten)]
    results: Results,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    habits: Habits,

    /// The flags that are used most (-h), all of them (--help)
    #[arg(short, long, global = true, action = ArgAction::Help, hide_short_help = true)]
    help: Option<bool>,
    /// The version
    #[arg(short = 'V', long, action = ArgAction::Version, hide_short_help = true)]
    version: Option<bool>,
}

/// Under the short help, which fits a terminal of 80 columns and 50 lines; the long one has its own.
const AFTER_HELP: &str = "Abort phases: connect, mid-request, after-request, mid-response, idle.
Exit: 0 fine, 1 --fail-on met, 2 wrong use, 3 unreachable or invalid, 4 broken.
Every rate is a total. All flags: loadgen --help";

/// The command `loadgen`, from its arguments (the first one is the program's name) to its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let args = match Cli::try_parse_from(&args) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            let hint = habits::hint(&args).map_or(String::new(), |hint| format!(" ({hint})"));
            return complain(&format!("{}{hint}", one_line(&error.render().to_string())), Exit::Usage);
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

/// Why the command would refuse these arguments (the first one is the program's name), in one line; what the machine allows is not
/// looked at.
#[must_use]
pub fn refusal(args: impl IntoIterator<Item = OsString>) -> Option<String> {
    let args = match Cli::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return Some(one_line(&error.render().to_string())),
    };
    configure(&args).and_then(|config| config.check_values()).err().map(|error| error.to_string())
}

fn execute(args: &Cli) -> Result<Exit, Error> {
    if let Some(command) = &args.command {
        return commands::execute(command);
    }
    let config = configure(args)?;
    if let Some(part) = args.part {
        return execute_part(args, &fleet::part_of(config, part));
    }
    args.results.check()?;
    check(&config, args.results.quiet)?;
    let stop = stop_on_signals()?;
    if args.search.is_wanted() {
        return args.search.execute(&config, &args.results, &stop);
    }
    if config.processes > 1 {
        return args.results.conclude(fleet::measure(&config, &stop)?);
    }
    let mut watch = args.results.watch();
    let finished = run::measure(&config, &stop, &mut watch)?;
    args.results.conclude(finished)
}

/// Finds before the run what cannot be run, and says what may go wrong.
fn check(config: &Config, quiet: bool) -> Result<(), Error> {
    match config.processes {
        1 => config.check()?,
        _ => fleet::check(config)?,
    }
    if let Some(warning) = ports::forecast(config).and_then(|ports| ports.warning)
        && !quiet
    {
        say_beside(&format!("loadgen: warning: {warning}"));
    }
    Ok(())
}

/// Makes one part of a run of several processes; the result goes to the one that started this.
fn execute_part(args: &Cli, config: &Config) -> Result<Exit, Error> {
    let stop = stop_on_signals()?;
    let mut watch = args.results.watch_server();
    watch.pid = watch.pid.filter(|_| config.shard.index == 0);
    watch.gate = Some(Gate);
    let finished = run::measure(config, &stop, &mut watch)?;
    Destination::stdout().write(&export::json(&finished.load)?)?;
    Ok(Exit::Fine)
}

fn configure(args: &Cli) -> Result<Config, Error> {
    let Some(first) = args.targets.first() else {
        return Err(Error::Usage("name a target, as in tcp://127.0.0.1:7000".to_owned()));
    };
    let mut config = Config::new(first.url.clone());
    if args.targets.len() > 1 {
        config.targets.clone_from(&args.targets);
    }
    config.connections = args.connections;
    config.threads = args.threads;
    config.processes = args.processes;
    config.stop = match (args.requests, args.duration) {
        (Some(requests), _) => Stop::Requests(requests),
        (None, Some(time)) => Stop::After(time),
        (None, None) => config.stop,
    };
    let timed = args.duration.is_some();
    args.arrivals.apply(timed, args.search.is_wanted(), &mut config)?;
    config.warm_up = args.warm_up;
    config.timeout = args.timeout;
    config.aborts = Plan::new([args.abort.clone(), args.habits.aborts()?].concat()).map_err(Error::Usage)?;
    args.misfits.apply(&mut config);
    config.ask.seed = args.seed;
    args.connection.apply(&mut config)?;
    config.requests_per_connection = config.requests_per_connection.or(args.habits.per_connection());
    configure_requests(args, &mut config)?;
    Ok(config)
}

fn configure_requests(args: &Cli, config: &mut Config) -> Result<(), Error> {
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
    if config.url.path.is_some() && (args.size.is_some() || args.work.is_some()) {
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

/// Blocks SIGINT, SIGTERM and SIGHUP in this thread and those that it makes; a thread of its own waits for them.
///
/// The first one ends the run early; a second SIGINT or SIGTERM ends the process. A terminal that is closed says so more than once,
/// so SIGHUP never does; one that was ignored at the start (nohup) stays so.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let signals = Signals::with_hang_up().map_err(Error::Setup)?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let watch = move || {
        let mut asked = false;
        loop {
            let waited = sys::socket::wait_readable(&[std::os::fd::AsFd::as_fd(&signals)], None);
            match signals.next() {
                Ok(Some(Received::HangUp)) => seen.store(true, Relaxed),
                Ok(Some(_)) if asked => {
                    crate::live::restore();
                    sys::process::exit_now(i32::from(Exit::Unfit.code()))
                }
                Ok(Some(_)) => {
                    asked = true;
                    seen.store(true, Relaxed);
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

/// A line on standard error.
pub(crate) fn say_beside(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn complain(text: &str, exit: Exit) -> Exit {
    // One line, whatever was typed: a line break or an escape sequence within a value is shown as it would be written.
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect();
    let _ = writeln!(std::io::stderr(), "loadgen: {shown}");
    exit
}

/// What clap has to say, without its usage lines and its advice to pass a flag as a value, as one line.
fn one_line(text: &str) -> String {
    let lines =
        text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
    let words: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass")).collect();
    words.join(" ").replace(" tip: ", "; ").trim_start_matches("error: ").to_owned()
}
