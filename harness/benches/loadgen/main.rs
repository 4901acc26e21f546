//! The generator beside its rivals: processor time per request and throughput of each, on the same server, in the same run, in turns,
//! each pinned to one processor. And what it promises of itself: lag, start, memory. Not here: whether the numbers are true (tests).
//!
//! `cargo bench --bench loadgen [-- NAME] [--quick] [--seconds=N]`, NAME one of the experiments below or a part of it. Rivals that are not
//! installed are skipped aloud; results with their date stand in docs/LOADGEN.md.
#![allow(clippy::expect_used, reason = "a bench that cannot run says why by failing")]

mod datagrams;
mod favour;
mod promises;
mod rivals;
mod servers;
mod stall;
#[allow(dead_code, reason = "each bench uses a part of it")]
#[path = "../support/mod.rs"]
mod support;

use harness::spawn::{Tool, ToolCommand};
use rivals::Side;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// Connections of the comparisons.
const CONNECTIONS: usize = 64;

/// How long (whole seconds, which is what some rivals can be told) and how often.
#[derive(Clone, Copy, Debug)]
struct Effort {
    window: Duration,
    rounds: usize,
}

/// An experiment, and its name.
type Experiment = (&'static str, fn(Effort));

const EXPERIMENTS: [Experiment; 9] = [
    ("http", http),
    ("echo-epoll", echo_of_the_zoo),
    ("echo-bare", echo_in_c),
    ("favour", favour::favour),
    ("lag", promises::lag),
    ("start", promises::start),
    ("memory", promises::memory),
    ("udp", datagrams::udp),
    ("stall", stall::stall),
];

/// A line on standard output.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error about what could not be done.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Who runs where.
fn cpus() -> harness::cpus::Split {
    harness::cpus::Split::of_machine().expect("the processors allowed")
}

/// Runs `command` on the load's processor; what it printed, and the processor time that it took in nanoseconds, with its children's.
///
/// `None` where the machine spoiled the run (exit 3 of our own), which is said aloud.
fn run_pinned(mut command: ToolCommand, within: Duration) -> Option<(String, u64)> {
    command.begin.cpus = cpus().load;
    // Only what has ended and was waited for is in it: the servers, which run on, are not.
    let used = || sys::process::children_usage().cpu_ns;
    let before = used();
    let run = Tool::run(&command, within).expect("the generator starts");
    if run.ended.status == Some(i32::from(record::Exit::Unfit.code())) {
        skipped(&format!("a round: {}", run.stderr));
        return None;
    }
    assert!(run.ended.success() && !run.late, "{}: {} {}", command.line(), run.ended, run.stderr);
    Some((String::from_utf8_lossy(&run.stdout).into_owned(), used() - before))
}

/// What one run of one side came to.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Processor time per request: of the whole process, and of its window alone where it says that.
    cpu_ns: f64,
    window_ns: Option<f64>,
    per_s: f64,
}

