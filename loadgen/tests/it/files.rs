//! The files that a run leaves behind can be read by others.

use crate::peer::Peer;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use record::{Exit, Load};
use std::ffi::OsString;

#[test]
fn json_csv_and_hlog_agree() {
    let peer = Peer::echo();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string();
    let mut args: Vec<OsString> =
        ["loadgen", "-q", "-c", "4", "-d", "350ms", "-R", "2k"].map(Into::into).into();
    args.extend([
        "--json".into(),
        path("x.json"),
        "--csv".into(),
        path("x.csv"),
        "--hlog".into(),
        path("x.hlog"),
    ]);
    args.push(format!("tcp://{}", peer.address).into());
    // The verdict depends on the machine that the tests run on; the files are written in any case.
    assert!(matches!(loadgen::main(args), Exit::Fine | Exit::Unfit));

    let load: Load = serde_json::from_slice(&std::fs::read(path("x.json")).unwrap()).unwrap();
    assert_eq!((load.schema, load.requests.completed, load.intervals.len()), (record::SCHEMA, 700, 4));
    assert_eq!(load.config.rate_per_s, Some(2_000.0));

    let mut csv = csv::Reader::from_path(path("x.csv")).unwrap();
    let rows: Vec<record::load::Interval> = csv.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows, load.intervals);

    let text = std::fs::read(path("x.hlog")).unwrap();
    assert!(text.starts_with(b"#[Histogram log format version 1.3]"));
    let (mut count, mut max) = (0, 0);
    for entry in IntervalLogIterator::new(&text) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let bytes = base64(interval.encoded_histogram());
        let histogram: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        count += histogram.len();
        max = max.max(histogram.max());
        // The column is in milliseconds with three decimals; the values are in nanoseconds.
        assert!((interval.max() - histogram.max() as f64 / 1e6).abs() < 0.001, "{}", interval.max());
    }
    assert_eq!(count, 700);
    // Two digits are kept.
    assert!(max as f64 >= load.latency_ns.max.unwrap() as f64 * 0.99, "{max}");
}

/// RFC 4648, enough for a test.
fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().enumerate().fold(0, |bits, (i, c)| bits | value(*c) << (18 - 6 * i));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
