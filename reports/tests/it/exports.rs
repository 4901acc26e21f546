//! CSV, histogram logs, the terminal table, and reading a folder.

use crate::fixture::{one, run, run_and_records};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use record::histogram::decode;
use record::load::Datagrams;
use reports::Report;
use std::path::Path;

/// Writes the made-up run as a folder that the harness would leave.
fn write_folder(folder: &Path) {
    let (run, records) = run_and_records();
    std::fs::write(folder.join("run.json"), serde_json::to_vec_pretty(&run).unwrap()).unwrap();
    let lines: Vec<String> = records.iter().map(|r| serde_json::to_string(r).unwrap() + "\n").collect();
    std::fs::write(folder.join("records.jsonl"), lines.concat()).unwrap();
}

#[test]
fn a_folder_becomes_all_its_files_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path());
    let report = Report::load(folder.path()).unwrap();
    let out = folder.path().join("new/report");
    let written = report.write(&out).unwrap();
    assert!(written.iter().all(|p| p.is_file()));
    assert_eq!(written.len(), 2 + 28, "page, table, and a log for each scenario that ran");
    let top: Vec<_> = std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(top.len(), 3, "no partial files: {top:?}");
}

#[test]
fn the_csv_has_a_line_a_scenario_and_says_when_there_is_no_number() {
    let (run, records) = run_and_records();
    let scenarios = run.scenarios.len();
    let folder = tempfile::tempdir().unwrap();
    Report::new(run, records).write(folder.path()).unwrap();
    let mut reader = csv::Reader::from_path(folder.path().join("summary.csv")).unwrap();
    let heads = reader.headers().unwrap().clone();
    let column = |name: &str| heads.iter().position(|h| h == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), scenarios);
    let row = |id: &str| rows.iter().find(|r| &r[column("scenario")] == id).unwrap();
    let held = row("epoll/tcp/echo/c64-closed");
    assert!(held[column("throughput_per_s_median")].parse::<f64>().unwrap() > 100_000.0);
    assert!(held[column("latency_p99_ns")].parse::<u64>().unwrap() > 100_000);
    assert_eq!(&held[column("validity")], "valid");
    let absent = row("iterative/tcp/echo/c64-closed");
    assert!(absent[column("outcome")].starts_with("cannot hold: "));
    assert_eq!((&absent[column("throughput_per_s_median")], &absent[column("validity")]), ("", ""));
    assert!(row("select/tcp/sized/short-open")[column("conformance")].starts_with("failed 6/8"));
    assert_eq!(&row("select/tcp/sized/aborts-5pct")[column("latency_p50_ns")], "");
    // Four sevenths, two and one.
    let number = |id: &str, name: &str| row(id)[column(name)].parse::<f64>().unwrap();
    let shared = "async/tcp/echo/c64-closed";
    assert!((number(shared, "jain_bytes_median") - 49.0 / 63.0).abs() < 0.001);
    assert!((number(shared, "least_share_of_bytes_median") - 1.0 / 7.0).abs() < 0.001);
    assert!(
        (number("async/tcp/sized/short-open", "spurious_wakeups_per_connection_median") - 3.0).abs() < 0.01
    );
    assert!((number("epoll/tcp/echo/c64-closed", "useful_wakeups_per_request_median") - 0.5).abs() < 0.001);
    for name in ["workers", "jain_bytes_median"] {
        assert_eq!(&row("epoll/tcp/echo/c64-closed")[column(name)], "", "one worker shares nothing out");
        assert_eq!(&row("thread/tcp/echo/c64-closed")[column(name)], "", "a worker a connection neither");
    }
}

#[test]
fn what_became_of_datagrams_stands_beside_the_speed() {
    let datagrams = |trial: u32| {
        let mut record = one(4, 0, trial);
        let lost = u64::from(trial) * 10;
        let load = record.load.as_mut().unwrap();
        load.datagrams = Some(Datagrams { sent: 1_000, lost, reordered: 2, ..Datagrams::default() });
        record
    };
    let records = vec![datagrams(1), datagrams(2), datagrams(3)];
    let report = Report::new(run(vec![records[0].scenario.clone()]), records);
    let folder = tempfile::tempdir().unwrap();
    report.write(folder.path()).unwrap();
    let mut reader = csv::Reader::from_path(folder.path().join("summary.csv")).unwrap();
    let heads = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    let value = |name: &str| row[heads.iter().position(|h| h == name).unwrap()].to_owned();
    assert_eq!((value("datagram_loss_share_median"), value("datagrams_lost")), ("0.02".into(), "60".into()));
    assert_eq!((value("datagrams_reordered"), value("datagrams_duplicated")), ("6".into(), "0".into()));
    let table = report.table(200, false);
    assert!(table.contains("loss") && table.contains("2.00\u{a0}%"), "{table}");
    assert!(table.contains("datagrams: 60 lost, 6 reordered"), "{table}");
    let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    assert!(page.contains("1.00–3.00\u{a0}%"), "the span of the loss");
    let (whole, streams) = run_and_records();
    assert!(!Report::new(whole, streams).table(200, false).contains("loss"));
}

