//! The command line of `server` (and of `harness serve`, which is the same command). Not here: what the options do.

use crate::counters::Counters;
use crate::drive::idle::Idle;
use crate::drive::limit::Limit;
use crate::drive::seats::HandOff;
use crate::endpoint::{Endpoint, Handler, Options};
use crate::registry::{self, Entry};
use crate::{MODELS, Support};
use clap::Parser;
use service::{Kind, Work};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use sys::{Family, Stack, Url};

/// Wrong use (the number is that of `record::Exit`, which this crate may not import).
const USAGE: u8 = 2;
/// The server cannot get ready here.
const UNFIT: u8 = 3;
/// The server broke.
const BROKEN: u8 = 4;

/// Runs one server model until SIGTERM or SIGINT.
#[derive(Debug, Parser)]
#[command(name = "server", version, about, after_help = models_help())]
struct Args {
    /// The concurrency model
    model: String,
    /// Where to listen: tcp:// or udp://HOST:PORT (port 0 lets the kernel choose), unix: or unixgram:/PATH or @NAME
    #[arg(long, value_name = "URL", default_value = "tcp://127.0.0.1:0")]
    listen: String,
    /// On an IPv6 address, serve IPv6 alone [default: on [::], IPv4 as well, whatever net.ipv6.bindv6only says]
    #[arg(long)]
    v6_only: bool,
    /// What is said: greeting, echo, sized, http
    #[arg(long, default_value = "echo")]
    service: Kind,
    /// Handler work before each reply: spin:TIME or sleep:TIME
    #[arg(long, value_name = "WORK")]
    work: Option<Work>,
    /// Threads or processes, for models that have a fixed number of them [default: 16 in blocking pools, else the processors
    /// allowed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Connections that the kernel may queue
    #[arg(long, value_name = "N", default_value_t = 4096)]
    backlog: u32,
    /// Most connections open at a time, over the whole server; the others wait in the kernel's queue [default: no limit but the
    /// system's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// Close a connection on which no byte has moved for TIME (such as 500ms, 30s, 2m) while it was the client's turn; inetd over
    /// datagrams: how long a program waits for more [default: never; there 60s]
    #[arg(long, value_name = "TIME", value_parser = silence)]
    idle_timeout: Option<Duration>,
    /// Most child processes at a time: one a connection, or the workers of a pool
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_children: u32,
    /// Which worker gets a connection, for models whose acceptor hands over [default: the model's own]
    #[arg(long, value_name = "POLICY", value_enum)]
    hand_off: Option<HandOff>,
    /// Count in FILE, which is mapped, what each worker does: connections, wake-ups, bytes, ends [default: nothing is counted]
    #[arg(long, value_name = "FILE")]
    counters: Option<PathBuf>,
    /// Receive buffers of 16 KiB that all connections share, for models that have a ring of them; a power of two
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = buffers)]
    buffers: u16,
    /// Seconds that what is in flight may take after SIGTERM
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    grace: f64,
    /// The program that serves a connection as its standard input and output, with its arguments; the last option (inetd)
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true, conflicts_with = "one_connection")]
    exec: Vec<OsString>,
    /// This process is a handler that inetd has executed
    #[arg(long, hide = true)]
    one_connection: bool,
}

fn models_help() -> String {
    let unsupported = |entry: &Entry| {
        registry::unsupported(entry.model.name)
            .map_or_else(String::new, |reason| format!(" (unsupported here: {reason})"))
    };
    let lines = MODELS
        .iter()
        .map(|entry| format!("  {:<17} {}{}", entry.model.name, entry.model.summary, unsupported(entry)));
    format!("Models:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// What went wrong: one line, and the exit code.
struct Failure(u8, String);

/// Runs the command line `args`, the first of which is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help goes to stdout, a complaint to stderr; either may be closed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match command(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, text)) => {
            let _ = writeln!(io::stderr(), "server: {text}");
            ExitCode::from(code)
        }
    }
}

fn command(args: Args) -> Result<(), Failure> {
    let (entry, url) = check(&args)?;
    let workers = workers(&args, entry);
    let most = args.max_connections.map(|most| most as usize);
    let children = args.max_children as usize;
    let options = Options {
        workers,
        limit: most.map_or(Limit::NONE, Limit::of),
        idle: args.idle_timeout.map_or(Idle::NEVER, Idle::after),
        backlog: args.backlog,
        stack: if args.v6_only { Stack::V6Only } else { Stack::Dual },
        grace: Duration::from_secs_f64(args.grace),
        max_children: most.map_or(children, |most| most.min(children)),
        hand_off: args.hand_off,
        counters: Counters::OFF,
        buffers: args.buffers,
    };
    (entry.probe)().map_err(|reason| Failure(UNFIT, format!("Unsupported: {reason}")))?;
    sys::signal::sigpipe(sys::signal::OnSigpipe::Ignore)
        .map_err(|e| Failure(BROKEN, format!("SIGPIPE: {e}")))?;
    let options = Options { counters: counters(&args, workers)?, ..options };
    let mut endpoint = if args.one_connection {
        Endpoint::inherited(url, options).map_err(|e| Failure(BROKEN, format!("standard input: {e}")))?
    } else {
        Endpoint::bind(&url, options, entry.listeners).map_err(|e| Failure(UNFIT, cannot_listen(&url, &e)))?
    };
    if !args.exec.is_empty() {
        endpoint.handler = Handler::Program(args.exec);
    }
    entry
        .run_at(args.service, args.work, endpoint)
        .map_err(|e| Failure(BROKEN, format!("{} stopped: {e}", args.model)))
}

