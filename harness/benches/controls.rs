//! The price of our own code: `epoll` beside a straight epoll server, `loadgen` beside a straight epoll client, in one run and in
//! turns, as ratios of processor time per request. Not here: absolute figures, which another machine would not repeat.
#![allow(clippy::expect_used, reason = "a bench that cannot run says why by failing")]

#[allow(dead_code, reason = "each bench uses a part of it")]
mod support;

use harness::counting::Counting;
use harness::spawn::{Child, Tool, ToolCommand};
use std::io::Write as _;
use std::time::Duration;
use support::control::Client;

/// Connections, bytes of a message.
const CONNECTIONS: usize = 64;
const SIZE: usize = 64;
/// Round trips per observation, and observations a side.
const REQUESTS: u64 = 60_000;
const ROUNDS: usize = 9;

/// Processor time of `server` per request under the straight client.
fn server_cost(server: &Child) -> f64 {
    let mut client = Client::new(support::address(server), CONNECTIONS, SIZE);
    client.run(REQUESTS / 10);
    let before = sys::clock::cpu_ns_of(server.pid()).expect("the server lives");
    client.run(REQUESTS);
    (sys::clock::cpu_ns_of(server.pid()).expect("the server lives") - before) as f64 / REQUESTS as f64
}

/// Processor time of the straight client per request, against the straight server.
fn client_cost(server: &Child) -> f64 {
    let mut client = Client::new(support::address(server), CONNECTIONS, SIZE);
    client.run(REQUESTS / 10);
    let before = sys::clock::thread_cpu_ns();
    client.run(REQUESTS);
    (sys::clock::thread_cpu_ns() - before) as f64 / REQUESTS as f64
}

/// Processor time of `loadgen` per request, as it reports it itself, against the straight server.
fn loadgen_cost(server: &Child) -> f64 {
    let seconds = "1s";
    let args = [
        "load",
        "--quiet",
        "--json",
        "-",
        "--service",
        "echo",
        "--size",
        "64",
        "--connections",
        "64",
        "--warm-up",
        "200ms",
        "--duration",
        seconds,
        server.url(),
    ];
    let mut command = ToolCommand::new(env!("CARGO_BIN_EXE_harness"), args);
    command.begin.cpus = support::split().load.clone();
    let run = Tool::run(&command, Duration::from_secs(30)).expect("the generator runs");
    let load: record::Load =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stderr));
    assert_eq!(load.requests.failed, 0, "{:?}", load.errors);
    load.generator.cpu_ns_per_request.expect("requests were sent")
}

/// Ratios of ours to the control's, one a round, each side first in turn; median and the whole spread.
fn compare(name: &str, target: f64, mut ours: impl FnMut() -> f64, mut control: impl FnMut() -> f64) {
    let mut pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|round| {
            if round % 2 == 0 {
                let first = ours();
                (first, control())
            } else {
                let first = control();
                (ours(), first)
            }
        })
        .collect();
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let ratio = |i: usize| pairs[i].0 / pairs[i].1;
    let (ours, control) = pairs[ROUNDS / 2];
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "{name}: ratio {:.3} (of {ROUNDS}: {:.3} to {:.3}), {:.0} ns against {:.0} ns a request; target <= {target}",
        ratio(ROUNDS / 2),
        ratio(0),
        ratio(ROUNDS - 1),
        ours,
        control,
    );
}

fn main() {
    // `cargo test --benches` asks for a proof that it runs, not for a measurement.
    if support::twins::serve_if_asked() || std::env::args().nth(1).as_deref() == Some("--test") {
        return;
    }
    compare(
        "server `epoll` beside a straight epoll loop",
        1.10,
        || server_cost(&support::server("epoll", "echo")),
        || server_cost(&support::control_server()),
    );
    let counting = Counting::begin().expect("a file in memory");
    let counted = ["--counters", &counting.path()];
    compare(
        "server `epoll` that counts beside one that does not",
        1.02,
        || server_cost(&support::server_with("epoll", "echo", &counted)),
        || server_cost(&support::server("epoll", "echo")),
    );
    compare(
        "`loadgen` beside a straight epoll client",
        1.20,
        || loadgen_cost(&support::control_server()),
        || client_cost(&support::control_server()),
    );
}
