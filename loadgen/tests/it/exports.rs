//! The formats of others, read back by their rules; the schema against a real result; the log against the counts.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use record::Load;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs 600 requests with every file that there is; the folder has them.
fn run_with_files() -> (tempfile::TempDir, Load) {
    let peer = Peer::echo();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let own = std::process::id().to_string();
    let url = format!("tcp://{}", peer.address);
    let (json, hgrm, om, log) = (path("x.json"), path("x.hgrm"), path("x.om"), path("x.csv"));
    let output = output(&[
        "-q",
        "-c",
        "4",
        "-t",
        "2",
        "-d",
        "1200ms",
        "-R",
        "500",
        "--json",
        &json,
        "--hgrm",
        &hgrm,
        "--openmetrics",
        &om,
        "--log",
        &log,
        "--pid",
        &own,
        &url,
    ]);
    // The verdict depends on the machine that the tests run on; the files are written in any case.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
    let load: Load = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    (folder, load)
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_files_of_a_run_say_the_same() {
    let (folder, load) = run_with_files();
    assert_eq!(load.requests.completed, 600);
    hgrm(&text(folder.path(), "x.hgrm"), &load);
    openmetrics(&text(folder.path(), "x.om"), &load);
    log(&text(folder.path(), "x.csv"), &load);
    schema(folder.path());
    statistics(&load);
    used(&load);
}

/// As HdrHistogram's plotter reads it: lines of three or four numbers between the head and the `#[` lines.
fn hgrm(text: &str, load: &Load) {
    assert!(text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"), "{text}");
    let lines = text.lines().skip(2).take_while(|line| !line.starts_with("#["));
    let rows: Vec<Vec<f64>> =
        lines.map(|line| line.split_ascii_whitespace().map(|word| word.parse().unwrap()).collect()).collect();
    assert!(rows.len() > 20);
    for pair in rows.windows(2) {
        assert!(pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1] && pair[0][2] <= pair[1][2], "{pair:?}");
    }
    let (last, others) = rows.split_last().unwrap();
    assert_eq!((last[1], last[2], last.len()), (1.0, 600.0, 3));
    for row in others {
        assert!((row[3] * (1.0 - row[1]) - 1.0).abs() < 0.01 && row.len() == 4, "{row:?}");
    }
    let median = rows.iter().find(|row| row[1] >= 0.5).unwrap();
    assert!((median[0] * 1e6 - load.latency_ns.p50.unwrap() as f64).abs() <= 1.0, "{median:?}");
    let footer: Vec<&str> = text.lines().filter(|line| line.starts_with("#[")).collect();
    assert_eq!(footer.len(), 3);
    let number = |line: &str, nth: usize| -> f64 {
        let mut words = line.split(['=', ',', ']']).filter_map(|word| word.trim().parse().ok());
        words.nth(nth).unwrap()
    };
    assert!((number(footer[0], 0) * 1e6 - load.latency_ns.mean.unwrap()).abs() < 1.0);
    assert!((number(footer[1], 0) * 1e6 - load.latency_ns.max.unwrap() as f64).abs() < 1.0);
    assert_eq!(number(footer[1], 1), 600.0);
    assert_eq!(number(footer[2], 1), 2048.0);
}

/// The grammar of OpenMetrics 1.0, as far as these metrics use it.
fn openmetrics(text: &str, load: &Load) {
    let body = text.strip_suffix("# EOF\n").unwrap();
    let (mut family, mut kind) = ("", "");
    let mut seen = BTreeSet::new();
    let mut buckets = Vec::new();
    for line in body.lines() {
        if let Some(words) = line.strip_prefix("# TYPE ") {
            (family, kind) = words.split_once(' ').unwrap();
            assert!(seen.insert(family), "{family} comes twice");
            continue;
        }
        if let Some(words) = line.strip_prefix("# UNIT ") {
            let (name, unit) = words.split_once(' ').unwrap();
            assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            "gauge" | "stateset" => &[""],
            other => panic!("{other}"),
        };
        assert!(endings.iter().any(|ending| name == format!("{family}{ending}")), "{line} in {family}");
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ").unwrap(),
            None => ("", &rest[1..]),
        };
        let value: f64 = value.parse().unwrap();
        if name == "loadgen_latency_seconds_bucket" {
            let end = labels.strip_prefix("le=\"").unwrap().strip_suffix('"').unwrap();
            buckets.push((end.replace("+Inf", "inf").parse::<f64>().unwrap(), value));
        }
        if name == "loadgen_requests_total" && labels.contains("completed") {
            assert_eq!(value, load.requests.completed as f64);
        }
    }
    assert!(buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, 600.0)));
    let below = |ns: u64| buckets.iter().rfind(|b| b.0 * 1e9 < ns as f64);
    assert!(below(load.latency_ns.min.unwrap()).is_none_or(|b| b.1 == 0.0));
    assert!(seen.contains("loadgen_server_cpu_per_request_seconds"));
}

