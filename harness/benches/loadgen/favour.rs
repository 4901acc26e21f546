//! Whether the generator favours a server model: the same load by both of its engines against servers of different kinds. What differs
//! between the engines and not between the models is the generator's own; a model that one engine alone finds better would be favoured.
//! Not here: how fast the engines are (see `main`).

use super::rivals::loadgen;
use super::{Effort, median, run_pinned, say, skipped, support};
use loadgen::Mechanism;
use record::Load;
use std::fmt::Write as _;
use std::time::Duration;

/// One of each kind of waiting.
const MODELS: [&str; 5] = ["thread", "poll", "epoll", "async", "uring-multishot"];

/// Requests a second: a load that every one of them carries with half of a processor.
const RATE: &str = "10000";

/// What one run saw of a model.
#[derive(Clone, Copy)]
struct Seen {
    p50_ns: f64,
    p99_ns: f64,
    server_ns: f64,
}

/// `None` where the machine spoiled the run.
fn observe(model: &str, engine: Mechanism, window: Duration) -> Option<Seen> {
    let server = support::server(model, "echo");
    let (pid, time) = (server.pid().to_string(), format!("{}ms", window.as_millis()));
    let args =
        ["-q", "--json", "-", "--engine", engine.name(), "-c", "64", "-R", RATE, "-d", &time, "--pid", &pid];
    let (printed, _) = run_pinned(
        loadgen(&[&args[..], &["--warm-up", "200ms", server.url()]].concat()),
        Duration::from_secs(60),
    )?;
    let load: Load = serde_json::from_str(&printed).expect("a result");
    assert!(load.errors.is_empty(), "{model}: {:?}", load.errors);
    let server =
        load.server.and_then(|server| server.cpu_ns_per_request).expect("the server's processor time");
    let percentile = |value: Option<u64>| value.map(|ns| ns as f64);
    let (p50_ns, p99_ns) = (percentile(load.latency_ns.p50)?, percentile(load.latency_ns.p99)?);
    Some(Seen { p50_ns, p99_ns, server_ns: server })
}

/// Every model by both engines, in turns; the figures are of rounds in which the machine spoiled neither.
pub(crate) fn favour(effort: Effort) {
    if let Err(reason) = sys::uring::probe() {
        return skipped(&format!("favour: {reason}"));
    }
    let mut table = format!(
        "\nThe same open loop ({RATE} requests/s, 64 connections, echo of 64 bytes) by both engines, {} rounds; medians of epoll / uring, and of \
         the ratio in each round (all rounds)\n\n\
         | model | rounds | p50, us | p99, us | server's CPU per request, us |\n|---|---|---|---|---|\n",
        effort.rounds
    );
    for model in support::models().filter(|model| MODELS.contains(model)) {
        let pairs: Vec<[Seen; 2]> =
            (0..effort.rounds).filter_map(|round| pair(model, round, effort.window / 2)).collect();
        let both = |pick: fn(&Seen) -> f64| figures(&pairs, pick);
        let (p50, p99, cpu) = (both(|s| s.p50_ns), both(|s| s.p99_ns), both(|s| s.server_ns));
        let _ = writeln!(table, "| {model} | {} | {p50} | {p99} | {cpu} |", pairs.len());
    }
    say(&table);
}

/// One round, the order turned each time; `None` where the machine spoiled a side of it.
fn pair(model: &str, round: usize, window: Duration) -> Option<[Seen; 2]> {
    let mut seen = [None; 2];
    for turn in 0..2 {
        let i = (round + turn) % 2;
        seen[i] = observe(model, Mechanism::ALL[i], window);
    }
    let [epoll, uring] = seen;
    Some([epoll?, uring?])
}

/// Both medians in microseconds, and the ratio with its range.
fn figures(pairs: &[[Seen; 2]], pick: fn(&Seen) -> f64) -> String {
    let middle = |i: usize| median(pairs.iter().map(|pair| pick(&pair[i])).collect());
    let Some((epoll, uring)) = middle(0).zip(middle(1)) else { return "no round was fit".to_owned() };
    let ratios: Vec<f64> = pairs.iter().map(|[epoll, uring]| pick(uring) / pick(epoll)).collect();
    let (low, high) = ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), r| (low.min(*r), high.max(*r)));
    let ratio = median(ratios).unwrap_or(f64::NAN);
    format!("{:.1} / {:.1}, {ratio:.2} ({low:.2} to {high:.2})", epoll / 1e3, uring / 1e3)
}