#[test]
fn histogram_logs_are_read_by_the_library() {
    let (run, records) = run_and_records();
    let folder = tempfile::tempdir().unwrap();
    Report::new(run, records).write(folder.path()).unwrap();
    let bytes = std::fs::read(folder.path().join("hlog/async-tcp-echo-c64-open.hlog")).unwrap();
    assert!(bytes.starts_with(b"#[Histogram log format version 1.3]\n"));
    let (mut tags, mut values, mut starts) = (Vec::new(), 0, 0);
    for entry in IntervalLogIterator::new(&bytes) {
        match entry.unwrap() {
            LogEntry::StartTime(_) => starts += 1,
            LogEntry::BaseTime(_) => panic!("times are absolute"),
            LogEntry::Interval(interval) => {
                let histogram = decode(interval.encoded_histogram()).unwrap();
                values += histogram.len();
                tags.push(interval.tag().unwrap().as_str().to_owned());
                assert_eq!(interval.duration().as_secs(), 2);
                let ratio = histogram.max() as f64 / 1e6 / interval.max();
                assert!((0.99..1.01).contains(&ratio), "the maximum is in milliseconds");
            }
        }
    }
    assert_eq!((starts, values), (1, 5 * 21_000));
    assert_eq!(tags, ["trial-1", "trial-2", "trial-3", "trial-4-invalid", "trial-5"]);
}

#[test]
fn the_table_fits_its_width_and_colours_only_when_asked() {
    let (run, records) = run_and_records();
    let report = Report::new(run, records);
    for width in [66, 80, 100, 120, 140, 200] {
        let table = report.table(width, false);
        assert!(!table.contains('\u{1b}') && table.ends_with('\n'));
        for line in table.lines() {
            assert!(line.chars().count() <= width, "{} > {width}: {line}", line.chars().count());
        }
        for word in ["FAILED 6/8", "SUSPECT 4/5", "INVALID 0/5", "cannot hold", "valid 4/5", "CUT SHORT"] {
            assert!(table.contains(word), "{word} at {width}");
        }
    }
    assert!(report.table(100, true).contains("\u{1b}[31mFAILED\u{1b}[0m"));
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let mut record = one(4, 0, 1);
    record.scenario.model = "evil\u{1b}[2J\r\n".to_owned();
    let table = Report::new(run(vec![record.scenario.clone()]), vec![record]).table(80, false);
    assert!(!table.contains('\u{1b}') && !table.contains('\r'));
}

#[test]
fn a_line_cut_off_at_the_end_is_left_out_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path());
    let path = folder.path().join("records.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let count = whole.lines().count();
    std::fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    assert_eq!(Report::load(folder.path()).unwrap().records().len(), count - 1);
    let damaged = whole.replacen("\n{", "\n{{", 1);
    std::fs::write(&path, damaged).unwrap();
    let text = Report::load(folder.path()).unwrap_err().to_string();
    assert!(text.contains("records.jsonl` line 2"), "{text}");
    std::fs::remove_file(&path).unwrap();
    assert!(
        Report::load(folder.path()).unwrap().records().is_empty(),
        "stopped before its first trial ended"
    );
}

#[test]
fn a_newer_schema_and_a_missing_folder_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = Report::load(folder.path()).unwrap_err().to_string();
    assert!(text.contains("run.json"), "{text}");
    write_folder(folder.path());
    let path = folder.path().join("run.json");
    let newer = std::fs::read_to_string(&path).unwrap().replacen("\"schema\": 1", "\"schema\": 99", 1);
    std::fs::write(&path, newer).unwrap();
    let text = Report::load(folder.path()).unwrap_err().to_string();
    assert!(text.contains("schema 99"), "{text}");
}

/// For the eye: `REPORT_OUT=/tmp/report cargo test -p reports -- --ignored for_the_eye`.
#[test]
#[ignore = "writes a report to look at"]
fn for_the_eye() {
    let out = std::env::var("REPORT_OUT").unwrap_or_else(|_| "/tmp/report".to_owned());
    std::fs::create_dir_all(&out).unwrap();
    write_folder(Path::new(&out));
    let report = Report::load(&out).unwrap();
    report.write(&out).unwrap();
    report.write_svg(format!("{out}/hero.svg"), None).unwrap();
    for width in [60, 80, 100, 140] {
        eprintln!("{}", report.table(width, true));
    }
}
