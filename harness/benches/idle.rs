//! Servers at rest: memory of idle connections, wake-ups while nothing happens, time from SIGTERM to the exit; one table over all models.
//! Not here: what serving costs (see `models`, `zoo`).
//!
//! `cargo bench --bench idle -- [--quick] [--connections N] [WORD…]`; a word chooses the models whose name holds it.
#![allow(clippy::expect_used, reason = "a bench that cannot run says why by failing")]

#[allow(dead_code, reason = "each bench uses a part of it")]
mod support;

use clap::Parser;
use harness::observe::Watcher;
use harness::spawn::{Child, ServerCommand};
use servers::{Capacity, Model};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Measures servers at rest.
#[derive(Debug, Parser)]
struct Options {
    /// Models whose name holds one of these words [default: all]
    words: Vec<String>,
    /// Idle connections of a model that can hold as many
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Few connections and a short rest: proof that it runs, no measurement
    #[arg(long)]
    quick: bool,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
    /// What `cargo test --benches` passes: a proof that it starts
    #[arg(long, hide = true)]
    test: bool,
}

/// Idle connections where each has a thread, and where each has a process.
const THREADS: usize = 1_000;
const PROCESSES: usize = 200;

/// Descriptors that a process may have: as many as this bench and a server need.
const DESCRIPTORS: u64 = 20_000;

/// Requests before the first look at a server's memory: what it sets up once is there then.
const WARM_UP: usize = 1_000;

/// Servers that are started to be stopped.
const STOPS: usize = 9;

/// What was found of a model.
struct Row {
    model: &'static str,
    connections: usize,
    /// Anonymous memory in bytes for each connection; none where a connection is not what uses it.
    memory: Option<f64>,
    /// Address space that is reserved for each, where it has a stack.
    reserved: Option<f64>,
    wake_ups: u64,
    /// Milliseconds of each, sorted.
    stops: Vec<f64>,
    /// The same with all connections open.
    full_stop: f64,
}

fn main() {
    if support::twins::serve_if_asked() {
        return;
    }
    let options = Options::parse();
    if options.test {
        return;
    }
    let most = if options.quick { 100 } else { options.connections };
    let (rest, stops) = if options.quick { (1, 2) } else { (5, STOPS) };
    let own = sys::process::own_id();
    sys::process::limit_descriptors(own, DESCRIPTORS.min(sys::process::descriptor_limit().1))
        .expect("descriptors");
    let mut rows = Vec::new();
    for model in support::models() {
        if !options.words.is_empty() && !options.words.iter().any(|word| model.contains(word.as_str())) {
            continue;
        }
        let _ = writeln!(std::io::stderr(), "{model}");
        rows.push(measure(model, most, Duration::from_secs(rest), stops));
    }
    let _ = write!(std::io::stdout().lock(), "{}", table(&rows, rest));
}

/// Idle connections that a model is given, of `most`.
fn crowd(model: &Model, most: usize) -> usize {
    match model.capacity {
        Capacity::One | Capacity::Workers(_) | Capacity::Hashed(_) => 1,
        // Some descriptors are taken.
        Capacity::Descriptors(limit) => most.min(limit as usize - 24),
        Capacity::System if model.axes.isolation.starts_with("process") => most.min(PROCESSES),
        Capacity::System if model.axes.multiplexing.starts_with("none") => most.min(THREADS),
        Capacity::System => most,
    }
}

fn server(model: &str) -> Child {
    let mut command =
        ServerCommand::new(env!("CARGO_BIN_EXE_harness"), ["serve", model, "--service", "echo"]);
    command.begin.descriptors = Some(DESCRIPTORS.min(sys::process::descriptor_limit().1));
    support::start(command).expect("the server gets ready")
}

