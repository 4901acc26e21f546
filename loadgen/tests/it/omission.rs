//! Coordinated omission: a server that stalls must show in the latency from the intended start, and only there.

use crate::peer::Peer;
use crate::{check_accounting, config, open_loop};
use loadgen::{Pacing, Stop, run};
use service::Kind;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(500);
const STALL: Duration = Duration::from_millis(100);

/// Echoes, but not in the first 100 ms of every 500 ms.
fn stalling() -> Peer {
    let start = Instant::now();
    Peer::start(move |mut stream| {
        let mut buffer = [0; 4096];
        loop {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            let into = Duration::from_nanos((start.elapsed().as_nanos() % PERIOD.as_nanos()) as u64);
            sys::clock::sleep(STALL.saturating_sub(into));
            stream.write_all(&buffer[..n])?;
        }
    })
}

#[test]
fn a_stall_shows_from_the_intended_start_and_hides_from_the_actual_one() {
    let peer = stalling();
    let mut config = config(&peer, Kind::Echo);
    config.connections = 10;
    config.pacing = open_loop(2_000.0);
    config.stop = Stop::After(3 * PERIOD);
    config.timeout = Duration::from_secs(1);
    let load = run(&config).unwrap();
    check_accounting(&load);
    // The window may end in a stall, with a few arrivals still waiting; their ages count.
    assert_eq!(
        load.requests.completed + load.requests.unsent,
        3_000,
        "{:?} {:?}",
        load.requests,
        load.errors
    );
    let histogram = record::histogram::decode(&load.histograms.latency).unwrap();
    let service = record::histogram::decode(&load.histograms.service).unwrap();
    let ms = |ns: u64| ns as f64 / 1e6;
    // A fifth of the arrivals meets a stall and waits for what is left of it, 0 to 100 ms: half of that at p90, 95 ms at p99.
    let (p90, p99) = (ms(histogram.value_at_percentile(90.0)), ms(histogram.value_at_percentile(99.0)));
    assert!((30.0..80.0).contains(&p90), "p90 {p90} ms");
    assert!((75.0..160.0).contains(&p99), "p99 {p99} ms");
    // From the actual send, ten requests a stall (the connections) are slow: one in a hundred.
    let from_send = ms(service.value_at_percentile(90.0));
    assert!(from_send < 20.0, "service p90 {from_send} ms");
    // The generator was punctual all the while.
    let lag = record::histogram::decode(&load.histograms.lag).unwrap();
    assert!(ms(lag.value_at_percentile(90.0)) < 20.0);
}

#[test]
fn a_closed_loop_does_not_see_it() {
    let peer = stalling();
    let mut config = config(&peer, Kind::Echo);
    config.connections = 10;
    config.pacing = Pacing::Closed;
    config.stop = Stop::After(2 * PERIOD);
    let load = run(&config).unwrap();
    check_accounting(&load);
    // Why there is an open loop at all: the same server looks well.
    assert!(load.latency_ns.p90.unwrap() < 30_000_000, "{:?}", load.latency_ns);
}

crate::also_over_uring!(
    a_stall_shows_from_the_intended_start_and_hides_from_the_actual_one,
    a_closed_loop_does_not_see_it,
);
