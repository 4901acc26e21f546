//! A hot loop allocates nothing per request (DESIGN, invariant 3). In a binary of its own, since the allocator counts the process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use loadgen::schedule::Arrivals;
use loadgen::{Config, Mechanism, Pacing, Stop, run};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::num::NonZeroU64;

#[global_allocator]
static ALLOCATOR: sys::alloc::Counting = sys::alloc::Counting;

/// Serves `connections` at a time from as many threads, which allocate nothing themselves.
fn echo(threads: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..threads {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((mut stream, _)) = listener.accept() {
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..n]).is_err() {
                        break;
                    }
                }
            }
        });
    }
    format!("tcp://{address}")
}

/// Answers datagrams, and allocates nothing.
fn datagram_echo() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((n, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..n], peer);
        }
    });
    format!("udp://{address}")
}

#[test]
fn a_hundred_times_the_requests_take_no_more_allocations() {
    let [stream, datagrams] = [echo(8), datagram_echo()];
    let open = Pacing::Open { rate_per_s: 200_000.0, arrivals: Arrivals::Poisson };
    let loads = [
        (Pacing::Closed, None, 1),
        (open, None, 1),
        (Pacing::Closed, NonZeroU64::new(1), 1),
        (Pacing::Closed, None, 8),
    ];
    let engines = Mechanism::ALL.into_iter().filter(|engine| match (engine, sys::uring::probe()) {
        (Mechanism::Uring, Err(reason)) => {
            eprintln!("SKIPPED: {reason}");
            false
        }
        _ => true,
    });
    let streams = engines.flat_map(|engine| loads.map(|load| (&stream, engine, load)));
    // An open loop that a datagram server cannot keep up with loses some, and waits for them: a longer run has more intervals.
    let closed = loads.into_iter().filter(|(pacing, ..)| *pacing == Pacing::Closed);
    let of_datagrams = closed.map(|load| (&datagrams, Mechanism::Epoll, load));
    for (url, engine, (pacing, limit, pipeline)) in streams.chain(of_datagrams) {
        let allocations = |requests| {
            let mut config = Config::new(url.parse().unwrap());
            config.connections = 8;
            config.threads = 2;
            config.pacing = pacing;
            config.requests_per_connection = limit;
            config.pipeline = pipeline;
            config.engine = engine;
            config.stop = Stop::Requests(requests);
            let before = sys::alloc::count();
            let load = run(&config).unwrap();
            assert_eq!(load.requests.completed, requests);
            (sys::alloc::count() - before, load.intervals.len() as u64)
        };
        // What is allocated once is allocated by the first run too; the queue of an open loop that cannot keep up is seen
        // to beforehand up to 4096, and doubles beyond. The result has some for each of its intervals: a busy machine has more.
        let (few, _) = allocations(100);
        let (many, intervals) = allocations(10_000);
        assert!(
            many < few + 200 + 20 * intervals,
            "{url} {engine:?} {pacing:?} {limit:?}: {few} for 100 requests, {many} for 10000"
        );
    }
}
