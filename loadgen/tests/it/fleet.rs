//! A run of several processes under one command: shares, a common start, one result, and what happens when one fails.

use crate::cli::{command, output, stderr};
use crate::peer::Peer;
use crate::{check_accounting, checked};
use record::{Load, VerdictState};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

#[test]
fn processes_make_the_requests_of_one_run() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let load = checked(&["--processes", "3", "-c", "7", "--idle", "5", "-n", "500", &url]);
    assert_eq!((load.requests.scheduled, load.requests.completed), (500, 500));
    assert_eq!((load.config.connections, load.config.threads, load.config.processes), (7, 3, 3));
    assert_eq!((load.config.shard.as_deref(), load.parts.len()), (None, 3));
    assert_eq!((load.connections.wanted, load.connections.peak), (7, 7));
    assert_eq!(load.idle.as_ref().map(|idle| (idle.wanted, idle.made)), Some((5, 5)));
    assert_eq!(load.generator.threads.len(), 3);
    assert_eq!(peer.accepted.load(SeqCst), 12);
    assert!(load.host.is_some(), "one of them looks at the host for all");
}

#[test]
fn the_rate_is_a_total_and_the_windows_are_one() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let args = ["-R", "1000", "--arrivals", "poisson", "-d", "500ms", "-c", "4"];
    let one = checked(&[&args[..], &[&url]].concat());
    let two = checked(&[&args[..], &["--processes", "2", &url]].concat());
    // The same arrivals, whoever makes them.
    assert_eq!(one.requests.scheduled, two.requests.scheduled);
    assert_eq!((two.config.rate_per_s, two.elapsed_ns), (Some(1_000.0), 500_000_000));
    let starts: Vec<_> = two.parts.iter().map(|part| part.started_at_ns).collect();
    assert!(starts[0].abs_diff(starts[1]) < 20_000_000, "{starts:?}");
    assert_eq!(two.intervals.len(), 5);
    assert!(
        two.intervals.iter().all(|i| i.wanted == 4 && i.living.is_some_and(|n| (3.5..=4.001).contains(&n))),
        "{:?}",
        two.intervals
    );
}

#[test]
fn the_first_that_fails_says_why_for_all() {
    let peer = Peer::absent();
    let output = output(&["--processes", "3", "-c", "3", "-d", "30s", &format!("tcp://{}", peer.address)]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(
        text.lines().count() == 1 && text.contains("process 0: ") && text.contains("ECONNREFUSED"),
        "{text}"
    );
}

#[test]
fn an_interrupt_reaches_all_of_them() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let mut command = command(&["-d", "60s", "-c", "4", "--processes", "2", "--json", "-", "-q", &url]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while peer.accepted.load(SeqCst) < 4 {
        std::thread::yield_now();
    }
    sys::process::kill(child.id() as i32, sys::process::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let load: Load = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    check_accounting(&load);
    assert!(load.verdict.state >= VerdictState::Suspect && load.elapsed_ns < 30_000_000_000);
    assert!(
        load.verdict.reasons.iter().filter(|reason| reason.contains("cut short")).count() == 2,
        "{:?}",
        load.verdict
    );
}

#[test]
fn none_outlives_the_one_that_started_it() {
    let living = Arc::new(AtomicI64::new(0));
    let count = Arc::clone(&living);
    let peer = Peer::start(move |stream| {
        count.fetch_add(1, SeqCst);
        let ended = crate::peer::speak(&service::echo::Echo::default(), stream);
        count.fetch_sub(1, SeqCst);
        ended
    });
    let url = format!("tcp://{}", peer.address);
    let mut child = command(&["-d", "60s", "-c", "4", "--processes", "2", "-q", &url]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let wait_for = |wanted: i64| {
        while living.load(SeqCst) != wanted {
            assert!(Instant::now() < deadline, "{} of {wanted} connections", living.load(SeqCst));
            std::thread::yield_now();
        }
    };
    wait_for(4);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(0);
}

#[test]
fn what_belongs_to_one_process_is_refused() {
    for (args, word) in [
        (&["--processes", "5", "-c", "4"][..], "5 processes"),
        (&["--processes", "2", "-c", "4", "--log", "-"], "--log"),
        (&["--processes", "2", "-c", "4", "--shard", "0/2"], "--shard"),
        (&["--processes", "0"], "1..=256"),
    ] {
        let output = output(&[args, &["tcp://127.0.0.1:1"]].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(word) && stderr(&output).lines().count() == 1,
            "{}",
            stderr(&output)
        );
    }
}
