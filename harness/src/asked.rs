//! What a workload asks of the generator, as its command line. Not here: what the options mean, which the generator alone knows.

use crate::plan::Workload;
use std::ffi::OsString;
use std::time::Duration;
use sys::Family;

/// The generator's options for a window of a workload.
#[must_use]
pub fn options(w: &Workload, window: Duration, warm_up: Duration, seed: u64) -> Vec<OsString> {
    let us = |time: Duration| format!("{}us", time.as_micros());
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    let options = [
        ("--service", Some(w.service.clone())),
        ("--connections", Some(w.connections.to_string())),
        ("--duration", Some(us(window))),
        ("--warm-up", Some(us(warm_up))),
        ("--seed", Some(seed.to_string())),
        ("--pipeline", number(w.pipeline.map(u64::from))),
        ("--size", number(w.size)),
        ("--requests-per-connection", number(w.requests_per_connection)),
        ("--rate", w.rate.map(|rate| rate.to_string())),
        ("--arrivals", w.arrivals.clone()),
        ("--think", w.think.clone()),
        ("--ramp", w.ramp.clone()),
        ("--steps", w.steps.clone()),
        ("--lifetime", w.lifetime.clone()),
        ("--reconnect", w.reconnect.clone()),
        ("--connect-rate", w.connect_rate.clone()),
        ("--slow-read", w.slow_read.clone()),
        ("--slow-write", w.slow_write.clone()),
        ("--trickle", w.trickle.clone()),
        ("--partial", w.partial.clone()),
        ("--work", w.work.clone()),
    ];
    let aborts = w.abort.iter().map(|plan| ("--abort", plan.clone()));
    let given = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
    // In one word: a value that begins with a dash is no option.
    given.chain(aborts).map(|(name, value)| format!("{name}={value}").into()).collect()
}

/// Why the generator would refuse a workload, in one line; found before any server is started.
#[must_use]
pub fn refusal(w: &Workload, family: Family, window: Duration) -> Option<String> {
    let url = match family {
        Family::Tcp if w.service == "http" => "http://127.0.0.1:1",
        Family::Tcp => "tcp://127.0.0.1:1",
        Family::Udp => "udp://127.0.0.1:1",
        Family::Unix => "unix:/nowhere",
        Family::Unixgram => "unixgram:/nowhere",
    };
    let mut args: Vec<OsString> = vec!["loadgen".into()];
    args.extend(options(w, window, Duration::ZERO, 1));
    args.push(url.into());
    loadgen::refusal(args)
}
