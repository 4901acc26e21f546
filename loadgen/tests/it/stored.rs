//! Results that were written down: merged, compared, said again.

use crate::cli::{output, stderr};
use crate::peer::Peer;
use record::histogram::decode;
use record::{Load, VerdictState};
use std::path::{Path, PathBuf};

/// A folder of results of runs against one peer.
struct Results {
    folder: tempfile::TempDir,
    peer: Peer,
}

impl Results {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), peer: Peer::echo() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A run of a second at 500/s, as `name`, with `more` arguments.
    fn run(&self, name: &str, more: &[&str]) -> Load {
        let (path, url) = (self.path(name), format!("tcp://{}", self.peer.address));
        let args = [&["-q", "-c", "2", "-R", "500", "-d", "1s", "--json", &path], more, &[&url]].concat();
        let output = output(&args);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", stderr(&output));
        self.read(name)
    }

    fn read(&self, name: &str) -> Load {
        serde_json::from_slice(&std::fs::read(self.folder.path().join(name)).unwrap()).unwrap()
    }

    /// Writes a changed copy of a result. It is valid whatever the machine does meanwhile, unless the change says otherwise.
    fn change(&self, load: &Load, name: &str, change: impl FnOnce(&mut Load)) -> String {
        let mut load = load.clone();
        load.verdict = record::Verdict::valid();
        change(&mut load);
        let path = PathBuf::from(self.path(name));
        std::fs::write(&path, serde_json::to_vec(&load).unwrap()).unwrap();
        self.path(name)
    }
}

