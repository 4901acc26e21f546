//! `harness run` from the outside: what it leaves when all goes well, when it is interrupted, when it is killed, when it is misused.

use crate::fixture::{Bench, PLAN, eventually, harness, output, records, run_json, start_long_run};
use harness::spawn::{Identity, identity};
use std::path::Path;

fn files(folder: &str) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_records_tables_histograms_and_a_page() {
    let bench = Bench::new(PLAN);
    let output =
        output(&["run", "--plan", &bench.plan(), "--out", &bench.out(), "--seed", "7", "--skip-conformance"]);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // 3: a busy machine spoiled a trial, which is marked. Anything else is a defect.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
    assert!(text.contains("cannot hold") && text.contains("report: "), "{text}");
    let run = run_json(&bench.out());
    assert!(!run.cut_short && run.seed == 7 && run.scenarios.len() == 4 && run.trials_planned == 1);
    let records = records(&bench.out());
    assert_eq!(records.len(), 3);
    for record in &records {
        let load = record.load.as_ref().unwrap_or_else(|| panic!("{:?}", record.verdict));
        assert!(load.requests.completed > 0 && load.requests.failed == 0, "{:?}", load.errors);
        assert!(record.server.cpu_ns.is_some() && record.server.peak_rss_bytes.is_some_and(|b| b > 0));
        assert_eq!(record.server.faults.list(), Vec::<String>::new());
        assert_eq!(record.server.faults.exit_status, Some(0));
        // Absent only where this machine held the edges of the window up for long.
        let Some(workers) = &record.server.workers else { continue };
        let sent = workers.each[0].bytes_out as f64 / load.requests.completed as f64;
        let size = if record.scenario.service == "sized" { 400.0 } else { load.config.size_bytes as f64 };
        assert!(
            workers.each.len() == 1 && (0.8..1.25).contains(&(sent / size)),
            "{sent} of {size}: {workers:?}"
        );
        assert!(!record.server.command.contains("/proc/"), "{}", record.server.command);
    }
    for name in ["index.html", "records.jsonl", "run.json", "summary.csv"] {
        assert!(files(&bench.out()).contains(&name.to_owned()), "{name}");
    }
    let again = harness(&["report", &bench.out()]).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn the_workers_of_a_pool_are_in_the_processor_time_though_they_are_older_than_its_ready_line() {
    let plan = PLAN.replace(r#"["iterative", "epoll"]"#, r#"["prefork"]"#);
    let bench = Bench::new(&plan);
    let output = output(&["run", "--plan", &bench.plan(), "--out", &bench.out(), "--skip-conformance"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
    let records = records(&bench.out());
    let record = records.iter().find(|record| record.scenario.workload == "churn").unwrap();
    if record.server.cpu_source != "cgroup" {
        eprintln!("SKIPPED: no control group can be made here; /proc counts children when they have ended");
        return;
    }
    let completed = record.load.as_ref().unwrap().requests.completed;
    // No machine accepts, serves and closes a connection in a microsecond.
    assert!(record.server.cpu_ns.unwrap() > completed * 1_000, "{:?} for {completed}", record.server.cpu_ns);
}

const FAMILIES: [&str; 4] = ["tcp", "udp", "unix", "unixgram"];

/// Sockets in the Unix domain, of this namespace, that a trial has made (proc_net(5)).
fn trial_names(run_id: &str) -> usize {
    let text = std::fs::read_to_string("/proc/net/unix").unwrap();
    text.lines().filter(|line| line.contains(&format!("@server-models-{run_id}"))).count()
}

#[test]
fn the_same_workload_runs_on_all_families_and_leaves_no_socket() {
    let workload = "[[workload]]\nname = 'churn'\ntitle = 't'\nservice = 'sized'\nsize = 400\nconnections = 2\nrequests_per_connection = 1\n";
    let head = "name = 'f'\nmodels = ['fork', 'async']\ntrials = 1\nduration = '150ms'\nwarm_up = '50ms'\n";
    let plan = FAMILIES.map(|family| format!("{workload}family = '{family}'\n")).concat();
    let plan = format!("{head}{plan}");
    let bench = Bench::new(&plan);
    let output = output(&["run", "--plan", &bench.plan(), "--out", &bench.out(), "--skip-conformance"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
    let (run, mut records) = (run_json(&bench.out()), records(&bench.out()));
    records.sort_by(|a, b| a.scenario.id.cmp(&b.scenario.id));
    let ids: Vec<&str> = records.iter().map(|r| r.scenario.id.as_str()).collect();
    let all = ["async", "fork"].map(|model| FAMILIES.map(|family| format!("{model}/{family}/sized/churn")));
    assert_eq!(ids, all.concat());
    for record in &records {
        let load = record.load.as_ref().unwrap_or_else(|| panic!("{:?}", record.verdict));
        assert!(load.requests.completed > 0 && load.requests.failed == 0, "{:?}", load.errors);
        assert_eq!(record.server.faults.list(), Vec::<String>::new());
        // A count of TCP's, that says nothing of a Unix socket.
        assert_eq!(record.server.listen_overflows.is_some(), record.scenario.family == "tcp");
        let datagrams = load.datagrams.as_ref().map(|d| (d.sent - d.lost, d.duplicated, d.crossed));
        let expected = Some((load.requests.completed, 0, 0));
        assert_eq!(datagrams, expected.filter(|_| ["udp", "unixgram"].contains(&&*record.scenario.family)));
    }
    assert_eq!(trial_names(&run.id), 0);
}

#[test]
fn a_run_that_can_measure_nothing_says_why_and_is_no_success() {
    let plan = "name = 'n'\nmodels = ['epoll-reuseport']\ntrials = 1\n[[workload]]\nname = 'c1'\ntitle = 't'\nfamily = 'unix'\nservice = 'echo'\nconnections = 1\n";
    let bench = Bench::new(plan);
    let output = output(&["run", "--plan", &bench.plan(), "--out", &bench.out()]);
    let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("unsupported: does not serve unix: a Unix socket has one listener"), "{text}");
    assert_eq!(files(&bench.out()), ["index.html", "run.json", "summary.csv"]);
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_says_that_it_was_cut_short() {
    let bench = Bench::new(PLAN);
    let child = start_long_run(&bench);
    sys::process::kill(child.id() as i32, 2).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(run_json(&bench.out()).cut_short);
    assert!(!records(&bench.out()).is_empty());
    assert!(Path::new(&bench.out()).join("index.html").exists());
}

#[test]
fn killed_in_the_middle_it_leaves_no_process_and_no_half_written_file() {
    let bench = Bench::new(PLAN);
    let mut child = start_long_run(&bench);
    let pid = child.id() as i32;
    let below: Vec<Identity> = eventually("a server and a generator are running", || {
        let below: Vec<Identity> =
            identity::descendants(pid).into_iter().map(|e| e.id).filter(|id| id.pid != pid).collect();
        (below.len() >= 2).then_some(below)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("what it started is gone", || below.iter().all(|id| !id.alive()).then_some(()));
    // Every line is whole, and the run says that its end was not reached.
    assert!(!records(&bench.out()).is_empty());
    assert!(run_json(&bench.out()).cut_short);
    for name in files(&bench.out()) {
        assert!(["records.jsonl", "run.json"].contains(&name.as_str()), "left behind: {name}");
    }
    let report = output(&["report", &bench.out()]);
    assert_eq!(report.status.code(), Some(0), "{}", String::from_utf8_lossy(&report.stderr));
}

#[test]
fn what_is_wrong_is_said_in_one_line_with_the_right_code() {
    let bench = Bench::new(PLAN);
    std::fs::write(bench.path("unknown-key.toml"), PLAN.replace("trials", "trails")).unwrap();
    std::fs::write(bench.path("no-plan.toml"), [0xff, 0xfe, 0x00]).unwrap();
    std::fs::write(bench.path("rate-0.toml"), PLAN.replace("rate = 200.0", "rate = 0.0")).unwrap();
    std::fs::write(bench.path("no-connections.toml"), PLAN.replace("connections = 4", "connections = 0"))
        .unwrap();
    std::fs::create_dir(bench.path("taken")).unwrap();
    std::fs::write(bench.path("taken/run.json"), "{}").unwrap();
    let out = bench.out();
    let plan = |name: &str| bench.path(name);
    for (args, code, says) in [
        (vec!["run", "--models", "nonesuch", "--out", &out], 2, "unknown model `nonesuch`"),
        (vec!["run", "--services", "ecco", "--out", &out], 2, "unknown service `ecco`"),
        (vec!["run", "--services", "http", "--out", &out], 2, "nothing to run"),
        (vec!["run", "--plan", "/nonexistent/plan.toml"], 2, "cannot read the plan"),
        (vec!["run", "--plan", "nonesuch"], 2, "cannot read the plan `nonesuch`"),
        (vec!["run", "--plan", &plan("unknown-key.toml"), "--out", &out], 2, "unknown field `trails`"),
        (vec!["run", "--plan", &plan("no-plan.toml"), "--out", &out], 2, "cannot read the plan"),
        (vec!["run", "--plan", &plan("rate-0.toml"), "--out", &out], 2, "rate"),
        (vec!["run", "--plan", &plan("no-connections.toml"), "--out", &out], 2, "0 connections"),
        (vec!["run", "--duration", "0s", "--out", &out], 2, "duration of 0"),
        (vec!["run", "--duration", "soon"], 2, "is no time"),
        (vec!["run", "--trials", "0", "--out", &out], 2, "trials = 0"),
        (vec!["run", "--out", "/proc/nonexistent"], 2, "cannot write to the output folder"),
        (vec!["run", "--out", &plan("taken")], 2, "already holds a run"),
        (vec!["report", "/nonexistent"], 2, "/nonexistent"),
        (vec!["nonesuch"], 2, "nonesuch"),
        (vec![], 2, "Usage"),
    ] {
        let output = output(&args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(says) && !text.contains("panicked"), "{args:?}: {text}");
        if text.starts_with("harness: ") {
            assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        }
    }
    assert!(!Path::new(&out).exists(), "a refused run made its folder");
}

/// A file system of a few pages, unmounted when dropped.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn mount(bytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs", &folder.path().display().to_string()], "mount")
            .then_some(Self(folder))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        mount(&[&self.0.path().display().to_string()], "umount");
    }
}

fn mount(args: &[&str], program: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a tool of the system, not a process under test")]
    let status = std::process::Command::new(program).args(args).stderr(std::process::Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_is_one_line_and_loses_nothing_that_was_written() {
    let Some(tiny) = Tiny::mount(16 * 1024) else {
        eprintln!("SKIPPED: no file system can be mounted here (needs root)");
        return;
    };
    let bench = Bench::new(PLAN);
    let out = tiny.0.path().join("out").display().to_string();
    let output =
        output(&["run", "--plan", &bench.plan(), "--out", &out, "--trials", "50", "--skip-conformance"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.contains("cannot write") && last.contains("No space left"), "{text}");
    for name in files(&out) {
        assert!(["records.jsonl", "run.json"].contains(&name.as_str()), "left behind: {name}");
    }
    if Path::new(&out).join("records.jsonl").exists() {
        records(&out);
    }
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let mut child = harness(&["list"]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_models_are_listed_for_people_and_programs() {
    let text = output(&["list"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("iterative"));
    let json: serde_json::Value = serde_json::from_slice(&output(&["list", "--json"]).stdout).unwrap();
    assert_eq!(json["models"].as_array().unwrap().len(), servers::MODELS.len());
}
