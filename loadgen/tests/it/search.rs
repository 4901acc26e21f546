//! Searches, against servers whose limit is known: one thread that sleeps for each request.
//!
//! The generator spoils a run where the machine does not let it run; then nothing is known, and the tests say so.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::process::Output;
use std::sync::Mutex;
use std::time::Duration;

/// An echo server that does one request at a time, each for 20 ms: 50 a second and no more.
fn slow() -> Peer {
    let turn = Mutex::new(());
    Peer::start(move |mut stream| {
        let mut buffer = [0; 4096];
        loop {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            let guard = turn.lock();
            sys::clock::sleep(Duration::from_millis(20));
            drop(guard);
            stream.write_all(&buffer[..n])?;
        }
    })
}

/// True where the machine did not let the generator do its part, which is no failure of a search; says so.
fn spoiled(output: &Output) -> bool {
    let spoiled = output.status.code() == Some(3);
    if spoiled {
        crate::skipped(&format!("the generator was late, this machine is too busy: {}", stderr(output)));
    }
    spoiled
}

#[test]
fn finds_the_rate_that_a_slow_server_can_do() {
    let peer = slow();
    let folder = tempfile::tempdir().unwrap();
    let (json, csv) = (folder.path().join("x.json"), folder.path().join("x.csv"));
    let output = output(&[
        "--find-max",
        "p50<200ms",
        "--between",
        "10..800",
        "-d",
        "500ms",
        "--timeout",
        "600ms",
        "--repeats",
        "1",
        "--resolution",
        "40%",
        "-c",
        "16",
        "--json",
        json.to_str().unwrap(),
        "--csv",
        csv.to_str().unwrap(),
        &format!("tcp://{}", peer.address),
    ]);
    if spoiled(&output) {
        return;
    }
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text} {}", stderr(&output));
    assert!(text.starts_with("p50<200ms holds at ") && text.contains("resolution 40.0 %"), "{text}");
    let answer: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let (meets, fails) = (answer["meets_per_s"].as_f64().unwrap(), answer["fails_per_s"].as_f64().unwrap());
    // A busy machine makes the server slower, never faster: 50/s, and 200 ms of queue beyond it.
    assert!(
        (10.0..100.0).contains(&meets) && meets < fails && fails / meets <= 1.4 + 1e-9,
        "{meets} {fails}"
    );
    let steps = answer["steps"].as_array().unwrap();
    for step in steps {
        let rate = step["rate_per_s"].as_f64().unwrap();
        assert_eq!(step["outcome"] == "meets", rate <= meets, "{step}");
    }
    let rows = csv::Reader::from_path(csv).unwrap().into_records().count();
    assert_eq!(rows, steps.iter().map(|step| step["runs"].as_array().unwrap().len()).sum::<usize>());
}

#[test]
fn says_so_where_no_rate_meets() {
    let peer = slow();
    let output = output(&[
        "-q",
        "--find-max",
        "p50<1ms",
        "--between",
        "10..20",
        "-d",
        "200ms",
        "--repeats",
        "1",
        "--json",
        "-",
        &format!("tcp://{}", peer.address),
    ]);
    if spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer["meets_per_s"].is_null() && answer["fails_per_s"] == 10.0, "{answer}");
}

#[test]
fn a_sweep_ends_behind_overload() {
    let peer = slow();
    let output = output(&[
        "--sweep",
        "5..5k:7",
        "-d",
        "400ms",
        "--timeout",
        "100ms",
        "-c",
        "4",
        "--json",
        "-",
        &format!("tcp://{}", peer.address),
    ]);
    if spoiled(&output) {
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let curve: Value = serde_json::from_slice(&output.stdout).unwrap();
    let points = curve["points"].as_array().unwrap();
    let overloaded: Vec<bool> = points.iter().map(|p| p["overloaded"].as_bool().unwrap()).collect();
    // 5, 16, 50, 158 …: the fourth cannot be done, and none is tried behind the first that could not.
    if points.last().is_some_and(|last| last["spoiled"] == true) {
        crate::skipped("the generator was late, this machine is too busy");
        return;
    }
    assert!((2..=4).contains(&points.len()), "{points:?}");
    assert_eq!(overloaded.iter().position(|o| *o), Some(points.len() - 1), "{overloaded:?}");
    assert_eq!(points.len() + curve["left_out"].as_array().unwrap().len(), 7);
    assert!(stderr(&output).contains("the server did not keep up"), "{}", stderr(&output));
}