/// One run of one side; `None` where it did not say how many replies it had, which is said aloud.
fn observe(side: &Side, window: Duration) -> Option<Seen> {
    let (printed, cpu_ns) = run_pinned(side.command.clone(), window + Duration::from_secs(60))?;
    let replies = (side.replies)(&printed).filter(|replies| *replies > 0);
    if replies.is_none() {
        skipped(&format!("a round of {}: no count in what it printed: {printed}", side.name));
    }
    let replies = replies? as f64;
    let window_ns = (side.in_window)(&printed);
    Some(Seen { cpu_ns: cpu_ns as f64 / replies, window_ns, per_s: replies / window.as_secs_f64() })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// All sides in turn, round after round, the order turned by one each time; a table with ratios to `reference`, each the median of those
/// of the rounds.
fn compare(title: &str, sides: &[Side], reference: &str, effort: Effort) {
    let mut seen: Vec<Vec<Option<Seen>>> = vec![Vec::new(); sides.len()];
    for round in 0..effort.rounds {
        for turn in 0..sides.len() {
            let i = (round + turn) % sides.len();
            // In the order of the rounds: what stands at one place was seen within moments of each other.
            seen[i].push(observe(&sides[i], effort.window));
        }
    }
    let mut table = format!(
        "\n{title}: {} rounds of {} s\n\n| client | CPU per request, ns | to {reference} (all rounds) | requests/s |\n|---|---|---|---|\n",
        effort.rounds,
        effort.window.as_secs()
    );
    let base = sides.iter().position(|side| side.name == reference).map_or(&[][..], |base| &seen[base]);
    for (side, runs) in sides.iter().zip(&seen) {
        row(&mut table, &side.name, runs, base, |seen| Some(seen.cpu_ns));
        row(&mut table, &format!("{}, its window alone", side.name), runs, base, |seen| seen.window_ns);
    }
    say(&table);
}

/// One line of the table: `pick` of all rounds, and its ratios to the processor time of `base` in the same rounds.
fn row(
    table: &mut String,
    name: &str,
    runs: &[Option<Seen>],
    base: &[Option<Seen>],
    pick: fn(&Seen) -> Option<f64>,
) {
    let figure = |pick: fn(&Seen) -> Option<f64>| median(runs.iter().flatten().filter_map(pick).collect());
    let Some((cpu, per_s)) = figure(pick).zip(figure(|seen| Some(seen.per_s))) else { return };
    let both = runs.iter().zip(base).filter_map(|(a, b)| Some(pick(a.as_ref()?)? / b.as_ref()?.cpu_ns));
    let (low, high) = both.clone().fold((f64::MAX, 0.0_f64), |(low, high), r| (low.min(r), high.max(r)));
    let ratio = median(both.collect());
    let ratio = ratio.map_or("not known".to_owned(), |ratio| format!("{ratio:.3} ({low:.3} to {high:.3})"));
    let _ = writeln!(table, "| {name} | {cpu:.0} | {ratio} | {per_s:.0} |");
}

/// HTTP keep-alive against nginx, beside everything that is installed.
fn http(effort: Effort) {
    let Some(nginx) = servers::Nginx::start() else { return };
    let (url, window) = (nginx.url(), effort.window);
    let mut sides = rivals::ours(&["--service", "http"], &url, window);
    sides.extend(rivals::bare(nginx.port, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", window));
    sides.extend(rivals::installed(&url, window));
    let title =
        format!("HTTP keep-alive, {CONNECTIONS} connections, nginx with one worker, 13 bytes of content");
    compare(&title, &sides, rivals::BARE, effort);
}

fn echo(server: &str, port: u16, effort: Effort) {
    let mut sides = rivals::ours(
        &["--service", "echo", "--size", "64"],
        &format!("tcp://127.0.0.1:{port}"),
        effort.window,
    );
    sides.extend(rivals::bare(port, &"x".repeat(64), effort.window));
    let title = format!("Echo of 64 bytes, {CONNECTIONS} connections, {server}");
    compare(&title, &sides, rivals::BARE, effort);
}

/// Echo against the server `epoll`.
fn echo_of_the_zoo(effort: Effort) {
    let server = support::server("epoll", "echo");
    echo("server `epoll`", support::address(&server).port(), effort);
}

/// Echo against a server in C that checks nothing.
fn echo_in_c(effort: Effort) {
    let Some(bare) = servers::bare_program() else { return };
    let server =
        support::start(harness::spawn::ServerCommand::new(bare, ["server"])).expect("the server gets ready");
    echo("a bare server in C", support::address(&server).port(), effort);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` asks for a proof that it runs, not for a measurement.
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    let mut effort = match args.iter().any(|arg| arg == "--quick") {
        true => Effort { window: Duration::from_secs(1), rounds: 3 },
        false => Effort { window: Duration::from_secs(2), rounds: 7 },
    };
    if let Some(seconds) = args.iter().find_map(|arg| arg.strip_prefix("--seconds=")) {
        effort.window = Duration::from_secs(seconds.parse().expect("--seconds=N, a whole number"));
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let chosen = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    for (name, experiment) in EXPERIMENTS {
        if chosen(name) {
            experiment(effort);
        }
    }
}
