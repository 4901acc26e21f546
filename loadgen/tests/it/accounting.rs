//! Nothing is dropped: the identities, in runs where everything happens at once.

use crate::peer::Peer;
use crate::{check_accounting, config, open_loop};
use loadgen::abort::Plan;
use loadgen::{Stop, run, run_until};
use record::VerdictState;
use service::Kind;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Answers, lies, hangs and dies, each now and then.
fn moody() -> Peer {
    let turn = AtomicU64::new(0);
    Peer::start(move |mut stream| {
        let mut buffer = [0; 4096];
        loop {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            match turn.fetch_add(1, SeqCst) % 11 {
                3 => return Ok(()),
                5 => stream.write_all(&buffer[..n / 2])?,
                7 => stream.write_all(&[buffer[0] ^ 1])?,
                9 => stream.write_all(&[&buffer[..n], &buffer[..n]].concat())?,
                _ => stream.write_all(&buffer[..n])?,
            }
        }
    })
}

#[test]
fn the_sums_hold_whatever_the_server_does() {
    let peer = moody();
    let rules = ["connect:3%", "mid-request:3%", "after-request:3%", "mid-response:3%:fin", "idle:3%:fin"];
    let plan = Plan::new(rules.map(|rule| rule.parse().unwrap()).into()).unwrap();
    for pacing in [loadgen::Pacing::Closed, open_loop(3_000.0)] {
        for limit in [None, NonZeroU64::new(3)] {
            for stop in [Stop::After(Duration::from_millis(150)), Stop::Requests(300)] {
                let mut config = config(&peer, Kind::Echo);
                config.pacing = pacing;
                config.requests_per_connection = limit;
                config.stop = stop;
                config.connections = 16;
                config.threads = 2;
                config.timeout = Duration::from_millis(50);
                config.aborts = plan.clone();
                let load = run(&config).unwrap();
                check_accounting(&load);
                assert!(load.requests.failed > 0 && load.aborts.done > 0, "{pacing:?} {:?}", load.requests);
                assert!(load.collateral_errors > 0);
            }
        }
    }
}

#[test]
fn an_interrupted_run_says_so_and_keeps_its_sums() {
    let replies = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&replies);
    let peer = Peer::replying(move |bytes| {
        count.fetch_add(1, SeqCst);
        bytes.to_vec()
    });
    let mut config = config(&peer, Kind::Echo);
    config.pacing = open_loop(1_000.0);
    config.stop = Stop::After(Duration::from_secs(600));
    let stop = AtomicBool::new(false);
    let load = std::thread::scope(|scope| {
        let run = scope.spawn(|| run_until(&config, &stop));
        while replies.load(SeqCst) < 10 {
            std::thread::yield_now();
        }
        stop.store(true, SeqCst);
        run.join().unwrap().unwrap()
    });
    check_accounting(&load);
    assert!(load.elapsed_ns < 10_000_000_000);
    assert!(load.requests.completed > 0);
    assert!(load.verdict.state >= VerdictState::Suspect);
    assert!(load.verdict.reasons.iter().any(|reason| reason.contains("cut short")), "{:?}", load.verdict);
}

#[test]
fn the_warm_up_leaves_no_trace() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    config.pacing = open_loop(1_000.0);
    config.warm_up = Duration::from_millis(150);
    config.stop = Stop::After(Duration::from_millis(100));
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!((load.requests.scheduled, load.requests.completed), (100, 100));
    assert_eq!((load.elapsed_ns, load.warm_up_ns), (100_000_000, 150_000_000));
    assert!(load.bytes.sent <= 110 * 64, "{:?}", load.bytes);
}

crate::also_over_uring!(
    the_sums_hold_whatever_the_server_does,
    an_interrupted_run_says_so_and_keeps_its_sums,
    the_warm_up_leaves_no_trace,
);
