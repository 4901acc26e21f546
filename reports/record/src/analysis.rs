//! What a result says of its own certainty, and what it was merged from. Not here: the arithmetic (crate loadgen).

use crate::load::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can be said of the window beyond its numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    /// How the intervals were had, in a sentence.
    pub method: String,
    /// Confidence of every interval below, 0 to 1.
    pub confidence: f64,
    /// Intervals of the window that the figures rest on.
    pub batches: u64,
    /// Percentiles of [`crate::Load::latency_ns`] that are shown, with their intervals.
    pub latency: Vec<Quantile>,
    /// Replies per second, with its interval; absent where the window has too few intervals.
    pub throughput: Option<Estimate>,
    /// Whether the window was the same from end to end; absent where it has too few intervals.
    pub stationarity: Option<Stationarity>,
}

/// A percentile and how well it is known, within this one run: what differs between starts of a server is not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// Which one, as in 99.9.
    pub percent: f64,
    /// The percentile in nanoseconds.
    pub value_ns: u64,
    /// Lower end of the interval; absent where there are too few values for one.
    pub low_ns: Option<u64>,
    /// Upper end of the interval; absent where there are too few values for one.
    pub high_ns: Option<u64>,
    /// Independent values that would tell as much; absent where the window has too few intervals.
    pub effective: Option<f64>,
}

/// A figure and its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Whether the window was the same from end to end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stationarity {
    /// No series below drifts.
    pub stationary: bool,
    /// What counts as a drift, in a sentence.
    pub rule: String,
    /// The series that were looked at.
    pub trends: Vec<Trend>,
}

/// A series over the intervals of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trend {
    /// `p50` or `rate`.
    pub series: String,
    /// Change from the first to the last interval along the Theil-Sen line, as a share of the median.
    pub change: f64,
    /// Probability of such an order by chance (Mann-Kendall, two-sided).
    pub p_value: f64,
    /// It counts as a drift.
    pub drifts: bool,
}

/// A result that is a part of a merged one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Made from its content, so that a part cannot be counted twice.
    pub id: String,
    /// Its target.
    pub target: String,
    /// Wall-clock start of its window, nanoseconds since 1970.
    pub started_at_ns: u64,
    /// Length of its window in nanoseconds.
    pub elapsed_ns: u64,
    /// Start of its window from the start of the merged one, in nanoseconds.
    pub offset_ns: u64,
    /// Its seed.
    pub seed: u64,
    /// Its connections.
    pub connections: u64,
    /// Its replies.
    pub completed: u64,
    /// Its verdict.
    pub verdict: Verdict,
}
