//! Scenario, observation, record: what the harness writes down of one trial. Not here: how it was observed.

use crate::conform::CaseVerdict;
use crate::load::{Load, Verdict};
use crate::machine::Machine;
use crate::workers::Workers;
use serde::{Deserialize, Serialize};

/// Model × family × service × workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Stable id, as in `epoll/tcp/echo/c64`.
    pub id: String,
    /// The server model.
    pub model: String,
    /// Socket family.
    pub family: String,
    /// Service.
    pub service: String,
    /// Name of the workload within the plan, the last part of the id.
    pub workload: String,
    /// The workload in a sentence, for people.
    pub title: String,
    /// Why the model is not measured under this workload; then there are no records of it.
    pub unsupported: Option<String>,
    /// Where that comes from; records of before say nothing of it, and mean its nature.
    #[serde(default)]
    pub lack: Lack,
}

/// Where it comes from that a scenario is unsupported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The model cannot hold this workload by its nature.
    #[default]
    Nature,
    /// It does not serve the family.
    Family,
    /// This machine does not let it run.
    Machine,
}

impl Lack {
    /// What is said of it in a table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nature => "cannot hold",
            Self::Family | Self::Machine => "unsupported",
        }
    }
}

/// One trial: a fresh server process measured once under a scenario. One line of `records.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Id of the run that this trial belongs to.
    pub run_id: String,
    /// The scenario.
    pub scenario: Scenario,
    /// Number of the trial within its scenario, from 1.
    pub trial: u32,
    /// Place in the order in which the trials were run, from 1.
    pub order: u32,
    /// Seed of this trial.
    pub seed: u64,
    /// The verdict over all: the generator's, and what the harness saw.
    pub verdict: Verdict,
    /// What the generator measured; absent where it did not run to its end.
    pub load: Option<Load>,
    /// What was seen of the server.
    pub server: Observation,
}

/// What was seen of the server process and its descendants during the timed window, unless said otherwise.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Observation {
    /// Command line.
    pub command: String,
    /// Processors it was kept on.
    pub cpus: Vec<usize>,
    /// From exec to its ready line, in nanoseconds.
    pub ready_ns: Option<u64>,
    /// User and system time of the whole process tree, ended children included, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// The same per completed request.
    pub cpu_ns_per_request: Option<f64>,
    /// How `cpu_ns` was had: `cgroup`, or `proc` (grain 10 ms).
    pub cpu_source: String,
    /// Largest resident memory of the tree, in bytes; of forked processes the sum, shared pages counted in each.
    pub peak_rss_bytes: Option<u64>,
    /// Anonymous memory per open connection, beyond the idle server's, in bytes, in proportion where processes share pages; user
    /// memory, without the kernel's buffers.
    pub bytes_per_connection: Option<f64>,
    /// Context switches of the tree that were voluntary.
    pub voluntary_switches: Option<u64>,
    /// Context switches of the tree that were not.
    pub involuntary_switches: Option<u64>,
    /// Most threads seen in the tree at a time.
    pub threads: Option<u64>,
    /// Most processes seen in the tree at a time.
    pub processes: Option<u64>,
    /// Connections that the listener turned away in the window (/proc/net/netstat, ListenOverflows, whole network namespace).
    pub listen_overflows: Option<u64>,
    /// What each worker counted in the window; absent where nothing was counted, as in records of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,
    /// Faults of the server's own.
    pub faults: Faults,
}

/// Faults of the server's own. Every field at its default is a clean bill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Exit status, where it ended by itself.
    pub exit_status: Option<i32>,
    /// Name of the signal that killed it, unless the harness sent it.
    pub killed_by: Option<String>,
    /// It ended while it was being measured.
    pub died_early: bool,
    /// It did not end within the grace after SIGTERM.
    pub ignored_term: bool,
    /// Zombies left at the end of the load.
    pub zombies: u64,
    /// Descriptors open after the load beyond those before it.
    pub descriptors_left: i64,
    /// Last lines of its standard error, where there were any.
    pub stderr: String,
}

impl Faults {
    /// One phrase a fault; empty for a clean bill.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let mut list = Vec::new();
        if let Some(signal) = &self.killed_by {
            list.push(format!("killed by {signal}"));
        }
        if let Some(status) = self.exit_status
            && status != 0
        {
            list.push(format!("exit status {status}"));
        }
        if self.died_early && self.killed_by.is_none() {
            list.push("ended while it was being measured".to_owned());
        }
        if self.ignored_term {
            list.push("did not end on SIGTERM".to_owned());
        }
        if self.zombies > 0 {
            list.push(format!("{} zombies", self.zombies));
        }
        if self.descriptors_left > 0 {
            list.push(format!("{} descriptors leaked", self.descriptors_left));
        }
        list
    }
}

/// What a report needs beside the records: `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Id of the run, made from its start time.
    pub id: String,
    /// Start, RFC 3339.
    pub started_at: String,
    /// Length in nanoseconds.
    pub elapsed_ns: u64,
    /// Version of the program.
    pub version: String,
    /// The plan's name.
    pub plan_name: String,
    /// The plan as TOML text, complete.
    pub plan: String,
    /// Seed of the run.
    pub seed: u64,
    /// Trials planned of each scenario that is not unsupported.
    pub trials_planned: u32,
    /// True when it was interrupted; what was measured is kept.
    pub cut_short: bool,
    /// The machine.
    pub machine: Machine,
    /// Processors of the servers, and of the generator.
    pub server_cpus: Vec<usize>,
    /// Processors of the generator.
    pub load_cpus: Vec<usize>,
    /// Every scenario of the plan in its order, the unsupported ones too.
    pub scenarios: Vec<Scenario>,
    /// Conformance of each model, where it was checked.
    pub conformance: Vec<ModelConformance>,
}

/// How a model did in the conformance cases that were run before it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelConformance {
    /// The model.
    pub model: String,
    /// Service it was checked with.
    pub service: String,
    /// Cases by verdict, as `(id, verdict, what was seen)`.
    pub cases: Vec<(String, CaseVerdict, String)>,
}

impl ModelConformance {
    /// True when no case failed.
    #[must_use]
    pub fn conformant(&self) -> bool {
        self.cases.iter().all(|(_, verdict, _)| *verdict != CaseVerdict::Failed)
    }

    /// `11/12 · serial` style badge: cases that held over those that were decided, then how many were not.
    #[must_use]
    pub fn badge(&self) -> String {
        let count = |v| self.cases.iter().filter(|c| c.1 == v).count();
        let decided = count(CaseVerdict::Ok) + count(CaseVerdict::NonStrict) + count(CaseVerdict::Failed);
        let mut badge = format!("{}/{decided}", count(CaseVerdict::Ok));
        for (verdict, word) in [
            (CaseVerdict::Info, "info"),
            (CaseVerdict::Skipped, "skipped"),
            (CaseVerdict::Inconclusive, "undecided"),
        ] {
            if count(verdict) > 0 {
                badge.push_str(&format!(" · {} {word}", count(verdict)));
            }
        }
        badge
    }
}
