//! The run behind the numbers: every trial, the machine. Not here: the prose, which is in the template.

use crate::format::{NONE, bytes, duration, plain, rate};
use crate::view::{Trial, state_word};
use record::run::Run;

/// A trial as a line of a table.
pub(super) struct TrialLine {
    pub(super) order: u32,
    pub(super) scenario: String,
    pub(super) trial: u32,
    pub(super) state: &'static str,
    pub(super) why: String,
    pub(super) faults: String,
    pub(super) stderr: String,
    pub(super) throughput: String,
    pub(super) p99: String,
    pub(super) lag_p99: String,
    pub(super) busy: String,
    pub(super) seed: String,
}

impl TrialLine {
    pub(super) fn new(trial: &Trial<'_>) -> Self {
        let record = trial.record;
        let load = record.load.as_ref();
        let time = |v: Option<u64>| v.map_or_else(|| NONE.to_owned(), |v| duration(v as f64));
        Self {
            order: record.order,
            scenario: record.scenario.id.clone(),
            trial: record.trial,
            state: state_word(trial.state),
            why: trial.reasons.join("; "),
            faults: trial.faults.join("; "),
            stderr: record.server.faults.stderr.lines().map(plain).collect::<Vec<_>>().join("\n"),
            throughput: load.map_or_else(|| NONE.to_owned(), |l| rate(l.throughput_per_s)),
            p99: time(load.and_then(|l| l.latency_ns.p99)),
            lag_p99: time(load.and_then(|l| l.lag_ns.p99)),
            busy: load
                .map_or_else(|| NONE.to_owned(), |l| format!("{:.0} %", l.generator.busy_share * 100.0)),
            seed: record.seed.to_string(),
        }
    }
}

/// A fact about the machine or the run.
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) value: String,
}

/// What may explain a difference to another run.
pub(super) fn facts(run: &Run) -> Vec<Fact> {
    let m = &run.machine;
    let cpus = |list: &[usize]| list.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let yes_no = |v: Option<bool>| v.map_or(NONE, |v| if v { "yes" } else { "no" }).to_owned();
    let text = |v: &Option<String>| v.clone().unwrap_or_else(|| NONE.to_owned());
    let mut facts = vec![
        ("Run", run.id.clone()),
        ("Seed", run.seed.to_string()),
        ("Program", format!("server-models {}", run.version)),
        ("Kernel", m.kernel.clone()),
        ("Processor", m.cpu_model.clone()),
        ("CPUs allowed", cpus(&m.cpus)),
        ("CPUs of servers", cpus(&run.server_cpus)),
        ("CPUs of the load", cpus(&run.load_cpus)),
        ("Virtualised", yes_no(m.virtualised)),
        ("Frequency governor", text(&m.governor)),
        ("Clock source", text(&m.clock_source)),
        ("Memory", bytes(m.memory_bytes as f64)),
        ("Descriptor limit", format!("{} soft, {} hard", m.descriptor_limit.0, m.descriptor_limit.1)),
        ("Load average at the start", m.load_average.map_or_else(|| NONE.to_owned(), |v| format!("{v:.2}"))),
    ];
    let sysctls: Vec<(String, String)> = m.sysctls.iter().map(|(k, v)| (k.clone(), plain(v))).collect();
    let mut all: Vec<Fact> =
        facts.drain(..).map(|(name, value)| Fact { name: name.to_owned(), value }).collect();
    all.extend(sysctls.into_iter().map(|(name, value)| Fact { name, value }));
    all
}
