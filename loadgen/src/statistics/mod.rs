//! What can be said of a window beyond its numbers: how well a percentile is known, whether the window was the same from end to
//! end. Pure arithmetic on histograms. Not here: what differs between runs (see `compare`), and the thresholds on the generator.
//!
//! Requests that follow each other are not independent, so n of them tell less than n. By how much is estimated for each
//! percentile by itself, from the indicator "above it" over the intervals of the window (batch means, Conway 1963; for
//! quantiles Heidelberger and Lewis 1984): the variance of its share between the intervals over the one that independent
//! requests would have, times the autocorrelation time of that series (initial positive sequence, Geyer 1992). The interval is
//! then the pair of order statistics that a binomial distribution of the effective size gives, which assumes no shape.

mod batch;
mod trend;

pub(crate) use batch::{autocorrelation_time, inflation};

use hdrhistogram::Histogram;
use record::analysis::{Estimate, Quantile, Stationarity, Statistics};
use record::histogram::percentile;
use record::{Load, VerdictState};
use statrs::distribution::{Binomial, ContinuousCDF as _, DiscreteCDF as _, StudentsT};

/// Confidence of the intervals.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// Fewest intervals of a window for anything here: the variance of fewer is known to no better than a factor of two.
pub(crate) const FEWEST: usize = 10;

/// Percentiles that are shown where enough values stand above them.
const SHOWN: [f64; 6] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99];

const METHOD: &str = "binomial order statistics on the effective sample size; that from the share of requests above the \
                      percentile in each interval of the window (batch means with the initial positive sequence)";

/// An interval of the window: its length in nanoseconds, and the latencies of what was completed in it.
type Batch<'a> = (u64, &'a Histogram<u32>);

/// What can be said of a window: `whole` is its latency histogram, `load` the rest of its result.
fn describe(load: &Load, whole: &Histogram<u64>, intervals: &[Batch<'_>]) -> Statistics {
    let batches = full(intervals);
    let enough = batches.len() >= FEWEST;
    let max = load.latency_ns.max.unwrap_or(u64::MAX);
    let quantile = |percent: f64| {
        let value_ns = percentile(whole, percent)?.min(max);
        let effective = enough.then(|| effective_size(whole.len(), &batches, value_ns)).flatten();
        let (low_ns, high_ns) = effective.map_or((None, None), |n| limits(whole, percent, n));
        let high_ns = high_ns.map(|ns| ns.min(max));
        Some(Quantile { percent, value_ns, low_ns, high_ns, effective })
    };
    let rates: Vec<f64> = batches.iter().map(|(ns, h)| h.len() as f64 * 1e9 / *ns as f64).collect();
    Statistics {
        method: METHOD.to_owned(),
        confidence: CONFIDENCE,
        batches: batches.len() as u64,
        latency: SHOWN.into_iter().filter_map(quantile).collect(),
        throughput: enough.then(|| mean(load.throughput_per_s, &rates)).flatten(),
        stationarity: (enough && is_steady_by_plan(&load.config.arrivals))
            .then(|| stationarity(&batches, &load.config.arrivals)),
    }
}

/// Describes the window of a result in the result itself, and objects where it was not steady.
pub(crate) fn attach(load: &mut Load, whole: &Histogram<u64>, latencies: &[Histogram<u32>]) {
    let intervals: Vec<Batch<'_>> = load.intervals.iter().map(|i| i.length_ns).zip(latencies).collect();
    let statistics = describe(load, whole, &intervals);
    for reason in objections(&statistics) {
        load.verdict.object(VerdictState::Suspect, reason);
    }
    load.statistics = Some(statistics);
}

/// The intervals that are as long as the first; the last one may be cut, and holds what came behind the window.
fn full<'a>(intervals: &[Batch<'a>]) -> Vec<Batch<'a>> {
    let length = intervals.first().map_or(0, |first| first.0);
    intervals.iter().filter(|batch| batch.0 == length && length > 0).copied().collect()
}

/// A plan that changes its rate on purpose is no drift.
fn is_steady_by_plan(arrivals: &str) -> bool {
    matches!(arrivals, "closed" | "constant" | "poisson")
}

/// Independent values that would tell as much of the share above `value_ns` as the `count` values of the window do.
fn effective_size(count: u64, batches: &[Batch<'_>], value_ns: u64) -> Option<f64> {
    let shares: Vec<(u64, u64)> =
        batches.iter().map(|(_, h)| (h.len(), h.len() - h.count_between(0, value_ns))).collect();
    Some(count as f64 / inflation(&shares)?)
}

/// The pair of values between which the percentile lies with [`CONFIDENCE`], of `effective` independent values.
fn limits(whole: &Histogram<u64>, percent: f64, effective: f64) -> (Option<u64>, Option<u64>) {
    let n = effective.floor().max(1.0) as u64;
    let Ok(below) = Binomial::new(percent / 100.0, n) else { return (None, None) };
    let alpha = (1.0 - CONFIDENCE) / 2.0;
    let (low, high) = (below.inverse_cdf(alpha), below.inverse_cdf(1.0 - alpha) + 1);
    // On average, the r-th of n values lies at r / (n + 1).
    let at = |rank: u64| whole.value_at_quantile(rank as f64 / (n + 1) as f64);
    let low = (low > 0).then(|| whole.lowest_equivalent(at(low)));
    (low, (high <= n).then(|| at(high)))
}

/// The interval of a mean over intervals that may hang together.
fn mean(value: f64, series: &[f64]) -> Option<Estimate> {
    let n = series.len() as f64;
    let centre = series.iter().sum::<f64>() / n;
    let variance = series.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / (n - 1.0);
    let effective = (n / autocorrelation_time(series).max(1.0)).max(2.0);
    let t = StudentsT::new(0.0, 1.0, effective - 1.0).ok()?.inverse_cdf(0.5 + CONFIDENCE / 2.0);
    let half = t * (variance / effective).sqrt();
    Some(Estimate { value, low: (value - half).max(0.0), high: value + half })
}

/// Whether median and rate stay what they are; the rate where it is the server's choice.
fn stationarity(batches: &[Batch<'_>], arrivals: &str) -> Stationarity {
    let blocks = trend::blocks(batches);
    let medians: Vec<f64> = blocks.iter().filter_map(|b| b.median_ns).collect();
    let mut trends = vec![trend::of("p50", &medians)];
    if arrivals == "closed" {
        let rates: Vec<f64> = blocks.iter().map(|b| b.rate_per_s).collect();
        trends.push(trend::of("rate", &rates));
    }
    Stationarity { stationary: !trends.iter().any(|t| t.drifts), rule: trend::rule(), trends }
}

/// Why the window is not one of a steady state; one sentence a series.
fn objections(statistics: &Statistics) -> Vec<String> {
    let drifting = statistics.stationarity.iter().flat_map(|s| &s.trends).filter(|t| t.drifts);
    drifting
        .map(|t| {
            let (name, percent) = (&t.series, t.change * 100.0);
            format!("not stationary: the {name} of the intervals drifts by {percent:+.0} % over the window (--warm-up, longer runs)")
        })
        .collect()
}

#[cfg(test)]
mod tests;
