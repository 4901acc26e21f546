//! The generators that are compared: how each is told to make the same load, and where it says how many replies it had. Not here:
//! running them.

use super::servers::bare_program;
use super::{CONNECTIONS, skipped};
use harness::spawn::ToolCommand;
use loadgen::Mechanism;
use record::Load;
use std::time::Duration;

/// Finds the number of replies in what a generator printed.
type Replies = fn(&str) -> Option<u64>;

/// A generator and its load.
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) command: ToolCommand,
    pub(crate) replies: Replies,
    /// Processor time per request in nanoseconds as it says it itself, without its start and end; where it does.
    pub(crate) in_window: fn(&str) -> Option<f64>,
}

/// The reference of all comparisons.
pub(crate) const BARE: &str = "bare C loop";

/// `loadgen` over each of its engines, as a user calls it: histograms, verification and all.
pub(crate) fn ours(service: &[&str], url: &str, window: Duration) -> Vec<Side> {
    let engines = Mechanism::ALL.into_iter().filter(|engine| match (engine, sys::uring::probe()) {
        (Mechanism::Uring, Err(reason)) => {
            skipped(&format!("loadgen --engine uring: {reason}"));
            false
        }
        _ => true,
    });
    let side = |engine: Mechanism| {
        let connections = CONNECTIONS.to_string();
        let duration = format!("{}ms", window.as_millis());
        let fixed = ["-q", "--json", "-", "--engine", engine.name(), "-c", &connections, "-d", &duration];
        Side {
            name: format!("loadgen, {}", engine.name()),
            command: loadgen(&[&fixed[..], service, &[url]].concat()),
            replies: |printed| {
                let load: Load = serde_json::from_str(printed).ok()?;
                assert!(load.errors.is_empty(), "{:?}", load.errors);
                Some(load.requests.completed)
            },
            in_window: |printed| serde_json::from_str::<Load>(printed).ok()?.generator.cpu_ns_per_request,
        }
    };
    engines.map(side).collect()
}

/// The command `loadgen`, which is a subcommand of the harness.
pub(crate) fn loadgen(args: &[&str]) -> ToolCommand {
    ToolCommand::new(env!("CARGO_BIN_EXE_harness"), [&["load"], args].concat())
}

/// The loop that parses nothing.
pub(crate) fn bare(port: u16, request: &str, window: Duration) -> Option<Side> {
    let args =
        ["client", &port.to_string(), &CONNECTIONS.to_string(), &window.as_millis().to_string(), request];
    Some(Side {
        name: BARE.to_owned(),
        command: ToolCommand::new(bare_program()?, args),
        replies: |printed| printed.trim().parse().ok(),
        in_window: |_| None,
    })
}

/// The generators for HTTP that are installed here; says aloud which are not.
pub(crate) fn installed(url: &str, window: Duration) -> Vec<Side> {
    let (seconds, connections) = (window.as_secs().to_string(), CONNECTIONS.to_string());
    let time = format!("{seconds}s");
    // ab has room for as many results as it is told requests, and would stop at 50,000.
    let ab = ["-q", "-k", "-c", &connections, "-t", &seconds, "-n", "2000000", url];
    let all: [(&str, &[&str], Replies); 5] = [
        ("wrk", &["-t", "1", "-c", &connections, "-d", &time, url], |printed| {
            word_before(printed, "requests in")
        }),
        ("ab", &ab, |printed| word_behind(printed, "Complete requests:")),
        ("h2load", &["--h1", "-t", "1", "-c", &connections, "-D", &seconds, url], |printed| {
            word_before(printed, "succeeded,")
        }),
        ("oha", &["--no-tui", "-c", &connections, "-z", &time, "--output-format", "json", url], |printed| {
            word_behind(printed, "\"200\":")
        }),
        ("hey", &["-cpus", "1", "-c", &connections, "-z", &time, url], |printed| {
            word_behind(printed, "[200]")
        }),
    ];
    let mut sides = Vec::new();
    for (name, args, replies) in all {
        if sys::spawn::can_be_found(name.as_ref()) {
            let command = ToolCommand::new(name, args.to_vec());
            sides.push(Side { name: name.to_owned(), command, replies, in_window: |_| None });
        } else {
            skipped(&format!("{name} is not installed"));
        }
    }
    sides
}

/// The number that stands right before `mark`.
fn word_before(text: &str, mark: &str) -> Option<u64> {
    text[..text.find(mark)?].split_whitespace().last()?.parse().ok()
}

/// The number that stands right behind `mark`.
fn word_behind(text: &str, mark: &str) -> Option<u64> {
    let rest = text[text.find(mark)? + mark.len()..].trim_start();
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}
