//! Matches the scenarios of two runs and judges each gate. Not here: reading folders, writing text.

use crate::policy::Policy;
use crate::stats::{detectable, holm, least_p, median, rank_test, trials_needed};
use record::run::Run;
use record::{Exit, Record, VerdictState};
use reports::Report;
use reports::view::Trial;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is compared of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Replies per second; more is better.
    ThroughputPerS,
    /// Server CPU time per request in nanoseconds; less is better.
    CpuNsPerRequest,
    /// Median latency in nanoseconds; less is better. For information: in a closed loop it is the inverse of throughput.
    LatencyP50Ns,
}

impl Metric {
    /// All of them; the tails are not among them, since they vary too much to decide anything.
    const ALL: [Self; 3] = [Self::ThroughputPerS, Self::CpuNsPerRequest, Self::LatencyP50Ns];

    /// True when it can fail a build.
    #[must_use]
    pub const fn gates(self) -> bool {
        !matches!(self, Self::LatencyP50Ns)
    }

    /// Name as printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThroughputPerS => "throughput",
            Self::CpuNsPerRequest => "CPU/request",
            Self::LatencyP50Ns => "latency p50",
        }
    }

    fn of(self, record: &Record) -> Option<f64> {
        let value = match self {
            Self::ThroughputPerS => record.load.as_ref()?.throughput_per_s,
            Self::CpuNsPerRequest => record.server.cpu_ns_per_request?,
            Self::LatencyP50Ns => record.load.as_ref()?.latency_ns.p50? as f64,
        };
        (value.is_finite() && value > 0.0).then_some(value)
    }

    /// The verdict of a change that is beyond doubt and threshold.
    fn direction(self, ratio: f64) -> Verdict {
        let more = ratio > 1.0;
        if more == matches!(self, Self::ThroughputPerS) { Verdict::Faster } else { Verdict::Slower }
    }
}

/// What is concluded about a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// No change beyond the threshold was found; see what could have been.
    #[serde(rename = "no change seen")]
    NoChangeSeen,
    /// Worse.
    #[serde(rename = "slower")]
    Slower,
    /// Better.
    #[serde(rename = "faster")]
    Faster,
    /// With so many gates, so few trials cannot show anything, whatever they say.
    #[serde(rename = "too few trials")]
    TooFewTrials,
}

impl Verdict {
    /// The words as printed.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoChangeSeen => "no change seen",
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::TooFewTrials => "too few trials",
        }
    }
}

/// One scenario and one metric.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    /// Id of the scenario.
    pub scenario: String,
    /// The metric.
    pub metric: Metric,
    /// Whether it can fail a build.
    pub gates: bool,
    /// Valid trials of base and head.
    pub trials: (usize, usize),
    /// Median of the base.
    pub base: f64,
    /// Median of the head.
    pub head: f64,
    /// Head by base.
    pub ratio: f64,
    /// Two-sided p-value of the rank test.
    pub p: f64,
    /// The same, corrected for the number of gates; that of a metric for information stands alone.
    pub p_corrected: f64,
    /// Smallest change that would have been found nine times in ten, as a share.
    pub detectable: Option<f64>,
    /// The conclusion.
    pub verdict: Verdict,
}

/// A scenario that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unfit {
    /// Its id.
    pub scenario: String,
    /// Valid trials, of all, on the side of base and of head.
    pub base: (usize, usize),
    /// As `base`.
    pub head: (usize, usize),
}

/// Base against head.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Ids of the two runs.
    pub runs: (String, String),
    /// Threshold, a share.
    pub threshold: f64,
    /// Chance of any false alarm.
    pub alpha: f64,
    /// Trials a side from which a gate can show anything at this alpha and number of gates.
    pub trials_needed: Option<usize>,
    /// Gates, in the order of the base's plan.
    pub gates: Vec<Gate>,
    /// Scenarios that base has and head has not: a finding.
    pub vanished: Vec<String>,
    /// Scenarios that only head has.
    pub appeared: Vec<String>,
    /// Scenarios without a valid trial on one side or both.
    pub unfit: Vec<Unfit>,
    /// Faults of servers that only head has, as `scenario: fault`: a finding.
    pub new_faults: Vec<String>,
    /// What weakens the comparison.
    pub warnings: Vec<String>,
}

/// The records of one side, by scenario.
type Side<'a> = BTreeMap<&'a str, Vec<Trial<'a>>>;

/// Compares two runs.
#[must_use]
pub fn compare(base: &Report, head: &Report, policy: Policy) -> Comparison {
    let (b, h) = (side(base), side(head));
    let mut out = Comparison {
        runs: (base.run().id.clone(), head.run().id.clone()),
        threshold: policy.threshold,
        alpha: policy.alpha,
        trials_needed: None,
        gates: Vec::new(),
        vanished: Vec::new(),
        appeared: h.keys().filter(|id| !b.contains_key(*id)).map(|id| (*id).to_owned()).collect(),
        unfit: Vec::new(),
        new_faults: Vec::new(),
        warnings: warnings(base.run(), head.run()),
    };
    let mut samples = Vec::new();
    for id in in_order(base, &b) {
        let (Some(base), Some(head)) = (b.get(id), h.get(id)) else {
            out.vanished.push(id.to_owned());
            continue;
        };
        out.new_faults.extend(new_faults(id, base, head));
        if valid(base) == 0 || valid(head) == 0 {
            let counts = |t: &[Trial<'_>]| (valid(t), t.len());
            out.unfit.push(Unfit { scenario: id.to_owned(), base: counts(base), head: counts(head) });
            continue;
        }
        for metric in Metric::ALL {
            let (x, y) = (values(base, metric), values(head, metric));
            if !x.is_empty() && !y.is_empty() {
                samples.push((id, metric, x, y));
            }
        }
    }
    judge(&mut out, &samples, policy);
    out
}

/// One pair of samples: scenario, metric, base, head.
type Sample<'a> = (&'a str, Metric, Vec<f64>, Vec<f64>);

