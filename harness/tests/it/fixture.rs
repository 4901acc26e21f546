//! Running the harness for a test. Not here: what is tested.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// No wait in a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn harness(args: &[&str]) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the harness itself is what is tested")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn output(args: &[&str]) -> Output {
    harness(args).output().unwrap()
}

/// A folder for one test, with a plan in it that takes a second or two.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
}

/// Two models, of which one cannot hold the second workload; loads that a debug build on a busy machine can carry.
pub(crate) const PLAN: &str = r#"
name = "test"
models = ["iterative", "epoll"]
trials = 1
duration = "200ms"
warm_up = "50ms"

[[workload]]
name = "churn"
title = "a connection for each request"
service = "sized"
size = 400
connections = 2
requests_per_connection = 1

[[workload]]
name = "c4"
title = "four connections that stay open"
service = "echo"
connections = 4
rate = 200.0
"#;

impl Bench {
    pub(crate) fn new(plan: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plan.toml"), plan).unwrap();
        Self { folder }
    }

    pub(crate) fn plan(&self) -> String {
        self.path("plan.toml")
    }

    pub(crate) fn out(&self) -> String {
        self.path("out")
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// Starts a run that would take long, and waits until its first record is on disk.
pub(crate) fn start_long_run(bench: &Bench) -> Child {
    let args =
        ["run", "--plan", &bench.plan(), "--out", &bench.out(), "--trials", "200", "--skip-conformance"];
    let child = harness(&args).spawn().unwrap();
    let records = PathBuf::from(bench.out()).join("records.jsonl");
    eventually("the first record is written", || records.exists().then_some(()));
    child
}

/// Looks again until there is something, within the deadline.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        sys::clock::pause(Duration::from_millis(5));
    }
}

pub(crate) fn records(folder: &str) -> Vec<record::Record> {
    let text = std::fs::read_to_string(Path::new(folder).join("records.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn run_json(folder: &str) -> record::run::Run {
    serde_json::from_slice(&std::fs::read(Path::new(folder).join("run.json")).unwrap()).unwrap()
}
