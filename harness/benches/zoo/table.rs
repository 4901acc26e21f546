//! From pairs of observations to a table: medians, their intervals, and whether a target is met. Not here: the measuring.

use crate::measure::Seen;
use crate::rows::Row;
use std::fmt::Write as _;

/// Both sides of a row, observed one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Seen,
    pub(crate) other: Seen,
}

/// Share of the window from which on a server counts as saturated.
const SATURATED: f64 = 0.9;

/// A median with the interval that holds the true one in at least 95 of 100 runs; with fewer than six values, their range.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Middle {
    median: f64,
    low: f64,
    high: f64,
}

impl Middle {
    /// Order statistics: the number of values below the true median is binomial with one half.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let (first, last) = (values.first()?, values.last()?);
        let (mut outside, mut chance, mut below) = (0, 0.5_f64.powi(n as i32), 0.0);
        while below + chance <= 0.025 && outside < n / 2 {
            below += chance;
            outside += 1;
            chance *= (n - outside + 1) as f64 / outside as f64;
        }
        let (low, high) = match outside {
            0 => (*first, *last),
            k => (values[k - 1], values[n - k]),
        };
        Some(Self { median: (values[(n - 1) / 2] + values[n / 2]) / 2.0, low, high })
    }
}

/// The table, for a page and for a terminal.
pub(crate) fn markdown(rows: &[Row], results: &[Vec<Pair>]) -> String {
    let mut text = "| model | beside | load | CPU ratio | 95 % | ns/request | beside | throughput ratio | busy | target | |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (row, pairs) in rows.iter().zip(results) {
        if let Some(line) = line(row, pairs) {
            text.push_str(&line);
        }
    }
    text
}

fn line(row: &Row, pairs: &[Pair]) -> Option<String> {
    let of = |what: fn(&Pair) -> f64| Middle::of(pairs.iter().map(what));
    let ratio = of(|pair| pair.ours.cpu_ns / pair.other.cpu_ns)?;
    let (ours, other) = (of(|pair| pair.ours.cpu_ns)?, of(|pair| pair.other.cpu_ns)?);
    let rate = of(|pair| pair.ours.per_s / pair.other.per_s)?;
    let busy = [of(|pair| pair.ours.busy)?.median, of(|pair| pair.other.busy)?.median];
    let mut line = String::new();
    let _ = writeln!(
        line,
        "| {} | {} | {} | {:.3} | {:.3} to {:.3} | {:.0} | {:.0} | {:.2}{} | {:.0} %, {:.0} % | ≤ {:.2} | {} |",
        row.ours.name(),
        row.other.name(),
        row.load.name,
        ratio.median,
        ratio.low,
        ratio.high,
        ours.median,
        other.median,
        rate.median,
        // The generator set the pace: what the server could have done does not show.
        if busy.iter().all(|&share| share >= SATURATED) { "" } else { "\\*" },
        100.0 * busy[0],
        100.0 * busy[1],
        row.target,
        verdict(&ratio, row.target),
    );
    Some(line)
}

fn verdict(ratio: &Middle, target: f64) -> &'static str {
    if ratio.median <= target {
        "met"
    } else if ratio.low <= target {
        "not told apart"
    } else {
        "not met"
    }
}
