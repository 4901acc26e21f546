//! What the generator promises of itself: that it is punctual, starts at once and takes little memory. Not here: comparisons.

use super::rivals::loadgen;
use super::{Effort, cpus, median, run_pinned, say, skipped, support};
use harness::spawn::{Child, Tool};
use loadgen::Mechanism;
use record::Load;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::Duration;
use sys::clock::monotonic_ns as clock;
use sys::epoll::Epoll;
use sys::{Interest, Poller as _};

/// Rate of the open loop whose lag is looked at, and rounds of it, of which the best counts: a machine that is shared has gaps of its own.
const RATE: &str = "20000";
const ROUNDS: usize = 5;

/// Connections of the start, and of the memory.
const AT_START: usize = 1_000;
const FEW: usize = 1_000;
const MANY: usize = 15_000;

/// The engines that run here.
fn engines() -> impl Iterator<Item = Mechanism> {
    Mechanism::ALL.into_iter().filter(|engine| *engine == Mechanism::Epoll || sys::uring::probe().is_ok())
}

/// Runs the generator; its result. `None` where the machine spoiled the run.
pub(crate) fn run(engine: Mechanism, args: &[&str]) -> Option<Load> {
    let (printed, _) = run_pinned(
        loadgen(&[&["-q", "--json", "-", "--engine", engine.name()], args].concat()),
        Duration::from_secs(120),
    )?;
    Some(serde_json::from_str(&printed).expect("a result"))
}

/// Lag of the open loop.
pub(crate) fn lag(effort: Effort) {
    let server = support::server("epoll", "echo");
    let time = format!("{}ms", effort.window.as_millis());
    for engine in engines() {
        let mut p99_ns: Vec<f64> = (0..ROUNDS)
            .filter_map(|_| {
                let load =
                    run(engine, &["-R", RATE, "-c", "64", "-d", &time, "--warm-up", "200ms", server.url()]);
                load?.lag_ns.p99.map(|ns| ns as f64)
            })
            .collect();
        p99_ns.sort_by(f64::total_cmp);
        let all: Vec<String> = p99_ns.iter().map(|ns| format!("{:.1}", ns / 1e3)).collect();
        if let Some(best) = all.first() {
            let (name, all) = (engine.name(), all.join(", "));
            say(&format!("lag p99 at {RATE} requests/s, {name}: best {best} us (all: {all}); target <= 50"));
        }
    }
}

/// From the start of the process to the first request at the server, with all connections made before it; and what that many connects
/// take by themselves.
pub(crate) fn start(effort: Effort) {
    let bare: Vec<f64> = (0..effort.rounds).map(|_| bare_connects()).collect();
    say(&format!(
        "{AT_START} bare connects, one after the other: median {:.1} ms",
        median(bare).unwrap_or(0.0)
    ));
    for engine in engines() {
        let ms: Vec<f64> = (0..effort.rounds).map(|_| until_first_request(engine)).collect();
        let shown: Vec<String> = ms.iter().map(|ms| format!("{ms:.1}")).collect();
        say(&format!(
            "start to first request at {AT_START} connections, {}: median {:.1} ms (all: {}); target <= 20",
            engine.name(),
            median(ms).unwrap_or(0.0),
            shown.join(", ")
        ));
    }
}

/// A server that accepts whoever comes, until a first byte has come; its URL, and when that was.
fn acceptor() -> (String, JoinHandle<std::io::Result<u64>>) {
    // With room for all of them, whether this thread gets to run or not.
    let any = "tcp://127.0.0.1:0".parse().expect("a URL");
    let listening = sys::listen(&any, 4096, sys::listen::Stack::default()).expect("a port");
    let (listener, url) = (TcpListener::from(listening.fd), listening.url.to_string());
    let server = std::thread::spawn(move || {
        sys::affinity::pin_self(&cpus().server).expect("the server's processors");
        first_byte_ns(&listener)
    });
    (url, server)
}

/// What the kernel needs for the connects of a start, in milliseconds: nothing else is done, and nobody is told of them.
fn bare_connects() -> f64 {
    sys::process::make_room_for_descriptors(4 * AT_START as u32).expect("descriptors");
    let (url, server) = acceptor();
    let address = url.parse::<sys::Url>().expect("a URL").address;
    let connects = move || {
        sys::affinity::pin_self(&cpus().load).expect("the load's processors");
        let begun = clock();
        let connect = |_| sys::socket::connect_start(&address, None).expect("a connection");
        let all: Vec<_> = (0..AT_START).map(connect).collect();
        let took = clock() - begun;
        let mut last = TcpStream::from(all.into_iter().next_back().expect("one"));
        last.set_nonblocking(false).and_then(|()| last.write_all(b"!")).expect("a byte");
        took
    };
    let took = std::thread::spawn(connects).join().expect("the connects");
    let _ = server.join().expect("the server");
    took as f64 / 1e6
}

fn until_first_request(engine: Mechanism) -> f64 {
    let (url, server) = acceptor();
    let connections = AT_START.to_string();
    let mut command = loadgen(&[
        "-q",
        "--engine",
        engine.name(),
        "-c",
        &connections,
        "-d",
        "50ms",
        "--timeout",
        "100ms",
        &url,
    ]);
    command.begin.cpus = cpus().load;
    let begun = clock();
    let tool = Tool::start(&command).expect("the generator starts");
    let first = server.join().expect("the server").expect("a request");
    // It ends when its connections do.
    let _ = tool.finish(Duration::from_secs(20));
    (first - begun) as f64 / 1e6
}

/// Accepts whoever comes; when the first byte of any came.
fn first_byte_ns(listener: &TcpListener) -> std::io::Result<u64> {
    listener.set_nonblocking(true)?;
    let (mut poll, mut events, mut streams) = (Epoll::new()?, Vec::new(), Vec::new());
    poll.add(listener.as_fd(), u64::MAX, Interest::READ)?;
    loop {
        poll.wait(&mut events, None)?;
        for event in &events {
            if event.key != u64::MAX {
                let mut stream: &TcpStream = &streams[event.key as usize];
                let now = clock();
                stream.read_exact(&mut [0])?;
                return Ok(now);
            }
            while let Ok((stream, _)) = listener.accept() {
                poll.add(stream.as_fd(), streams.len() as u64, Interest::READ)?;
                streams.push(stream);
            }
        }
    }
}

/// Memory of a connection: what 14,000 more of them add to the process at its peak.
pub(crate) fn memory(_: Effort) {
    let Ok(limit) = sys::process::raise_descriptor_limit() else { return };
    if limit < MANY as u64 + 100 {
        return skipped(&format!("memory: {MANY} connections need more than {limit} descriptors"));
    }
    let server: Child = support::server("epoll", "echo");
    for engine in engines() {
        let peak = |connections: usize, time: &str| {
            let args = ["-c", &connections.to_string(), "-R", "20000", "-d", time, server.url()];
            let load = run(engine, &args)?;
            assert_eq!(load.connections.peak, connections as u64, "{:?}", load.errors);
            Some(load.generator.peak_rss_bytes as f64)
        };
        let all = (peak(FEW, "1s"), peak(MANY, "1s"), peak(FEW, "4s"));
        let (Some(few), Some(many), Some(longer)) = all else { continue };
        say(&format!(
            "memory, {}: {:.0} bytes a connection ({:.1} MiB with {FEW}, {:.1} MiB with {MANY}; {:.1} MiB with {FEW} after 4 times the requests); target <= 1024",
            engine.name(),
            (many - few) / (MANY - FEW) as f64,
            few / 1_048_576.0,
            many / 1_048_576.0,
            longer / 1_048_576.0,
        ));
    }
}
