//! Rates that move, think times, traces, shards: each arrival at its time, whoever makes it.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use crate::{check_accounting, checked, config, open_loop};
use loadgen::config::Shard;
use loadgen::draw::Draw;
use loadgen::schedule::{Arrivals, Profile, Schedule, Trace};
use loadgen::{Pacing, Stop, run};
use proptest::prelude::*;
use service::Kind;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// The arrivals before `until_ns` of a run made in `shards`, in the order of their numbers.
fn arrivals(
    profile: &Profile,
    spread: Arrivals,
    rate: f64,
    seed: u64,
    shards: u64,
    until_ns: u64,
) -> Vec<(u64, u64)> {
    let of = |i| Schedule::along(profile, spread, rate, seed, (i, shards));
    let mut all: Vec<_> = (0..shards).flat_map(|i| of(i).take_while(|(_, due)| *due < until_ns)).collect();
    all.sort_unstable();
    all
}

/// What a profile offers from 0 to `t` seconds, by another way than the schedule's: small steps of the rate.
fn offered(profile: &Profile, rate: f64, t: f64) -> f64 {
    let steps = 20_000;
    let rate_at = |t: f64| match profile {
        Profile::Burst { on_ns, off_ns } => {
            let (on, off) = (*on_ns as f64 / 1e9, *off_ns as f64 / 1e9);
            if t % (on + off) < on { rate } else { 0.0 }
        }
        Profile::Ramp { from, to, over_ns } => from + (to - from) * (t / (*over_ns as f64 / 1e9)).min(1.0),
        Profile::Steps { rates, each_ns } => {
            let at = (t / (*each_ns as f64 / 1e9)) as usize;
            rates[at.min(rates.len() - 1)]
        }
        Profile::Steady | Profile::Trace(_) => rate,
    };
    (0..steps).map(|i| rate_at((f64::from(i) + 0.5) / f64::from(steps) * t) * t / f64::from(steps)).sum()
}

