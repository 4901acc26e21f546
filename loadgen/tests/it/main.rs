//! The load generator as a whole, against small servers in threads of this process. Not here: the project's own servers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod aborts;
mod accounting;
mod cli;
mod counts;
mod crowd;
mod datagrams;
mod distributions;
mod engine;
mod exports;
mod files;
mod fleet;
mod http;
mod life;
mod linger;
mod misfits;
mod omission;
mod peer;
mod pipeline;
mod postman;
mod profiles;
mod program;
mod raw;
mod recorded;
mod refused;
mod schedule;
mod search;
mod selftest;
mod stored;
mod targets;
mod truth;
mod unix;
mod uring;
mod view;

use loadgen::schedule::Arrivals;
use loadgen::{Config, Mechanism, Pacing, Stop};
use peer::Peer;
use record::Load;
use service::Kind;
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    /// What the configurations and commands of a test are for. A test has a thread of its own.
    static ENGINE: Cell<Mechanism> = const { Cell::new(Mechanism::Epoll) };
}

/// The named tests once more, over io_uring.
macro_rules! also_over_uring {
    ($($test:ident),+ $(,)?) => {
        mod uring {
            $(#[test]
            fn $test() {
                crate::over_uring(super::$test);
            })+
        }
    };
}
use also_over_uring;

fn over_uring(test: fn()) {
    if let Err(reason) = sys::uring::probe() {
        return skipped(&reason);
    }
    ENGINE.set(Mechanism::Uring);
    test();
}

/// A closed loop of 4 connections for 200 ms against `peer`; tests change what they are about.
fn config(peer: &Peer, kind: Kind) -> Config {
    let scheme = if kind == Kind::Http { "http" } else { "tcp" };
    config_at(&format!("{scheme}://{}", peer.address), kind)
}

/// The same against `url`.
fn config_at(url: &str, kind: Kind) -> Config {
    let mut config = Config::new(url.parse().unwrap());
    config.ask.kind = kind;
    config.ask.path = None;
    config.connections = 4;
    config.stop = Stop::After(Duration::from_millis(200));
    config.timeout = Duration::from_millis(300);
    config.engine = ENGINE.get();
    config
}

fn open_loop(rate_per_s: f64) -> Pacing {
    Pacing::Open { rate_per_s, arrivals: Arrivals::Constant }
}

/// The identities that hold for every run, whatever happened in it.
fn check_accounting(load: &Load) {
    let r = &load.requests;
    assert_eq!(r.scheduled, r.sent + r.unsent, "{r:?}");
    assert_eq!(r.sent, r.completed + r.failed + r.unanswered + r.aborted, "{r:?}");
    assert_eq!(load.latency_ns.count, r.completed + r.unanswered + r.unsent, "{r:?}");
    assert_eq!(load.service_ns.count, r.completed, "{r:?}");
    assert_eq!(load.aborts.planned, load.aborts.done + load.aborts.not_reached, "{:?}", load.aborts);
    assert_eq!(load.aborts.done, r.aborted);
    assert_eq!(load.aborts.by_kind.values().sum::<u64>(), load.aborts.done);
    assert_eq!(load.intervals.iter().map(|i| i.completed).sum::<u64>(), r.completed);
    assert_eq!(load.intervals.iter().map(|i| i.failed).sum::<u64>(), r.failed);
    let histogram = record::histogram::decode(&load.histograms.latency).unwrap();
    assert_eq!(histogram.len(), load.latency_ns.count);
}

/// How often an error was met.
fn errors(load: &Load, phase: &str, cause: &str) -> u64 {
    load.errors.iter().filter(|e| e.phase == phase && e.cause == cause).map(|e| e.count).sum()
}

/// What the command makes of `args`, from its JSON.
fn checked(args: &[&str]) -> Load {
    let output = cli::output(&[&["-q", "--json", "-", "--engine", ENGINE.get().name()], args].concat());
    let load: Load = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)));
    check_accounting(&load);
    assert_eq!(load.config.engine, ENGINE.get().name());
    load
}

/// Says aloud that a test could not be made here.
#[expect(clippy::print_stderr, reason = "the test runner's own channel")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
