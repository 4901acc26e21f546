//! One observation: a fresh server under our own generator, its processor time per request in the window. Not here: which servers.

use crate::rows::{Load, Side};
use crate::sides::Workshop;
use harness::observe::{Watcher, until_next};
use loadgen::config::{Config, Stop};
use service::Kind;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often it is asked whether the load has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a connection adds to the warm-up: it was made, but a server that forks for it is still at that when the load begins.
const EACH: Duration = Duration::from_micros(300);

/// What an observation found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Processor time per request in nanoseconds, of the server's whole tree, ended children included.
    pub(crate) cpu_ns: f64,
    /// Requests per second.
    pub(crate) per_s: f64,
    /// Share of the window in which the server had its processor.
    pub(crate) busy: f64,
}

/// Starts `side`, loads it, and ends it.
pub(crate) fn observe(
    workshop: &Workshop,
    side: &Side,
    load: &Load,
    window: Duration,
) -> Result<Seen, String> {
    let server = workshop.start(*side, load)?;
    let mut watcher = Watcher::new(server.identity());
    let config = config(server.url(), load, window)?;
    let edges = [config.warm_up, config.warm_up + window];
    let over = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        let generator = scope.spawn(|| {
            let run = loadgen::run(&config);
            over.store(true, Relaxed);
            run
        });
        let start = Instant::now();
        while !over.load(Relaxed) {
            watcher.sample();
            sys::clock::pause(until_next(start.elapsed(), edges).min(LOOK));
        }
        watcher.sample();
        generator.join()
    });
    let load = run.map_err(|_| "the generator panicked".to_owned())?.map_err(|error| error.to_string())?;
    let (done, lost) = (load.requests.completed, load.requests.failed + load.requests.unanswered);
    if done == 0 && lost == 0 {
        return Err(format!("{} answered nothing within the window", side.name()));
    }
    if lost > 0 {
        return Err(format!("{}: {lost} requests failed, {done} were answered", side.name()));
    }
    let cpu_ns = watcher
        .cpu_between(load.started_at_ns, load.started_at_ns + load.elapsed_ns)
        .ok_or("the processor time was not read in time")? as f64;
    Ok(Seen {
        cpu_ns: cpu_ns / done as f64,
        per_s: load.throughput_per_s,
        busy: cpu_ns / load.elapsed_ns as f64,
    })
}

fn config(url: &str, load: &Load, window: Duration) -> Result<Config, String> {
    let url = if load.kind == Kind::Http { url.replacen("tcp://", "http://", 1) } else { url.to_owned() };
    let mut config = Config::new(url.parse().map_err(|error: sys::BadUrl| error.to_string())?);
    config.ask.kind = load.kind;
    config.ask.size = load.size;
    config.ask.close = load.churn;
    config.connections = load.connections;
    config.requests_per_connection = NonZeroU64::new(1).filter(|_| load.churn);
    config.warm_up = window / 3 + EACH * load.connections;
    config.stop = Stop::After(window);
    Ok(config)
}