fn judge(out: &mut Comparison, samples: &[Sample<'_>], policy: Policy) {
    let p: Vec<f64> = samples.iter().map(|(_, _, x, y)| rank_test(x, y)).collect();
    let gating: Vec<usize> = (0..samples.len()).filter(|i| samples[*i].1.gates()).collect();
    let corrected = holm(&gating.iter().map(|i| p[*i]).collect::<Vec<_>>());
    // The first step of Holm's ladder is the one that a single change has to take.
    let step = policy.alpha / gating.len().max(1) as f64;
    out.trials_needed = trials_needed(step);
    for (index, (id, metric, x, y)) in samples.iter().enumerate() {
        let (Some(base), Some(head)) = (median(x), median(y)) else { continue };
        let place = gating.iter().position(|g| *g == index);
        let p_corrected = place.map_or(p[index], |place| corrected[place]);
        let ratio = head / base;
        let verdict = if p_corrected <= policy.alpha {
            let beyond = (ratio - 1.0).abs() >= policy.threshold;
            if beyond { metric.direction(ratio) } else { Verdict::NoChangeSeen }
        } else if least_p(x.len(), y.len()) > step {
            Verdict::TooFewTrials
        } else {
            Verdict::NoChangeSeen
        };
        out.gates.push(Gate {
            scenario: (*id).to_owned(),
            metric: *metric,
            gates: metric.gates(),
            trials: (x.len(), y.len()),
            base,
            head,
            ratio,
            p: p[index],
            p_corrected,
            detectable: detectable(x, y, step, policy.threshold),
            verdict,
        });
    }
}

impl Comparison {
    /// Gates that can fail a build.
    pub fn gating(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().filter(|g| g.gates)
    }

    /// True when no gate could have shown anything.
    #[must_use]
    pub fn blind(&self) -> bool {
        self.gating().all(|g| g.verdict == Verdict::TooFewTrials)
    }

    /// How the command ends.
    ///
    /// A gate that could not have seen anything is unfit, not fine: a green light must mean that someone looked.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let slower = self.gating().any(|g| g.verdict == Verdict::Slower);
        let lost = self.unfit.iter().any(|u| u.base.0 > 0 && u.head.0 == 0);
        if self.gates.is_empty() && self.unfit.is_empty() {
            // Not one scenario in common: two runs that have nothing to do with each other.
            Exit::Usage
        } else if slower || !self.vanished.is_empty() || !self.new_faults.is_empty() {
            Exit::Found
        } else if lost || self.blind() {
            Exit::Unfit
        } else {
            Exit::Fine
        }
    }
}

fn side(report: &Report) -> Side<'_> {
    let mut side = Side::new();
    for record in report.records() {
        side.entry(&record.scenario.id).or_default().push(Trial::new(record));
    }
    side
}

/// Ids of a side: in the order of its plan, then those that no plan has.
fn in_order<'a>(report: &'a Report, side: &Side<'a>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = Vec::new();
    let planned = report.run().scenarios.iter().map(|s| s.id.as_str());
    for id in planned.chain(side.keys().copied()).filter(|id| side.contains_key(id)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

fn valid(trials: &[Trial<'_>]) -> usize {
    trials.iter().filter(|t| t.state == VerdictState::Valid).count()
}

fn values(trials: &[Trial<'_>], metric: Metric) -> Vec<f64> {
    trials.iter().filter(|t| t.state == VerdictState::Valid).filter_map(|t| metric.of(t.record)).collect()
}

/// Faults of the head that no trial of the base has.
fn new_faults(id: &str, base: &[Trial<'_>], head: &[Trial<'_>]) -> Vec<String> {
    // Without numbers: `12 zombies` is not news where `11 zombies` was.
    let kind = |fault: &str| fault.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let known: Vec<String> = base.iter().flat_map(|t| &t.faults).map(|f| kind(f)).collect();
    let mut seen: Vec<String> = Vec::new();
    for fault in head.iter().flat_map(|t| &t.faults) {
        if !known.contains(&kind(fault)) && !seen.iter().any(|s| kind(s) == kind(fault)) {
            seen.push(fault.clone());
        }
    }
    seen.into_iter().map(|fault| format!("{id}: {fault}")).collect()
}

/// What weakens the comparison before any number is looked at.
fn warnings(base: &Run, head: &Run) -> Vec<String> {
    let mut warnings = Vec::new();
    if base.id == head.id {
        warnings.push("base and head are the same run".to_owned());
    } else {
        warnings.push(
            "base and head were measured in two sessions, not interleaved: what the machine did in between looks like a change too \
             (the same binary against itself has differed by 6 % this way)"
                .to_owned(),
        );
    }
    let (b, h) = (&base.machine, &head.machine);
    for (what, differs) in [
        ("processor", b.cpu_model != h.cpu_model),
        ("kernel", b.kernel != h.kernel),
        ("number of CPUs", b.cpus.len() != h.cpus.len()),
        ("frequency governor", b.governor != h.governor),
        ("plan", base.plan != head.plan),
    ] {
        if differs {
            warnings.push(format!("base and head differ in their {what}"));
        }
    }
    for (name, run) in [("base", base), ("head", head)] {
        if run.cut_short {
            warnings.push(format!("the run of {name} was cut short"));
        }
    }
    warnings
}
