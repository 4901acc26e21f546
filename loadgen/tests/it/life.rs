//! Connection life: how much a connection carries, how old it gets, what follows it, how fast connections are made.

use crate::peer::Peer;
use crate::{check_accounting, checked, config, open_loop};
use loadgen::draw::Draw;
use loadgen::life::Reconnect;
use loadgen::{Stop, run};
use record::{Load, VerdictState};
use service::Kind;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An echo for messages of 64 bytes that writes down how many each connection brought, when it ends.
fn counting() -> (Peer, Arc<Mutex<Vec<u64>>>) {
    let counts = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&counts);
    let peer = Peer::start(move |mut stream| {
        let (mut buffer, mut count) = ([0; 64], 0);
        while stream.read_exact(&mut buffer).is_ok() {
            // Counted before the reply: whoever has it may look.
            count += 1;
            if stream.write_all(&buffer).is_err() {
                break;
            }
        }
        book.lock().unwrap().push(count);
        Ok(())
    });
    (peer, counts)
}

/// Answers `replies` times on each connection, then closes it in good order.
fn closing_after(replies: u32) -> Peer {
    Peer::start(move |mut stream| {
        let mut buffer = [0; 64];
        for _ in 0..replies {
            stream.read_exact(&mut buffer)?;
            stream.write_all(&buffer)?;
        }
        Ok(())
    })
}

fn reasons(load: &Load) -> String {
    load.verdict.reasons.join("; ")
}

#[test]
fn a_range_of_requests_is_drawn_for_each_connection_and_replays() {
    let sequence = || {
        let (peer, counts) = counting();
        let url = format!("tcp://{}", peer.address);
        let load = checked(&["-n", "200", "-c", "1", "--requests-per-connection", "2..5", &url]);
        assert_eq!((load.requests.completed, load.requests.failed), (200, 0));
        assert_eq!(load.config.requests_per_connection_to, Some(5));
        // The last connection ends with the process.
        let deadline = Instant::now() + Duration::from_secs(5);
        while counts.lock().unwrap().iter().sum::<u64>() < 200 {
            assert!(Instant::now() < deadline, "{counts:?}");
            std::thread::yield_now();
        }
        // Each connection has a thread of the server, and these end in any order.
        let mut counts = counts.lock().unwrap().clone();
        counts.sort_unstable();
        counts
    };
    let once = sequence();
    // The last one is cut short by the end of the run.
    assert!(once[1..].iter().all(|n| (2..=5).contains(n)), "{once:?}");
    assert!((2..=5).all(|n| once.contains(&n)), "{once:?}");
    assert_eq!(sequence(), once);
}

#[test]
fn old_connections_are_closed_and_cost_no_request() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    config.stop = Stop::After(Duration::from_millis(400));
    for (pacing, pipeline) in
        [(loadgen::Pacing::Closed, 1), (loadgen::Pacing::Closed, 4), (open_loop(500.0), 1)]
    {
        config.pacing = pacing;
        config.pipeline = pipeline;
        config.life.lifetime = Some(Draw::Uniform(30_000_000, 60_000_000));
        let load = run(&config).unwrap();
        check_accounting(&load);
        assert_eq!((load.requests.failed, load.errors.len()), (0, 0), "{pacing:?} {:?}", load.errors);
        // 4 places, each with a new connection every 45 ms or so, where the machine has time.
        assert!((4..=60).contains(&load.connections.made), "{pacing:?}: {}", load.connections.made);
    }
}

#[test]
fn never_ends_with_the_last_connection() {
    let (peer, _) = counting();
    let mut config = config(&peer, Kind::Echo);
    config.threads = 2;
    config.requests_per_connection = NonZeroU64::new(3);
    config.life.reconnect = Reconnect::Never;
    config.stop = Stop::Requests(1_000);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.sent, load.requests.completed), (12, 12));
    assert!(reasons(&load).contains("every connection had ended"), "{}", reasons(&load));
    config.stop = Stop::After(Duration::from_millis(250));
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.completed, load.elapsed_ns), (12, 250_000_000));
    let last = load.intervals.last().unwrap();
    assert_eq!((last.wanted, last.living), (4, Some(0.0)));
    assert_eq!(load.verdict.state, VerdictState::Suspect);
}

#[test]
fn eager_connections_are_there_before_they_are_needed() {
    let peer = closing_after(2);
    let mut config = config(&peer, Kind::Echo);
    config.pacing = open_loop(100.0);
    config.stop = Stop::After(Duration::from_millis(500));
    let lazy = run(&config).unwrap();
    config.life.reconnect = Reconnect::Eager;
    let eager = run(&config).unwrap();
    for load in [&lazy, &eager] {
        check_accounting(load);
        assert_eq!(load.requests.scheduled, 50);
    }
    // Each connection that was closed is replaced while it is not needed.
    let last = eager.intervals.last().unwrap();
    assert!(last.living > Some(3.0), "{last:?}");
    let mean = |load: &Load| {
        load.intervals.iter().filter_map(|i| i.living).sum::<f64>() / load.intervals.len() as f64
    };
    assert!(mean(&lazy) < mean(&eager) + 0.5, "{} {}", mean(&lazy), mean(&eager));
}

#[test]
fn an_eager_client_does_not_hammer_a_server_that_hangs_up() {
    let peer = Peer::start(|_| Ok(()));
    let mut config = config(&peer, Kind::Echo);
    config.life.reconnect = Reconnect::Eager;
    config.stop = Stop::After(Duration::from_millis(300));
    let load = run(&config).unwrap();
    check_accounting(&load);
    let accepted = peer.accepted.load(std::sync::atomic::Ordering::SeqCst);
    // 1 + 2 + 4 … ms: some ten for each of four places, and one more where a request met the end first.
    assert!(accepted < 200, "{accepted} connections in 300 ms");
    assert!(!load.errors.is_empty() || load.requests.failed > 0);
}

#[test]
fn connects_take_turns_and_who_waits_goes_on_counting() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    config.connections = 10;
    config.threads = 2;
    config.life.connect_rate_per_s = Some(100.0);
    config.stop = Stop::Requests(10);
    let begun = Instant::now();
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert!(begun.elapsed() > Duration::from_millis(85), "ten connects took {:?}", begun.elapsed());
    config.connections = 4;
    config.requests_per_connection = NonZeroU64::new(1);
    config.stop = Stop::After(Duration::from_millis(500));
    let load = run(&config).unwrap();
    check_accounting(&load);
    // Each thread has a turn every 20 ms: 26 of them at most, whatever the phase.
    assert!((4..=52).contains(&load.connections.made), "{} connects in 500 ms", load.connections.made);
    // Four wait for one turn in ten milliseconds: nearly all of it is waiting, and the connect itself is short.
    let (latency, connect) = (load.latency_ns.mean.unwrap(), load.connect_ns.mean.unwrap());
    assert!(latency > 25e6 && connect < latency / 2.0, "latency {latency}, connect {connect}");
}

crate::also_over_uring!(
    a_range_of_requests_is_drawn_for_each_connection_and_replays,
    old_connections_are_closed_and_cost_no_request,
    never_ends_with_the_last_connection,
    eager_connections_are_there_before_they_are_needed,
    an_eager_client_does_not_hammer_a_server_that_hangs_up,
    connects_take_turns_and_who_waits_goes_on_counting,
);