fn profiles() -> impl Strategy<Value = Profile> {
    let level = || (0_u32..5_000).prop_map(f64::from);
    prop_oneof![
        Just(Profile::Steady),
        (1_u64..400, 0_u64..400)
            .prop_map(|(on, off)| Profile::Burst { on_ns: on * 1_000_000, off_ns: off * 1_000_000 }),
        (level(), level(), 1_u64..5_000).prop_map(|(from, to, ms)| Profile::Ramp {
            from,
            to,
            over_ns: ms * 1_000_000
        }),
        (proptest::collection::vec(level(), 1..6), 1_u64..1_000)
            .prop_map(|(rates, ms)| Profile::Steps { rates: rates.into(), each_ns: ms * 1_000_000 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_of_any_number_make_the_same_arrivals(
        profile in profiles(), poisson in any::<bool>(), seed in any::<u64>(), shards in 2_u64..7,
    ) {
        let spread = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
        let one = arrivals(&profile, spread, 1_500.0, seed, 1, 2 * SECOND);
        prop_assert!(one.windows(2).all(|w| w[0].1 <= w[1].1), "{profile:?}: not in order");
        prop_assert_eq!(arrivals(&profile, spread, 1_500.0, seed, shards, 2 * SECOND), one);
    }

    #[test]
    fn what_is_offered_is_the_integral_of_the_rate(profile in profiles(), seed in any::<u64>(), tenths in 1_u64..30) {
        let t = tenths as f64 / 10.0;
        let wanted = offered(&profile, 2_000.0, t);
        let even = arrivals(&profile, Arrivals::Constant, 2_000.0, seed, 1, tenths * SECOND / 10);
        // Two for the ends, and what the sum above makes of an edge that lies within one of its steps.
        prop_assert!((even.len() as f64 - wanted).abs() < 4.0, "{profile:?}: {} of {wanted}", even.len());
        let random = arrivals(&profile, Arrivals::Poisson, 2_000.0, seed, 1, tenths * SECOND / 10);
        let deviation = wanted.sqrt().max(1.0);
        prop_assert!((random.len() as f64 - wanted).abs() < 6.0 * deviation + 4.0, "{profile:?}: {} of {wanted}", random.len());
    }
}

#[test]
fn a_trace_and_a_rate_that_falls_to_nothing_end() {
    let trace = Trace::parse("t", "0\n1ms\n1ms\n2\n").unwrap();
    let all = |shards| arrivals(&Profile::Trace(trace.clone()), Arrivals::Constant, 1.0, 0, shards, u64::MAX);
    assert_eq!(all(1), [(0, 0), (1, 1_000_000), (2, 1_000_000), (3, 2 * SECOND)]);
    assert_eq!(all(3), all(1));
    let down = Profile::Ramp { from: 100.0, to: 0.0, over_ns: SECOND };
    assert_eq!(arrivals(&down, Arrivals::Constant, 0.0, 0, 1, u64::MAX).len(), 51);
}

#[test]
fn a_ramp_offers_what_it_says_in_each_interval() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    config.stop = Stop::After(Duration::from_millis(400));
    config.pacing = open_loop(1.0);
    config.profile = Profile::Ramp { from: 0.0, to: 2_000.0, over_ns: 400_000_000 };
    config.threads = 2;
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!(load.requests.scheduled, 400);
    assert_eq!(load.config.rate_per_s, Some(1_000.0));
    assert_eq!(load.config.arrivals, "constant ramp:0..2000 in 400ms");
    // Where each is due is exact (above); where the replies fall depends on the machine.
    let half: u64 = load.intervals[..2].iter().map(|i| i.completed).sum();
    assert!(half <= 100 + 40, "{half} in the first half");
}

/// One request of a log.
#[derive(serde::Deserialize)]
struct Logged {
    begun_ns: i64,
    done_ns: i64,
    connection: u32,
}

#[test]
fn who_thinks_rests_between_a_reply_and_the_next_request() {
    let peer = Peer::echo();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let url = format!("tcp://{}", peer.address);
    for (think, least_ms, mean_ms) in [("20ms", 20, 20), ("10ms..30ms", 10, 20), ("exp:20ms", 0, 20)] {
        let args = ["-c", "8", "-t", "2", "-d", "500ms", "--think", think, "--log", log.to_str().unwrap()];
        let load = checked(&[&args[..], &[&url]].concat());
        let text = std::fs::read_to_string(&log).unwrap();
        let mut requests: Vec<Logged> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        requests.sort_by_key(|r| (r.connection, r.begun_ns));
        let pairs = || requests.windows(2).filter(|w| w[0].connection == w[1].connection);
        // A timer is never early, and how late it is depends on the machine.
        assert!(pairs().all(|w| w[1].begun_ns - w[0].done_ns >= least_ms * 1_000_000), "{think}");
        // 8 users with a request each 20 ms: 200 and the first of each, where replies take no time; exponential times scatter.
        let most = 8 * (500 / mean_ms + 1) + if least_ms == 0 { 80 } else { 16 };
        assert!((16..=most).contains(&load.requests.scheduled), "{think}: {}", load.requests.scheduled);
        // They do not begin together.
        let mut firsts: Vec<_> =
            requests.chunk_by(|a, b| a.connection == b.connection).map(|r| r[0].begun_ns).collect();
        firsts.sort_unstable();
        assert!(firsts.len() == 8 && firsts[7] - firsts[0] > 2_000_000, "{think}: {firsts:?}");
    }
}

#[test]
fn think_times_outlive_a_connection_that_the_server_closes() {
    let closing = Peer::start(|mut stream| {
        use std::io::{Read as _, Write as _};
        let mut buffer = [0; 64];
        stream.read_exact(&mut buffer)?;
        stream.write_all(&buffer)
    });
    let mut config = config(&closing, Kind::Echo);
    config.think = Some(Draw::Fixed(20_000_000));
    config.stop = Stop::Requests(40);
    let load = run(&config).unwrap();
    check_accounting(&load);
    assert_eq!(load.requests.sent, 40);
    assert!(load.elapsed_ns > 120_000_000, "10 rounds of 20 ms took {} ns", load.elapsed_ns);
}

#[test]
fn shards_make_the_requests_of_one_run() {
    let peer = Peer::echo();
    let mut config = config(&peer, Kind::Echo);
    for pacing in [Pacing::Closed, open_loop(3_000.0)] {
        config.pacing = pacing;
        config.stop = Stop::Requests(100);
        let sent: Vec<_> = (0..3)
            .map(|index| {
                config.shard = Shard { index, of: 3 };
                run(&config).unwrap().requests.completed
            })
            .collect();
        assert_eq!(sent, [34, 33, 33], "{pacing:?}");
    }
}

#[test]
fn a_trace_is_played_and_ends_the_run() {
    let peer = Peer::echo();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace");
    std::fs::write(&file, "# a pause in the middle\n0\n1ms\n2ms\n0.15\n151ms\n").unwrap();
    let url = format!("tcp://{}", peer.address);
    let load = checked(&["--trace", file.to_str().unwrap(), "--timeout", "20ms", &url]);
    assert_eq!(load.requests.completed, 5, "a pause longer than all patience ends nothing");
    assert!((151_000_000..2_000_000_000).contains(&load.elapsed_ns), "{}", load.elapsed_ns);
    let load = checked(&["--trace", file.to_str().unwrap(), "-d", "50ms", &url]);
    assert_eq!((load.requests.scheduled, load.elapsed_ns), (3, 50_000_000));
    std::fs::write(&file, "0\nnoon\n").unwrap();
    let output = output(&["--trace", file.to_str().unwrap(), &url]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("line 2"), "{}", stderr(&output));
}
