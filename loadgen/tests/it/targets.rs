//! Several targets with weights: what each gets, and that the whole is their sum. Not here: one target.

use crate::cli::output;
use crate::peer::Peer;
use crate::postman::Postman;
use crate::{check_accounting, checked, open_loop};
use loadgen::targets::Target;
use loadgen::{Config, Error, Pacing, Stop, run};
use record::{Load, VerdictState};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use sys::Family;

fn config(targets: &[String], pacing: Pacing, requests: u64) -> Config {
    let targets: Vec<Target> = targets.iter().map(|target| target.parse().unwrap()).collect();
    let mut config = Config::new(targets[0].url.clone());
    config.targets = targets;
    config.connections = 8;
    config.pacing = pacing;
    config.stop = Stop::Requests(requests);
    config.timeout = Duration::from_secs(5);
    config
}

/// The whole is the sum of the targets, and its percentiles come from the sum of their histograms.
fn check_targets(load: &Load) {
    check_accounting(load);
    let sum = |pick: fn(&record::load::Requests) -> u64| load.targets.iter().map(|t| pick(&t.requests)).sum();
    let r = &load.requests;
    assert_eq!(
        (r.scheduled, r.completed, r.failed),
        (sum(|r| r.scheduled), sum(|r| r.completed), sum(|r| r.failed))
    );
    let decode = |text: &str| record::histogram::decode(text).unwrap();
    let mut merged = decode(&load.targets[0].latency);
    for target in &load.targets[1..] {
        merged.add(decode(&target.latency)).unwrap();
    }
    assert_eq!(merged, decode(&load.histograms.latency));
    let rates: f64 = load.targets.iter().map(|t| t.throughput_per_s).sum();
    assert!((rates / load.throughput_per_s - 1.0).abs() < 1e-6);
}

#[test]
fn arrivals_go_by_weight_and_the_whole_is_the_sum() {
    let [a, b] = [Peer::echo(), Peer::echo()];
    let datagrams = Postman::echo(Family::Udp);
    let targets =
        [format!("6@tcp://{}", a.address), format!("tcp://{}", b.address), format!("1@{}", datagrams.url)];
    for threads in [1, 4] {
        let mut config = config(&targets, open_loop(4_000.0), 800);
        config.threads = threads;
        let load = run(&config).unwrap();
        check_targets(&load);
        assert_eq!((load.requests.scheduled, load.requests.completed), (800, 800), "{:?}", load.errors);
        // Drawn from the seed and the arrival's number: the same for any number of threads.
        let shares: Vec<u64> = load.targets.iter().map(|t| t.requests.scheduled).collect();
        assert_eq!(shares.iter().sum::<u64>(), 800);
        assert!(
            (540..=660).contains(&shares[0]) && shares[1..].iter().all(|n| (60..=140).contains(n)),
            "{shares:?}"
        );
        let again: Vec<u64> = run(&config).unwrap().targets.iter().map(|t| t.requests.scheduled).collect();
        assert_eq!(again, shares);
        assert_eq!(load.datagrams.as_ref().map(|d| d.sent), Some(shares[2]));
        assert_eq!(load.targets[0].weight, 6.0);
    }
    assert!(a.accepted.load(SeqCst) > b.accepted.load(SeqCst));
}

#[test]
fn a_closed_loop_shares_out_connections_and_requests() {
    let [a, b] = [Peer::echo(), Peer::echo()];
    let targets = [format!("3@tcp://{}", a.address), format!("tcp://{}", b.address)];
    let load = run(&config(&targets, Pacing::Closed, 400)).unwrap();
    check_targets(&load);
    let got: Vec<_> = load.targets.iter().map(|t| (t.connections, t.requests.completed)).collect();
    assert_eq!(got, [(6, 300), (2, 100)]);
    assert_eq!((load.connections.wanted, load.connections.peak), (8, 8));
}

#[test]
fn a_target_that_is_not_there_is_named_and_spoils_the_run() {
    let (there, gone) = (Peer::echo(), Peer::absent());
    let targets = [format!("tcp://{}", there.address), format!("tcp://{}", gone.address)];
    let mut config = config(&targets, open_loop(1_000.0), 1);
    config.stop = Stop::After(Duration::from_millis(200));
    let load = run(&config).unwrap();
    check_targets(&load);
    assert_eq!(load.verdict.state, VerdictState::Invalid);
    let named = format!("tcp://{} was never reached (ECONNREFUSED)", gone.address);
    assert!(load.verdict.reasons.contains(&named), "{:?}", load.verdict);
    assert!(load.targets[0].requests.completed > 0 && load.targets[1].requests.completed == 0);
    config.targets.remove(0);
    config.targets.push(config.targets[0].clone());
    assert!(matches!(run(&config), Err(Error::Unreachable { .. })));
}

#[test]
fn the_command_takes_weights_and_says_each_target() {
    let [a, b] = [Peer::echo(), Peer::echo()];
    let (first, second) = (format!("3@tcp://{}", a.address), format!("tcp://{}", b.address));
    let folder = tempfile::tempdir().unwrap();
    let [one, two, metrics] = ["1", "2", "m"].map(|name| folder.path().join(name).display().to_string());
    let run = |file: &str| {
        output(&[&first, &second, "-n", "200", "-c", "4", "--json", file, "--openmetrics", &metrics])
    };
    let text = String::from_utf8(run(&one).stdout).unwrap();
    assert!(text.contains("  target\n") && text.contains(&format!("  tcp://{}", b.address)), "{text}");
    assert!(text.contains(&format!("at {first} {second}\n")), "{text}");
    let page = std::fs::read_to_string(&metrics).unwrap();
    assert!(
        page.contains(&format!(
            "loadgen_target_requests_total{{target=\"tcp://{}\",outcome=\"completed\"}} 150",
            a.address
        )),
        "{page}"
    );
    run(&two);
    let merged = checked_merge(&[&one, &two]);
    check_targets(&merged);
    assert_eq!(merged.targets.iter().map(|t| t.requests.completed).collect::<Vec<_>>(), [300, 100]);
    let load = checked(&[&second, "-n", "20", "-c", "2"]);
    assert!(load.targets.is_empty() && load.target == second);
}

fn checked_merge(files: &[&str]) -> Load {
    let output = output(&[&["merge", "--align", "chain", "-q", "--json", "-"], files].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", crate::cli::stderr(&output)))
}