fn log(text: &str, load: &Load) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<std::collections::HashMap<String, String>> =
        reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len() as u64, load.requests.scheduled);
    let number =
        |row: &std::collections::HashMap<String, String>, name: &str| -> i64 { row[name].parse().unwrap() };
    for (k, row) in rows.iter().enumerate() {
        assert_eq!((number(row, "k"), number(row, "due_ns")), (k as i64, k as i64 * 2_000_000), "{row:?}");
        let times = ["due_ns", "begun_ns", "first_byte_ns", "done_ns"].map(|name| number(row, name));
        assert!(times.is_sorted() && row["outcome"] == "completed", "{row:?}");
        assert!((0..4).contains(&number(row, "connection")), "{row:?}");
    }
    let longest = rows.iter().map(|row| number(row, "done_ns") - number(row, "due_ns")).max().unwrap();
    assert_eq!(longest as u64, load.latency_ns.max.unwrap());
}

/// The published schema is that of the program, and holds a real result, every field of which it knows.
fn schema(folder: &Path) {
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/loadgen.schema.json");
    let printed = output(&["schema"]).stdout;
    let text = std::fs::read(&published).unwrap();
    assert!(printed == text, "run `loadgen schema > docs/loadgen.schema.json`");
    let mut schema: serde_json::Value = serde_json::from_slice(&text).unwrap();
    // Readers must ignore what they do not know; a test must not.
    let close = |object: &mut serde_json::Value| {
        if object.get("properties").is_some() {
            object["additionalProperties"] = false.into();
        }
    };
    close(&mut schema);
    schema["$defs"].as_object_mut().unwrap().values_mut().for_each(close);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let result: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("x.json")).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&result).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut wrong = result.clone();
    wrong["requests"]["completed"] = "many".into();
    assert!(!validator.is_valid(&wrong));
}

fn statistics(load: &Load) {
    let statistics = load.statistics.as_ref().unwrap();
    assert_eq!((statistics.batches, statistics.confidence), (12, 0.95));
    let percents: Vec<f64> = statistics.latency.iter().map(|q| q.percent).collect();
    // 150 of 600 stand above p75, 60 above p90.
    assert_eq!(percents, [50.0, 75.0]);
    for q in &statistics.latency {
        assert!(
            q.low_ns.is_none_or(|low| low <= q.value_ns) && q.high_ns.is_none_or(|high| high >= q.value_ns)
        );
        assert!(q.effective.is_some_and(|n| n <= 600.0), "{q:?}");
    }
    let throughput = statistics.throughput.as_ref().unwrap();
    assert!(throughput.low <= 500.0 && throughput.high >= 499.0, "{throughput:?}");
    assert_eq!(
        statistics.stationarity.as_ref().unwrap().trends.len(),
        1,
        "the rate is not the server's choice"
    );
}

/// The peer serves from threads of the test process.
fn used(load: &Load) {
    let server = load.server.as_ref().unwrap();
    assert!(server.cpu_ns.unwrap() > 0 && server.cpu_ns_per_request.unwrap() > 0.0 && !server.gone);
    // A process that does the test's part at the same time cannot have used more than both.
    assert!(server.rss_bytes.unwrap() > 0 && server.pss_bytes.unwrap() > 0 && server.threads > 1);
    // Threads that ended take their switches with them, and those of the connections may have by the time of the reading.
    assert!(server.voluntary_switches.is_some() && server.involuntary_switches.is_some(), "{server:?}");
    assert!((1_000_000_000..60_000_000_000).contains(&server.window_ns), "{server:?}");
    assert!(load.host.as_ref().unwrap().listen_drops.is_some());
    let threads = &load.generator.threads;
    assert_eq!(threads.len(), 2);
    assert_eq!(threads.iter().map(|t| t.cpu_ns).sum::<u64>(), load.generator.cpu_ns);
}

#[test]
fn a_full_log_says_what_it_cut() {
    let peer = Peer::echo();
    let url = format!("tcp://{}", peer.address);
    let output = output(&["-n", "50", "--log", "-", "--log-room", "20", &url]);
    let lines: Vec<serde_json::Value> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| line["outcome"] == "completed" && line["done_ns"].as_i64() > Some(0)));
    assert!(stderr(&output).contains("last 30 requests are not in it"), "{}", stderr(&output));
}

#[test]
fn the_log_has_what_failed_and_what_was_not_answered() {
    for (peer, word) in [(Peer::resetting(), "failed"), (Peer::silent(), "unanswered")] {
        let url = format!("tcp://{}", peer.address);
        let output =
            output(&["-q", "-c", "2", "-R", "20", "-d", "200ms", "--timeout", "50ms", "--log", "-", &url]);
        let lines: Vec<serde_json::Value> = std::str::from_utf8(&output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4, "{word}");
        assert!(
            lines.iter().any(|line| line["outcome"] == word && line["first_byte_ns"].is_null()),
            "{lines:?}"
        );
        // Two connections hold two requests; nobody answers, so the others never begin.
        let unsent = lines.iter().filter(|line| line["outcome"] == "unsent" && line["connection"].is_null());
        assert_eq!(unsent.count(), if word == "unanswered" { 2 } else { 0 });
    }
}
