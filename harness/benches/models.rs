//! Per model, against a real server process: echo round trip, greeting connect-and-close, processor time per request.
//! Not here: latency under load, which a closed loop of one client cannot show (see `harness run`).
#![allow(clippy::expect_used, reason = "a bench that cannot run says why by failing")]

#[allow(dead_code, reason = "each bench uses a part of it")]
mod support;

use criterion::{BenchmarkId, Criterion};
use std::hint::black_box;
use std::io::Read as _;
use std::time::Duration;

fn echo_round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("echo_round_trip_64B");
    for model in support::models() {
        let server = support::server(model, "echo");
        let mut stream = support::connect(&server);
        let (message, mut reply) = ([b'x'; 64], [0; 64]);
        group.bench_function(BenchmarkId::from_parameter(model), |b| {
            b.iter(|| support::round_trip(&mut stream, black_box(&message), &mut reply));
        });
    }
    group.finish();
}

fn greeting_connect_and_close(c: &mut Criterion) {
    let mut group = c.benchmark_group("greeting_connect_and_close");
    for model in support::models() {
        let server = support::server(model, "greeting");
        group.bench_function(BenchmarkId::from_parameter(model), |b| {
            b.iter(|| {
                let mut text = Vec::with_capacity(64);
                support::connect(&server).read_to_end(&mut text).expect("read");
                assert_eq!(text, b"thank you for connecting\n");
            });
        });
    }
    group.finish();
}

/// The value that criterion shows as a time is the server's processor time, user and system, per request: wall time says what the
/// client waited for, this says what the server spent. A forking server's children are not in it while they live, so the
/// connection's own process is watched.
fn cpu_per_request(c: &mut Criterion) {
    let mut group = c.benchmark_group("server_cpu_per_echo_64B");
    for model in support::models() {
        let server = support::server(model, "echo");
        let mut stream = support::connect(&server);
        let (message, mut reply) = ([b'x'; 64], [0; 64]);
        support::round_trip(&mut stream, &message, &mut reply);
        let pids: Vec<i32> = server.tree().iter().map(|id| id.pid).collect();
        let used =
            || pids.iter().map(|pid| sys::clock::cpu_ns_of(*pid).expect("the server lives")).sum::<u64>();
        group.bench_function(BenchmarkId::from_parameter(model), |b| {
            b.iter_custom(|n| {
                let before = used();
                for _ in 0..n {
                    support::round_trip(&mut stream, &message, &mut reply);
                }
                Duration::from_nanos(used() - before)
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = support::criterion();
    echo_round_trip(&mut criterion);
    greeting_connect_and_close(&mut criterion);
    cpu_per_request(&mut criterion);
    criterion.final_summary();
}