#[test]
fn a_merge_loses_nothing_and_averages_nothing() {
    let results = Results::new();
    let a = results.run("a.json", &[]);
    let b = results.run("b.json", &["--seed", "2"]);
    let (a_path, b_path, merged) = (results.path("a.json"), results.path("b.json"), results.path("m.json"));
    let refused = output(&["merge", &a_path, &b_path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--align"), "{}", stderr(&refused));

    let done = output(&["merge", "--align", "start", "-q", "--json", &merged, &a_path, &b_path]);
    assert!(matches!(done.status.code(), Some(0 | 3)), "{}", stderr(&done));
    let m = results.read("m.json");
    assert_eq!(m.requests.completed, a.requests.completed + b.requests.completed);
    let mut sum = decode(&a.histograms.latency).unwrap();
    sum.add(decode(&b.histograms.latency).unwrap()).unwrap();
    assert_eq!(decode(&m.histograms.latency).unwrap(), sum);
    assert_eq!(m.latency_ns.sum, Some(a.latency_ns.sum.unwrap() + b.latency_ns.sum.unwrap()));
    assert_eq!(m.latency_ns.max, a.latency_ns.max.max(b.latency_ns.max));
    assert_eq!(m.intervals.len(), 10);
    for ((m, a), b) in m.intervals.iter().zip(&a.intervals).zip(&b.intervals) {
        assert_eq!(m.completed, a.completed + b.completed);
        assert_eq!(m.max_ns, a.max_ns.max(b.max_ns));
    }
    assert_eq!((m.config.connections, m.config.rate_per_s), (4, Some(1_000.0)));
    assert!((m.throughput_per_s - 1_000.0).abs() < 20.0, "{}", m.throughput_per_s);
    assert_eq!(m.verdict.state, a.verdict.state.max(b.verdict.state).max(m.verdict.state));
    assert_eq!(m.parts.iter().map(|p| p.seed).collect::<Vec<_>>(), [1, 2]);

    // A merged result knows what is in it.
    let twice = output(&["merge", "--align", "start", &merged, &b_path]);
    assert!(twice.status.code() == Some(2) && stderr(&twice).contains("count twice"), "{}", stderr(&twice));
    let told = output(&["report", &merged]);
    assert!(String::from_utf8(told.stdout).unwrap().contains("merged from 2 results"));
}

#[test]
fn repeats_are_chained_and_strangers_refused() {
    let results = Results::new();
    let a = results.run("a.json", &[]);
    results.run("b.json", &["--seed", "2"]);
    let (a_path, b_path, merged) = (results.path("a.json"), results.path("b.json"), results.path("m.json"));
    output(&["merge", "--align", "chain", "-q", "--json", &merged, &b_path, &a_path]);
    let m = results.read("m.json");
    assert_eq!((m.elapsed_ns, m.intervals.len()), (2_000_000_000, 20));
    assert_eq!((m.config.rate_per_s, m.config.connections), (Some(500.0), 2));
    assert!((m.throughput_per_s - 500.0).abs() < 10.0);
    // In the order of time, not of the command line.
    assert_eq!(
        m.parts.iter().map(|p| (p.seed, p.offset_ns)).collect::<Vec<_>>(),
        [(2, 1_000_000_000), (1, 0)]
    );

    for (name, word) in [
        ("service", "sized"),
        ("size", "99"),
        ("schema", "schema 99"),
        ("pacing", "closed"),
        ("target", "tcp://"),
    ] {
        let other = results.change(&a, "other.json", |load| match name {
            "service" => load.config.service = "sized".into(),
            "size" => load.config.size_bytes = 99,
            "schema" => load.schema = 99,
            "pacing" => (load.config.rate_per_s, load.config.arrivals) = (None, "closed".into()),
            _ => load.target = "tcp://127.0.0.1:1".into(),
        });
        let refused = output(&["merge", &a_path, &other]);
        let text = stderr(&refused);
        assert_eq!((refused.status.code(), text.lines().count()), (Some(2), 1), "{name}: {text}");
        assert!(text.contains(word) && text.contains("other.json"), "{name}: {text}");
    }
}

#[test]
fn a_stored_result_says_and_exports_what_the_run_did() {
    let results = Results::new();
    let url = format!("tcp://{}", results.peer.address);
    let names = ["x.json", "x.csv", "x.hlog", "x.hgrm", "x.om"].map(|name| results.path(name));
    let flags = ["--json", "--csv", "--hlog", "--hgrm", "--openmetrics"];
    let mut args = vec!["-n", "300", "-c", "2"];
    args.extend(flags.iter().zip(&names).flat_map(|(flag, name)| [*flag, name]));
    let first = output(&[&args[..], &[&url]].concat());
    let again = ["y.json", "y.csv", "y.hlog", "y.hgrm", "y.om"].map(|name| results.path(name));
    let mut args = vec!["report", names[0].as_str()];
    args.extend(flags.iter().zip(&again).flat_map(|(flag, name)| [*flag, name]));
    let second = output(&args);
    assert_eq!(second.status.code(), first.status.code(), "{}", stderr(&second));
    assert_eq!(String::from_utf8(first.stdout).unwrap(), String::from_utf8(second.stdout).unwrap());
    for (x, y) in names.iter().zip(&again) {
        assert!(std::fs::read(x).unwrap() == std::fs::read(y).unwrap(), "{x} is not {y}");
    }
}

#[test]
fn files_of_older_versions_still_load() {
    let results = Results::new();
    results.run("a.json", &[]);
    let mut value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(results.path("a.json")).unwrap()).unwrap();
    let object = value.as_object_mut().unwrap();
    for new in ["statistics", "server", "host", "parts"] {
        object.remove(new).unwrap();
    }
    object["histograms"].as_object_mut().unwrap().remove("intervals").unwrap();
    object["generator"].as_object_mut().unwrap().remove("threads").unwrap();
    object["latency_ns"].as_object_mut().unwrap().remove("sum").unwrap();
    let path = results.path("old.json");
    std::fs::write(&path, serde_json::to_vec(&value).unwrap()).unwrap();
    let told = output(&["report", &path]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("verdict"), "{}", stderr(&told));
    let refused = output(&["report", "--hlog", "-", &path]);
    assert!(refused.status.code() == Some(2) && stderr(&refused).contains("older"), "{}", stderr(&refused));
}

/// The rows of a comparison as `(figure, word)`.
fn rows(path: &Path) -> Vec<(String, String)> {
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    value["rows"].as_array().unwrap().iter().map(|r| (text(r, "figure"), text(r, "word"))).collect()
}

#[test]
fn a_comparison_says_no_difference_where_there_is_none_and_finds_a_large_one() {
    let results = Results::new();
    let load = results.run("a.json", &[]);
    let file = |name: &str, scale: f64| {
        results.change(&load, name, |load| {
            load.throughput_per_s *= scale;
            load.latency_ns.p50 = load.latency_ns.p50.map(|ns| (ns as f64 / scale) as u64);
        })
    };
    let base = [("b1", 1.0), ("b2", 1.01), ("b3", 0.99)].map(|(name, scale)| file(name, scale));
    let same = [("s1", 0.99), ("s2", 1.0), ("s3", 1.015)].map(|(name, scale)| file(name, scale));
    let slow = [("h1", 0.5), ("h2", 0.51), ("h3", 0.49)].map(|(name, scale)| file(name, scale));
    let json = results.path("c.json");
    let compare = |head: &[String; 3], more: &[&str]| {
        let mut args = vec!["compare", "--json", &json, "--base"];
        args.extend(base.iter().map(String::as_str));
        args.push("--head");
        args.extend(head.iter().map(String::as_str));
        args.extend(more);
        output(&args)
    };
    let done = compare(&same, &["--fail-on", "worse"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(String::from_utf8(done.stdout).unwrap().contains("no difference shown (from"));
    assert!(
        rows(json.as_ref()).iter().all(|(_, word)| word == "no-difference-shown"),
        "{:?}",
        rows(json.as_ref())
    );

    let done = compare(&slow, &[]);
    assert_eq!(done.status.code(), Some(0), "only --fail-on makes it 1");
    let found = rows(json.as_ref());
    assert!(found.contains(&("throughput_per_s".into(), "worse".into())), "{found:?}");
    assert!(found.contains(&("latency_p50_ns".into(), "worse".into())), "{found:?}");
    assert_eq!(compare(&slow, &["--fail-on", "worse"]).status.code(), Some(1));
    assert_eq!(compare(&slow, &["--fail-on", "better"]).status.code(), Some(0));
    assert_eq!(
        compare(&slow, &["--fail-on", "worse", "--margin", "60%"]).status.code(),
        Some(1),
        "p50 doubled"
    );

    // One run each: only what a run says of itself.
    let one = output(&["compare", &base[0], &base[0]]);
    let text = String::from_utf8(one.stdout).unwrap();
    assert!(one.status.code() == Some(0) && text.contains("within one run each"), "{text}");
    let invalid =
        results.change(&load, "i.json", |load| load.verdict.object(VerdictState::Invalid, "x".into()));
    assert_eq!(output(&["compare", &base[0], &invalid]).status.code(), Some(3));
    let other = results.change(&load, "o.json", |load| load.config.service = "sized".into());
    assert_eq!(output(&["compare", &base[0], &other]).status.code(), Some(2));
    assert_eq!(output(&["compare", "--base", &base[0], "--head", &base[0], &base[1]]).status.code(), Some(2));
}

#[test]
fn texts_about_the_command_are_there() {
    let text = |args: &[&str]| String::from_utf8(output(args).stdout).unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&["completions", shell]).contains("find-max"), "{shell}");
    }
    let man = text(&["man"]);
    assert!(man.contains(".TH loadgen 1") && man.contains("merge"), "{man}");
}
