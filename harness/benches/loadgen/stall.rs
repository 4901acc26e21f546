//! Generators on a server that stands still for a fifth of each second: what each of them says of it. Not here: which of them is right, for
//! which there is docs/METHOD.md, and the percentiles of a stall that can be computed (`loadgen self-test`).

use super::rivals::loadgen;
use super::{Effort, run_pinned, say, skipped, support};
use harness::spawn::{Child, ToolCommand, identity};
use record::Load;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::clock::{self, monotonic_ns};

/// Requests a second of those that can be told, connections, and length of each run.
const RATE: u64 = 2_000;
const CONNECTIONS: &str = "10";
const TIME: &str = "10s";

/// A second, of which the last part is a stall.
const PERIOD: Duration = Duration::from_secs(1);
const STALL: Duration = Duration::from_millis(200);

/// What is read from what a generator printed: p50, p90 and p99, as it writes them.
type Reading = fn(&str) -> Option<[String; 3]>;

/// Each generator that is installed, one after the other.
pub(crate) fn stall(_: Effort) {
    let server = support::server("epoll", "http");
    let url = format!("http://{}/", support::address(&server));
    let (rate, per_client) = (RATE.to_string(), (RATE / 10).to_string());
    let mut table = format!(
        "\nA server that is stopped for the last {} ms of each second, {CONNECTIONS} connections, {TIME}, {RATE} requests/s in all where that can be told\n\n\
         | generator | p50 | p90 | p99 |\n|---|---|---|---|\n| by the schedule, without the drain | | 100 ms | 190 ms |\n",
        STALL.as_millis()
    );
    let ours = loadgen(&["-q", "--json", "-", "-R", &rate, "-c", CONNECTIONS, "-d", TIME, &url]);
    let all: [(&str, ToolCommand, Reading); 6] = [
        ("loadgen, from the intended start", ours.clone(), |printed| ours_of(printed, true)),
        ("loadgen, from the actual send", ours, |printed| ours_of(printed, false)),
        ("oha -q --latency-correction", oha(&["-q", &rate, "--latency-correction"], &url), oha_of),
        ("oha -q", oha(&["-q", &rate], &url), oha_of),
        (
            "wrk --latency",
            tool("wrk", &["-t1", "-c", CONNECTIONS, "-d", TIME, "--latency", &url]),
            |printed| behind(printed, [" 50%", " 90%", " 99%"]),
        ),
        ("hey -q", tool("hey", &["-z", TIME, "-c", CONNECTIONS, "-q", &per_client, &url]), |printed| {
            behind(printed, ["50% in", "90% in", "99% in"])
                .map(|all| all.map(|seconds| format!("{seconds} s")))
        }),
    ];
    for (name, command, reading) in all {
        if !sys::spawn::can_be_found(command.program.as_ref()) {
            skipped(&format!("{name}: not installed"));
            continue;
        }
        let printed = beside_stalls(&server, || run_pinned(command, Duration::from_secs(60)));
        match printed.as_ref().and_then(|(printed, _)| reading(printed)) {
            Some([p50, p90, p99]) => drop(writeln!(table, "| {name} | {p50} | {p90} | {p99} |")),
            None => skipped(&format!("{name}: no percentiles in what it printed")),
        }
    }
    say(&table);
}

fn tool(name: &str, args: &[&str]) -> ToolCommand {
    ToolCommand::new(name, args.to_vec())
}

fn oha(more: &[&str], url: &str) -> ToolCommand {
    let args = ["--no-tui", "-z", TIME, "-c", CONNECTIONS, "--output-format", "json"];
    tool("oha", &[&args[..], more, &[url]].concat())
}

/// Does `then` while the server is stopped and continued by the clock; it runs when this returns.
fn beside_stalls<T>(server: &Child, then: impl FnOnce() -> T) -> T {
    let (over, id) = (AtomicBool::new(false), server.identity());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut end_ns = monotonic_ns();
            let until = |at_ns: u64| clock::sleep(Duration::from_nanos(at_ns.saturating_sub(monotonic_ns())));
            while !over.load(Relaxed) {
                end_ns += PERIOD.as_nanos() as u64;
                until(end_ns - STALL.as_nanos() as u64);
                id.signal(identity::STOP);
                until(end_ns);
                id.signal(identity::CONT);
            }
        });
        let result = then();
        over.store(true, Relaxed);
        result
    })
}

fn ours_of(printed: &str, intended: bool) -> Option<[String; 3]> {
    let load: Load = serde_json::from_str(printed).ok()?;
    let times = if intended { load.latency_ns } else { load.service_ns };
    let show = |ns: u64| format!("{:.3} ms", ns as f64 / 1e6);
    Some([show(times.p50?), show(times.p90?), show(times.p99?)])
}

/// In oha's JSON times are in seconds.
fn oha_of(printed: &str) -> Option<[String; 3]> {
    let value: serde_json::Value = serde_json::from_str(printed).ok()?;
    let at = |name: &str| value["latencyPercentiles"][name].as_f64().map(|s| format!("{:.3} ms", s * 1e3));
    Some([at("p50")?, at("p90")?, at("p99")?])
}

/// The word behind each of `marks`.
fn behind(text: &str, marks: [&str; 3]) -> Option<[String; 3]> {
    let word = |mark: &str| {
        let rest = &text[text.find(mark)? + mark.len()..];
        rest.split_whitespace().next().map(str::to_owned)
    };
    Some([word(marks[0])?, word(marks[1])?, word(marks[2])?])
}