/// Connections that were used once and are idle from then on. A hundred at a time: for `poll` each turn costs as much as all that are
/// open, however few of them are ready.
fn idle_crowd(server: &Child, connections: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::with_capacity(connections);
    while crowd.len() < connections {
        let begin = crowd.len();
        crowd.extend((begin..connections.min(begin + 100)).map(|_| support::connect(server)));
        for stream in &mut crowd[begin..] {
            stream.write_all(&[b'x'; 64]).expect("write");
        }
        for stream in &mut crowd[begin..] {
            stream.read_exact(&mut [0; 64]).expect("read");
        }
    }
    crowd
}

fn measure(model: &'static str, most: usize, rest: Duration, stops: usize) -> Row {
    let entry = servers::model(model).expect("a model of the registry");
    let connections = crowd(entry.model, most);
    let mut subject = server(model);
    let mut first = support::connect(&subject);
    for _ in 0..WARM_UP {
        support::round_trip(&mut first, &[b'x'; 64], &mut [0; 64]);
    }
    let watcher = Watcher::new(subject.identity());
    let used = || [watcher.anonymous_bytes().unwrap_or(0), reserved(&subject)];
    let before = used();
    let crowd = idle_crowd(&subject, connections - 1);
    let after = used();
    let each = |i: usize| (after[i] as f64 - before[i] as f64) / crowd.len() as f64;
    let memory = (crowd.len() > 1).then(|| each(0));
    // Of processes it would be the whole program's, again and again.
    let reserved = memory.and_then(|_| {
        Some(each(1)).filter(|_| {
            entry.model.axes.isolation == "thread" && entry.model.axes.multiplexing.starts_with("none")
        })
    });
    let wake_ups = wake_ups(&subject, rest);
    let full_stop = stop(&mut subject);
    drop((first, crowd));
    let mut stops: Vec<f64> = (0..stops)
        .map(|_| {
            let mut server = server(model);
            drop(idle_crowd(&server, 1));
            stop(&mut server)
        })
        .collect();
    stops.sort_by(f64::total_cmp);
    Row { model, connections, memory, reserved, wake_ups, stops, full_stop }
}

/// From SIGTERM to the exit in milliseconds.
fn stop(server: &mut Child) -> f64 {
    let stopped = server.stop(Duration::from_secs(10));
    assert!(stopped.ended.success(), "{}: {}", server.command(), stopped.ended);
    stopped.took.as_secs_f64() * 1e3
}

/// Address space of the server and its descendants, in bytes.
fn reserved(server: &Child) -> u64 {
    let size =
        |pid| procfs::process::Process::new(pid).and_then(|process| process.statm()).map_or(0, |m| m.size);
    server.tree().iter().map(|id| size(id.pid)).sum::<u64>() * procfs::page_size()
}

/// How often threads of the server and its descendants went to sleep or were made to wait within `rest`, after what was still going on.
fn wake_ups(server: &Child, rest: Duration) -> u64 {
    let switches = || -> u64 {
        let tasks = server
            .tree()
            .into_iter()
            .filter_map(|id| procfs::process::Process::new(id.pid).ok()?.tasks().ok());
        let status = tasks.flatten().filter_map(|task| task.ok()?.status().ok());
        status
            .map(|s| s.voluntary_ctxt_switches.unwrap_or(0) + s.nonvoluntary_ctxt_switches.unwrap_or(0))
            .sum()
    };
    sys::clock::sleep(Duration::from_millis(500));
    let before = switches();
    sys::clock::sleep(rest);
    switches() - before
}

fn table(rows: &[Row], rest: u64) -> String {
    let mut text = format!(
        "| model | idle connections | memory each | reserved each | wake-ups in {rest} s | SIGTERM to exit, median (worst) | with the connections open |\n|---|--:|--:|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let kib = |bytes: Option<f64>| bytes.map_or("–".to_owned(), |n| format!("{:.2} KiB", n / 1024.0));
        let (median, worst) = (row.stops[row.stops.len() / 2], row.stops[row.stops.len() - 1]);
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {median:.1} ms ({worst:.1}) | {:.1} ms |\n",
            row.model,
            row.connections,
            kib(row.memory),
            kib(row.reserved),
            row.wake_ups,
            row.full_stop
        );
    }
    text
}
