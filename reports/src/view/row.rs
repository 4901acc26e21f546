//! One row: a model under a workload, over all its trials. Not here: comparing rows.

use super::{Latency, Measure, Model, Point, Sharing, Trial};
use hdrhistogram::Histogram;
use record::load::{Datagrams, Load, Summary};
use record::run::{Lack, Observation, Scenario};
use record::{Record, VerdictState, histogram};

/// Whether a row has numbers, and if not, why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one trial counts.
    Measured,
    /// The model is not measured under this workload, by its nature or for another [`Lack`], and why. Neither a failure nor a zero.
    CannotHold(Lack, String),
    /// There are trials and none counts.
    NoneCounts,
    /// There are no trials: the run ended before.
    NotRun,
}

/// Trials by what was concluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Nothing speaks against them.
    pub valid: usize,
    /// Something may have touched the numbers; they count, and are marked.
    pub suspect: usize,
    /// They do not count.
    pub invalid: usize,
}

impl Tally {
    /// Counts states.
    pub fn of(states: impl IntoIterator<Item = VerdictState>) -> Self {
        let mut tally = Self::default();
        for state in states {
            match state {
                VerdictState::Valid => tally.valid += 1,
                VerdictState::Suspect => tally.suspect += 1,
                VerdictState::Invalid => tally.invalid += 1,
            }
        }
        tally
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.valid + self.suspect + self.invalid
    }

    /// The state of numbers made from these trials: invalid when none counts, suspect when one of them is, or one was left out.
    #[must_use]
    pub const fn state(&self) -> VerdictState {
        match (self.valid + self.suspect, self.suspect + self.invalid) {
            (0, _) => VerdictState::Invalid,
            (_, 0) => VerdictState::Valid,
            _ => VerdictState::Suspect,
        }
    }
}

/// A model under a workload.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Place of its model in [`super::View::models`].
    pub model: usize,
    /// Whether it has numbers.
    pub outcome: Outcome,
    /// Its trials in order.
    pub trials: Vec<Trial<'a>>,
    /// Trials that the plan wanted.
    pub planned: u32,
    /// Rank among the models that are told apart, 1 best; equals share it. Absent where trials are too few.
    pub rank: Option<usize>,
    /// Replies per second.
    pub throughput_per_s: Measure,
    /// Share of what was due and not to be aborted that was answered, 0 to 1: what became of an offered rate. By count, since the
    /// number of Poisson arrivals in a second or two is itself off the rate by a percent.
    pub answered: Measure,
    /// Share of the requests that were lost, where they are datagrams, 0 to 1.
    pub loss: Measure,
    /// Server CPU time per request, nanoseconds.
    pub cpu_ns: Measure,
    /// The 99th percentile of each single trial (the median where it is withheld), nanoseconds. For spread only.
    pub trial_p99_ns: Measure,
    /// The median of each single trial, nanoseconds. For spread only.
    pub trial_p50_ns: Measure,
    /// Peak resident memory, bytes.
    pub rss_bytes: Measure,
    /// Memory per open connection, bytes.
    pub per_connection_bytes: Measure,
    /// Context switches per request, both kinds.
    pub switches: Measure,
    /// From the intended send time, merged over the trials that count.
    pub latency: Latency,
    /// From the actual send, merged.
    pub service: Latency,
    /// Most threads in any trial.
    pub threads: Option<u64>,
    /// Most processes in any trial.
    pub processes: Option<u64>,
    /// How its workers shared the work out.
    pub sharing: Sharing,
    /// What became of requests, summed over all trials, invalid ones too: nothing that happened is dropped.
    pub counts: Counts,
    /// The server's faults, as `(trial, phrase)`.
    pub faults: Vec<(u32, String)>,
}

/// Sums over all trials of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests begun.
    pub sent: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Never begun.
    pub unsent: u64,
    /// Errors on connections that were not to be aborted.
    pub collateral: u64,
    /// Aborts planned.
    pub aborts_planned: u64,
    /// Aborts carried out.
    pub aborts_done: u64,
    /// Errors by `phase cause`, most frequent first.
    pub errors: Vec<(String, u64)>,
    /// What became of datagrams, where they were spoken.
    pub datagrams: Option<Datagrams>,
    /// Connections that the listener turned away, where it was seen.
    pub listen_overflows: Option<u64>,
}

