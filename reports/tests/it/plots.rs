//! Plots, above all of degenerate data: none may hang, fail or be malformed.

use crate::fixture::{one, run, run_and_records};
use crate::page::{assert_balanced, page};
use record::histogram::{encode, new};
use record::{Record, VerdictState};
use reports::{Error, Report};

/// A record with every quantity at one value, and a histogram of these values.
fn degenerate(mut record: Record, value: f64, values: &[u64]) -> Record {
    let mut histogram = new().unwrap();
    for v in values {
        histogram.saturating_record(*v);
    }
    let whole = value as u64;
    record.server.cpu_ns_per_request = Some(value);
    record.server.bytes_per_connection = Some(value);
    record.server.peak_rss_bytes = Some(whole);
    let load = record.load.as_mut().unwrap();
    load.throughput_per_s = value;
    load.histograms.latency = encode(&histogram).unwrap();
    load.latency_ns.max = Some(whole);
    load.latency_ns.p99 = Some(whole);
    for interval in &mut load.intervals {
        interval.p50_ns = Some(whole);
        interval.p99_ns = Some(whole);
        interval.start_ns = whole;
        interval.length_ns = 0;
    }
    record
}

#[test]
fn no_value_makes_a_plot_hang_or_fail() {
    let sound = one(4, 2, 1);
    for value in
        [0.0, -1.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e18]
    {
        for values in [&[][..], &[0], &[1], &[u64::MAX], &[1, u64::MAX], &[5; 1_000]] {
            let record = degenerate(sound.clone(), value, values);
            let html = page(run(vec![record.scenario.clone()]), vec![record]);
            assert_balanced(&html);
            let drawn = html.split("<main").nth(1).unwrap();
            let numbers = drawn.split("<script").next().unwrap();
            assert!(!numbers.contains("NaN") && !numbers.contains("\"inf"), "{value} {values:?}");
        }
    }
}

#[test]
fn a_run_without_a_trial_that_counts_has_pages_and_no_hero() {
    let mut record = one(4, 0, 1);
    record.verdict.object(VerdictState::Invalid, "spoiled".to_owned());
    let html = page(run(vec![record.scenario.clone()]), vec![record.clone()]);
    assert_balanced(&html);
    assert!(html.contains("No trial that counts left a latency distribution."));
    let report = Report::new(run(vec![record.scenario.clone()]), vec![record]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hero.svg");
    assert!(matches!(report.write_svg(&path, None), Err(Error::Empty)));
    assert!(!path.exists());
}

#[test]
fn the_hero_stands_alone() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hero.svg");
    report.write_svg(&path, Some("c64-open")).unwrap();
    let svg = std::fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    assert!(!svg.contains("var(--") && svg.contains("fill=\"#ffffff\""), "colours and a ground of its own");
    assert!(
        svg.contains("select ✗") && svg.contains("async (suspect)") && svg.contains("4 to 5 trials a model")
    );
    assert_balanced(&svg);
    assert!(matches!(report.write_svg(&path, Some("no such workload")), Err(Error::Empty)));
}

#[test]
fn many_models_are_all_labelled() {
    let records: Vec<Record> = (0..20_u32)
        .map(|i| {
            let mut record = one(4, 0, i + 1);
            record.scenario.model = format!("model-{i}");
            record.scenario.id = format!("model-{i}/tcp/sized/short-closed");
            record
        })
        .collect();
    let html = page(run(records.iter().map(|r| r.scenario.clone()).collect()), records);
    assert_balanced(&html);
    for i in 0..20 {
        assert!(html.contains(&format!(">model-{i}</text>")), "model-{i}");
    }
}
