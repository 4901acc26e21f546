//! Which models of a workload are told apart. Not here: a test of significance (that is `ci`), nor a score over workloads.
//!
//! Two models are told apart when every trial of one lies beyond every trial of the other. That is a statement about what was
//! seen, not about what would be seen again: with three trials each, chance alone does it once in ten, with five once in 126.

use super::{Measure, Row, Workload};

/// Trials of a model from which it is ranked.
pub(super) const FEWEST_TRIALS: usize = 3;

/// What a workload's models are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yardstick {
    /// Closed loop: replies per second, more is better.
    Throughput,
    /// Open loop: the load is given, so the 99th percentile of latency, less is better.
    P99,
    /// The median of latency, where some trial has no 99th percentile.
    P50,
}

impl Yardstick {
    /// The one that suits a workload.
    pub(super) fn of(workload: &Workload<'_>) -> Self {
        if workload.closed || workload.offered_per_s.is_none() {
            return Self::Throughput;
        }
        let all_have_p99 = workload
            .measured()
            .all(|r| r.trial_p99_ns.span.map(|s| s.trials) == r.throughput_per_s.span.map(|s| s.trials));
        if all_have_p99 { Self::P99 } else { Self::P50 }
    }

    /// The quantity of a row.
    pub(super) fn measure<'r>(self, row: &'r Row<'_>) -> &'r Measure {
        match self {
            Self::Throughput => &row.throughput_per_s,
            Self::P99 => &row.trial_p99_ns,
            Self::P50 => &row.trial_p50_ns,
        }
    }

    /// True when every trial of `a` is better than every trial of `b`, and both have enough of them.
    pub(super) fn beats(self, a: &Row<'_>, b: &Row<'_>) -> bool {
        let (Some(a), Some(b)) = (self.measure(a).span, self.measure(b).span) else { return false };
        if a.trials.min(b.trials) < FEWEST_TRIALS {
            return false;
        }
        if self == Self::Throughput { b.wholly_below(&a) } else { a.wholly_below(&b) }
    }
}

/// Gives each row the number of rows that beat it, plus one; those who cannot be told from the best share rank 1.
pub(super) fn rank(workload: &mut Workload<'_>) {
    let yardstick = Yardstick::of(workload);
    let enough = |r: &Row<'_>| yardstick.measure(r).span.is_some_and(|s| s.trials >= FEWEST_TRIALS);
    let ranks: Vec<Option<usize>> = workload
        .rows
        .iter()
        .map(|row| enough(row).then(|| 1 + workload.rows.iter().filter(|o| yardstick.beats(o, row)).count()))
        .collect();
    for (row, rank) in workload.rows.iter_mut().zip(ranks) {
        row.rank = rank;
    }
}