/// A pool makes no more of them than there may be connections, one of which each would serve, or children, which some are.
fn workers(args: &Args, entry: &Entry) -> usize {
    let model = entry.model;
    let mut workers = u32::from(args.workers.or(model.capacity.workers()).unwrap_or_else(processors));
    if model.capacity.workers().is_some() {
        workers = args.max_connections.map_or(workers, |most| workers.min(most));
    }
    if model.axes.isolation.starts_with("process") {
        workers = workers.min(args.max_children);
    }
    workers as usize
}

fn counters(args: &Args, workers: usize) -> Result<Counters, Failure> {
    match &args.counters {
        None => Ok(Counters::OFF),
        Some(path) if args.one_connection => {
            // A connection is served although it cannot be counted.
            let _ = Counters::join(path);
            Ok(Counters::OFF)
        }
        Some(path) => Counters::make(path, workers).map_err(|error| {
            let (path, advice) = (
                path.display(),
                if error.kind() == io::ErrorKind::AlreadyExists {
                    ": it is no file of counters and was left as it was; choose another"
                } else {
                    ""
                },
            );
            Failure(UNFIT, format!("cannot count in `{path}`: {error}{advice}"))
        }),
    }
}

fn check(args: &Args) -> Result<(&'static Entry, Url), Failure> {
    let usage = |text: String| Failure(USAGE, text);
    let entry = registry::model(&args.model).ok_or_else(|| {
        usage(format!("unknown model `{}`; the models are {}", args.model, registry::names()))
    })?;
    let url: Url = args.listen.parse().map_err(|e: sys::BadUrl| usage(e.to_string()))?;
    if url.http && url.path.as_deref().is_some_and(|path| path != "/") {
        return Err(usage(format!(
            "bad address `{}`: a server listens on no path; leave `/…` out",
            args.listen
        )));
    }
    if let Support::No(reason) = (entry.model.supports)(url.family) {
        return Err(usage(format!("{} does not serve {}: {reason}", args.model, url.family)));
    }
    if matches!(url.family, Family::Udp | Family::Unixgram) && !args.service.in_datagrams() {
        return Err(usage(format!(
            "{} needs a stream: {} carries greeting, echo and sized",
            args.service, url.family
        )));
    }
    if args.v6_only && !url.ip().is_some_and(|ip| ip.is_ipv6()) {
        return Err(usage(format!(
            "{url} is no IPv6 address: leave --v6-only out, or listen at one as in [::1]:0"
        )));
    }
    check_limits(args, url.family).map_err(usage)?;
    if !(0.0..=3600.0).contains(&args.grace) {
        return Err(usage(format!("bad --grace {}: 0 to 3600 seconds", args.grace)));
    }
    if entry.model.name != "inetd" && (args.one_connection || !args.exec.is_empty()) {
        return Err(usage(format!("{} executes no program: --exec is for inetd", args.model)));
    }
    if let Some(program) = args.exec.first().filter(|program| !sys::spawn::can_be_found(program)) {
        return Err(usage(format!("cannot execute `{}`: there is no such program", program.display())));
    }
    Ok((entry, url))
}

/// Limits that mean something for every stream, and for nothing else.
fn check_limits(args: &Args, family: Family) -> Result<(), String> {
    let limits = [
        ("--max-connections", args.max_connections.is_some()),
        ("--idle-timeout", args.idle_timeout.is_some()),
    ];
    // There it is how long a program waits for more datagrams.
    let of_a_socket = |limit: &str| args.model == "inetd" && limit == "--idle-timeout";
    let given = limits.iter().find(|(limit, given)| *given && !of_a_socket(limit));
    if let (Family::Udp | Family::Unixgram, Some((limit, _))) = (family, given) {
        return Err(format!("{family} has no connections: {limit} is for tcp and unix"));
    }
    if args.idle_timeout.is_some() && !args.exec.is_empty() {
        let text = "--idle-timeout is not for --exec: what another program moves is not seen; leave it to the program";
        return Err(text.to_owned());
    }
    Ok(())
}

/// What the kernel takes: a power of two of at most 32,768 (io_uring_register_buf_ring(3)).
fn buffers(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|n: &u16| n.is_power_of_two());
    number.ok_or_else(|| "a power of two of at most 32768 is needed".to_owned())
}

/// From a millisecond to a day: the kernel's timeouts are no finer, and whoever wants more wants none.
fn silence(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let milliseconds = number.parse().ok().and_then(|n: u64| n.checked_mul(per_unit)).unwrap_or(0);
    if (1..=86_400_000).contains(&milliseconds) {
        Ok(Duration::from_millis(milliseconds))
    } else {
        Err("a time from 1ms to 24h is needed, such as 500ms, 30s, 2m".to_owned())
    }
}

fn processors() -> u16 {
    std::thread::available_parallelism().map_or(1, |n| u16::try_from(n.get()).unwrap_or(u16::MAX))
}

fn cannot_listen(url: &Url, error: &io::Error) -> String {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, AlreadyExists, NotFound, PermissionDenied, TimedOut};
    let is_path = url.ip().is_none();
    let advice = match error.kind() {
        AddrInUse if is_path => "another server has the path; choose another, or end that server",
        AddrInUse => "another server has the port; choose another, or 0 to let the kernel choose",
        AlreadyExists => "the path is no socket and was left as it is; choose another",
        NotFound if is_path => "its folder does not exist; make it, or choose another",
        PermissionDenied if is_path => "its folder may not be written to; choose another",
        PermissionDenied => "ports below 1024 need a privilege; choose a higher one",
        TimedOut => "another program keeps the path's folder locked; choose another",
        AddrNotAvailable => "this machine does not have the address",
        _ if sys::errno::is_no_family(error) => "this kernel has no IPv6; choose an IPv4 address",
        _ => "see the cause",
    };
    format!("cannot listen on {url}: {error}: {advice}")
}