impl<'a> Row<'a> {
    pub(super) fn new(s: &'a Scenario, models: &[Model<'_>], records: &'a [Record], planned: u32) -> Self {
        let mut trials: Vec<_> = records.iter().filter(|r| r.scenario.id == s.id).map(Trial::new).collect();
        let latency = merge(&mut trials, "latency", |l| (&l.histograms.latency, &l.latency_ns));
        let service = merge(&mut trials, "service", |l| (&l.histograms.service, &l.service_ns));
        let outcome = match &s.unsupported {
            _ if trials.iter().any(Trial::counts) => Outcome::Measured,
            Some(reason) => Outcome::CannotHold(s.lack, reason.clone()),
            None if trials.is_empty() => Outcome::NotRun,
            None => Outcome::NoneCounts,
        };
        Self {
            scenario: s,
            model: models.iter().position(|m| m.name == s.model).unwrap_or_default(),
            outcome,
            planned,
            rank: None,
            throughput_per_s: of_load(&trials, |l| Some(l.throughput_per_s)),
            answered: of_load(&trials, |l| answered(&l.requests)),
            loss: of_load(&trials, |l| l.datagrams.as_ref().and_then(Datagrams::loss)),
            cpu_ns: of_server(&trials, |o| o.cpu_ns_per_request),
            trial_p99_ns: of_load(&trials, |l| l.latency_ns.p99.map(|v| v as f64)),
            trial_p50_ns: of_load(&trials, |l| l.latency_ns.p50.map(|v| v as f64)),
            rss_bytes: of_server(&trials, |o| o.peak_rss_bytes.map(|v| v as f64)),
            per_connection_bytes: of_server(&trials, |o| o.bytes_per_connection),
            switches: measure(&trials, switches_per_request),
            latency,
            service,
            threads: trials.iter().filter_map(|t| t.record.server.threads).max(),
            processes: trials.iter().filter_map(|t| t.record.server.processes).max(),
            sharing: Sharing::new(&trials),
            counts: counts(&trials),
            faults: trials
                .iter()
                .flat_map(|t| t.faults.iter().map(|f| (t.record.trial, f.clone())))
                .collect(),
            trials,
        }
    }

    /// Its trials by what was concluded.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(self.trials.iter().map(|t| t.state))
    }

    /// Why its numbers are not simply valid: one sentence each, with the trials they are about.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let all = self.trials.iter().flat_map(|t| t.reasons.iter().map(|r| (t.record.trial, r.as_str())));
        super::group::grouped(all).into_iter().map(|(text, trials)| format!("{trials}: {text}")).collect()
    }

    /// The server's faults, one phrase each, with the trials in which they were seen.
    #[must_use]
    pub fn fault_list(&self) -> Vec<String> {
        let all = self.faults.iter().map(|(trial, fault)| (*trial, fault.as_str()));
        super::group::grouped(all).into_iter().map(|(text, trials)| format!("{text} ({trials})")).collect()
    }
}

pub(super) fn measure(trials: &[Trial<'_>], value: impl Fn(&Record) -> Option<f64>) -> Measure {
    Measure::new(
        trials.iter().filter_map(|t| {
            value(t.record).map(|value| Point { trial: t.record.trial, value, state: t.state })
        }),
    )
}

fn of_load(trials: &[Trial<'_>], value: impl Fn(&Load) -> Option<f64>) -> Measure {
    measure(trials, |r| r.load.as_ref().and_then(&value))
}

fn of_server(trials: &[Trial<'_>], value: impl Fn(&Observation) -> Option<f64>) -> Measure {
    measure(trials, |r| value(&r.server))
}

fn switches_per_request(record: &Record) -> Option<f64> {
    let completed = record.load.as_ref()?.requests.completed;
    let (voluntary, involuntary) = (record.server.voluntary_switches?, record.server.involuntary_switches?);
    (completed > 0).then(|| (voluntary + involuntary) as f64 / completed as f64)
}

/// Merges one histogram of every trial that counts. A text that cannot be read makes its trial suspect: the rest of it stands.
fn merge<'a>(
    trials: &mut [Trial<'a>],
    name: &str,
    pick: impl Fn(&'a Load) -> (&'a String, &'a Summary),
) -> Latency {
    let mut histograms: Vec<Histogram<u64>> = Vec::new();
    let mut extremes = Vec::new();
    for trial in trials.iter_mut().filter(|t| t.counts()) {
        let Some((text, summary)) = trial.record.load.as_ref().map(&pick) else { continue };
        if text.is_empty() {
            continue;
        }
        match histogram::decode(text) {
            Ok(histogram) if histogram.is_empty() => {}
            Ok(histogram) => {
                histograms.push(histogram);
                extremes.push((summary.min, summary.max));
            }
            Err(e) => {
                trial.object(VerdictState::Suspect, format!("the {name} distribution cannot be read: {e}"))
            }
        }
    }
    Latency::merged(&histograms, &extremes)
}

fn answered(requests: &record::load::Requests) -> Option<f64> {
    let wanted = requests.scheduled.saturating_sub(requests.aborted);
    (wanted > 0).then(|| requests.completed as f64 / wanted as f64)
}

fn counts(trials: &[Trial<'_>]) -> Counts {
    let mut sum = Counts::default();
    for trial in trials {
        if let Some(seen) = trial.record.server.listen_overflows {
            *sum.listen_overflows.get_or_insert(0) += seen;
        }
        let Some(load) = &trial.record.load else { continue };
        if let Some(datagrams) = &load.datagrams {
            *sum.datagrams.get_or_insert_default() += datagrams;
        }
        sum.sent += load.requests.sent;
        sum.failed += load.requests.failed;
        sum.unanswered += load.requests.unanswered;
        sum.unsent += load.requests.unsent;
        sum.collateral += load.collateral_errors;
        sum.aborts_planned += load.aborts.planned;
        sum.aborts_done += load.aborts.done;
        for error in &load.errors {
            let name = format!("{} {}", error.phase, error.cause);
            match sum.errors.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += error.count,
                None => sum.errors.push((name, error.count)),
            }
        }
    }
    sum.errors.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sum
}
