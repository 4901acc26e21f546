//! UDP: how many requests a second one processor of the generator makes against one of the server, one datagram at a time through the
//! kernel and joined, and a schedule of a million a second. Not here: what is lost and why (tests).

use super::promises::run;
use super::servers::bare_program;
use super::{Effort, median, run_pinned, say, support};
use harness::spawn::ToolCommand;
use loadgen::Mechanism;
use record::Load;
use std::time::Duration;

/// The servers: one that answers in batches, and one that takes and gives joined datagrams.
const SERVERS: [&str; 2] = ["dgram-batched", "dgram-gso"];

/// Sockets, and requests that are out on each in the closed loop.
const SOCKETS: &str = "4";
const DEPTH: &str = "64";

/// The schedule of the open loop, in requests a second.
const RATE: &str = "1M";

/// Rate and cost of each pair of server and way; the schedule over the best of them.
pub(crate) fn udp(effort: Effort) {
    let time = format!("{}ms", effort.window.as_millis());
    for model in SERVERS {
        let server = support::server_with(model, "echo", &["--listen", "udp://127.0.0.1:0"]);
        for way in [&[][..], &["--gso"]] {
            let closed = [&["-c", SOCKETS, "--pipeline", DEPTH, "-d", &time], way].concat();
            show(&format!("{model}, closed loop {way:?}"), effort, &[&closed[..], &[server.url()]].concat());
            let mode = if way.is_empty() { "datagrams" } else { "joined" };
            show_bare(model, mode, support::address(&server).port(), effort);
        }
    }
    let server = support::server_with("dgram-gso", "echo", &["--listen", "udp://127.0.0.1:0"]);
    let open = ["-c", SOCKETS, "-R", RATE, "--gso", "-d", &time, "--warm-up", "200ms", server.url()];
    show(&format!("dgram-gso, open loop at {RATE} [\"--gso\"]"), effort, &open);
}

/// The loop in C that sends and receives the same and does nothing else, on the same server.
fn show_bare(model: &str, mode: &str, port: u16, effort: Effort) {
    let Some(program) = bare_program() else { return };
    let (port, time) = (port.to_string(), effort.window.as_millis().to_string());
    let command = ToolCommand::new(program, [mode, &port, SOCKETS, &time, DEPTH, "64"]);
    let runs = (0..effort.rounds).filter_map(|_| {
        let (printed, cpu_ns) = run_pinned(command.clone(), effort.window + Duration::from_secs(60))?;
        let replies = printed.trim().parse::<f64>().ok().filter(|replies| *replies > 0.0)?;
        Some((replies / effort.window.as_secs_f64(), cpu_ns as f64 / replies))
    });
    let (rates, costs): (Vec<f64>, Vec<f64>) = runs.unzip();
    let rounds = rates.len();
    if let Some((rate, cost)) = median(rates).zip(median(costs)) {
        say(&format!(
            "udp echo, {model}, bare C loop ({mode}): {rate:.0} requests/s, {cost:.0} ns of its processor each (medians of {rounds})"
        ));
    }
}

fn show(name: &str, effort: Effort, args: &[&str]) {
    let loads: Vec<Load> = (0..effort.rounds).filter_map(|_| run(Mechanism::Epoll, args)).collect();
    let middle = |of: &dyn Fn(&Load) -> f64| median(loads.iter().map(of).collect()).unwrap_or(f64::NAN);
    let rate = middle(&|load| load.throughput_per_s);
    let cost = middle(&|load| load.generator.cpu_ns_per_request.unwrap_or(f64::NAN));
    let lost = middle(&|load| load.datagrams.as_ref().map_or(0.0, |d| d.lost as f64 / d.sent.max(1) as f64));
    // A closed loop has no schedule to be late by.
    let lag = median(loads.iter().filter_map(|load| load.lag_ns.p99.map(|ns| ns as f64 / 1e3)).collect());
    let lag = lag.map_or(String::new(), |us| format!(", lag p99 {us:.1} us"));
    say(&format!(
        "udp echo, {name}: {rate:.0} requests/s, {cost:.0} ns of the generator's processor each, {:.3} % lost{lag} (medians of {})",
        lost * 100.0,
        loads.len()
    ));
}
