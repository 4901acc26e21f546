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

/// Every model by both engines, in turns.
pub(crate) fn favour(effort: Effort) {
    if let Err(reason) = sys::uring::probe() {
        return skipped(&format!("favour: {reason}"));
    }
    let mut table = format!(
        "\nThe same open loop ({RATE} requests/s, 64 connections, echo of 64 bytes) by both engines, medians of {} rounds; epoll / uring (ratio)\n\n\
         | model | p50, us | p99, us | server's CPU per request, ns |\n|---|---|---|---|\n",
        effort.rounds
    );
    for model in support::models().filter(|model| MODELS.contains(model)) {
        let mut seen: [Vec<Seen>; 2] = Default::default();
        for round in 0..effort.rounds {
            for turn in 0..2 {
                let i = (round + turn) % 2;
                seen[i].extend(observe(model, Mechanism::ALL[i], effort.window / 2));
            }
        }
        let both = |pick: fn(&Seen) -> f64, scale: f64| {
            let [epoll, uring] =
                [0, 1].map(|i| median(seen[i].iter().map(pick).collect()).unwrap_or(0.0) / scale);
            format!("{epoll:.1} / {uring:.1} ({:.2})", uring / epoll)
        };
        let (p50, p99) = (both(|s| s.p50_ns, 1e3), both(|s| s.p99_ns, 1e3));
        let _ = writeln!(table, "| {model} | {p50} | {p99} | {} |", both(|s| s.server_ns, 1.0));
    }
    say(&table);
}
