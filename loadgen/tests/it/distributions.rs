//! The distributions beside the latency: first byte, late, unanswered; and that they can be had as files. Not here: the latency itself.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use crate::{check_accounting, config, open_loop};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loadgen::{Stop, run};
use record::Load;
use service::Kind;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(30);

/// Answers the first byte at once and the rest 30 ms later; the third request and those after it never.
fn hesitant() -> Peer {
    let turn = AtomicU64::new(0);
    Peer::start(move |mut stream| {
        let mut buffer = [0; 64];
        loop {
            stream.read_exact(&mut buffer)?;
            if turn.fetch_add(1, SeqCst) >= 2 {
                continue;
            }
            stream.write_all(&buffer[..1])?;
            sys::clock::sleep(PAUSE);
            stream.write_all(&buffer[1..])?;
        }
    })
}

fn check(load: &Load) {
    let ms = |ms: u64| ms * 1_000_000;
    assert_eq!((load.requests.completed, load.requests.late, load.requests.unanswered), (2, 2, 1));
    // The first byte came before the pause, the end after it.
    assert!(load.first_byte_ns.count == 2 && load.first_byte_ns.min < load.latency_ns.min, "{load:?}");
    assert!(load.latency_ns.min.unwrap() - load.first_byte_ns.min.unwrap() >= ms(20), "{load:?}");
    // Later than the time-out of 20 ms, and in the latency all the same.
    assert!(load.late_ns.count == 2 && load.late_ns.min.unwrap() >= ms(30), "{load:?}");
    assert_eq!(load.latency_ns.count, 3);
    let age = &load.unanswered_age_ns;
    assert!(age.count == 1 && age.min == load.latency_ns.max && age.min.unwrap() >= ms(20), "{load:?}");
}

#[test]
fn first_byte_late_and_unanswered_stand_apart() {
    for pacing in [loadgen::Pacing::Closed, open_loop(5.0)] {
        let mut config = config(&hesitant(), Kind::Echo);
        config.pacing = pacing;
        config.connections = 1;
        config.stop = match pacing {
            loadgen::Pacing::Closed => Stop::After(Duration::from_millis(150)),
            loadgen::Pacing::Open { .. } => Stop::Requests(3),
        };
        config.timeout = Duration::from_millis(20);
        let load = run(&config).unwrap();
        check_accounting(&load);
        check(&load);
    }
}

#[test]
fn each_can_be_had_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let peer = Peer::echo();
    let (url, json) = (format!("tcp://{}", peer.address), path("x.json"));
    let run = output(&["-q", "-c", "2", "-n", "500", "--json", &json, &url]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let load: Load = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    for (what, summary) in [("first-byte", &load.first_byte_ns), ("service", &load.service_ns)] {
        let (hgrm, hlog) = (path("x.hgrm"), path("x.hlog"));
        let files = ["-q", "--of", what, "--hgrm", &hgrm, "--hlog", &hlog];
        let report = output(&[&["report", &json], &files[..]].concat());
        assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
        let mean = format!("#[Mean    = {:12.6},", summary.mean.unwrap() / 1e6);
        let text = std::fs::read_to_string(&hgrm).unwrap();
        assert!(text.contains(&mean) && summary.count == 500, "{mean}: {text}");
        let log = std::fs::read(&hlog).unwrap();
        let entries = IntervalLogIterator::new(&log).map(Result::unwrap);
        let intervals: Vec<_> = entries.filter(|entry| matches!(entry, LogEntry::Interval(_))).collect();
        assert_eq!(intervals.len(), 1, "{what}");
    }
    let alone = output(&["report", &json, "--of", "late"]);
    assert!(alone.status.code() == Some(2) && stderr(&alone).contains("--hgrm"), "{}", stderr(&alone));
}
