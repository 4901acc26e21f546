//! Whether a series drifts: Mann-Kendall for the order, Theil-Sen for the size. Not here: which series.

use super::Batch;
use hdrhistogram::Histogram;
use record::analysis::Trend;
use statrs::distribution::{ContinuousCDF as _, Normal};

/// Most blocks that a window is cut into: neighbours that hang together would make an order of their own.
const BLOCKS: usize = 20;

/// Probability of an order by chance below which it is none.
const LEVEL: f64 = 0.01;

/// Change over the window, as a share of the median, below which a drift does not matter for what is read off a run.
const CHANGE: f64 = 0.10;

/// What counts as a drift, in a sentence.
pub(super) fn rule() -> String {
    format!(
        "Mann-Kendall p < {LEVEL} over at most {BLOCKS} blocks, and a Theil-Sen change of {:.0} % or more over the window",
        CHANGE * 100.0
    )
}

/// A stretch of the window.
pub(super) struct Block {
    /// Median latency; `None` where nothing was completed.
    pub(super) median_ns: Option<f64>,
    pub(super) rate_per_s: f64,
}

/// The window in at most [`BLOCKS`] stretches of one length; intervals that do not fill the last one are left out.
pub(super) fn blocks(batches: &[Batch<'_>]) -> Vec<Block> {
    let block = |batches: &[Batch<'_>]| {
        let mut latency: Histogram<u32> = batches[0].1.clone();
        // Histograms of one shape can be added.
        let added = batches[1..].iter().all(|(_, h)| latency.add(*h).is_ok());
        let ns: u64 = batches.iter().map(|b| b.0).sum();
        let count: u64 = batches.iter().map(|b| b.1.len()).sum();
        Block {
            median_ns: (added && count > 0).then(|| latency.value_at_percentile(50.0) as f64),
            rate_per_s: count as f64 * 1e9 / ns.max(1) as f64,
        }
    };
    batches.chunks_exact(batches.len().div_ceil(BLOCKS).max(1)).map(block).collect()
}

/// The trend of a series.
pub(super) fn of(name: &str, series: &[f64]) -> Trend {
    let p_value = mann_kendall(series);
    let middle = median(series.to_vec());
    let steps = series.len().saturating_sub(1) as f64;
    let change = if middle > 0.0 { theil_sen(series) * steps / middle } else { 0.0 };
    Trend { series: name.to_owned(), change, p_value, drifts: p_value < LEVEL && change.abs() >= CHANGE }
}

/// Probability of an order at least as strong in a series without a trend, two-sided, ties and continuity seen to.
fn mann_kendall(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    let s: f64 = pairs(series).map(|(_, a, b)| f64::from(i8::from(b > a) - i8::from(b < a))).sum();
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
    let tied: f64 = sorted.chunk_by(|a, b| a == b).map(|group| ties(group.len() as f64)).sum();
    let variance = (ties(n) - tied) / 18.0;
    if variance <= 0.0 || s == 0.0 {
        return 1.0;
    }
    let z = (s.abs() - 1.0) / variance.sqrt();
    2.0 * (1.0 - Normal::standard().cdf(z))
}

/// Median of the slopes between all pairs, per step.
fn theil_sen(series: &[f64]) -> f64 {
    median(pairs(series).map(|(distance, a, b)| (b - a) / distance as f64).collect())
}

/// Every pair as `(distance, earlier, later)`.
fn pairs(series: &[f64]) -> impl Iterator<Item = (usize, f64, f64)> {
    let later = move |i: usize| series[i + 1..].iter().enumerate().map(move |(d, b)| (d + 1, series[i], *b));
    (0..series.len()).flat_map(later)
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    values.sort_by(f64::total_cmp);
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_told_from_noise_and_a_step_is_an_order() {
        let rising: Vec<f64> = (0..12).map(|i| 100.0 + 2.0 * f64::from(i)).collect();
        let trend = of("x", &rising);
        assert!(trend.drifts && (trend.change - 22.0 / 111.0).abs() < 1e-9, "{trend:?}");
        let step: Vec<f64> = (0..12).map(|i| if i < 6 { 100.0 } else { 130.0 } + f64::from(i % 3)).collect();
        assert!(of("x", &step).drifts);
        // As clear an order, too small to matter.
        let creeping: Vec<f64> = (0..12).map(|i| 100.0 + 0.2 * f64::from(i)).collect();
        assert!(of("x", &creeping).p_value < 0.001 && !of("x", &creeping).drifts);
        assert_eq!(mann_kendall(&[5.0; 12]), 1.0);
        // Worked by hand: S = 4 of 6 pairs, variance 26/3, z = 1.019.
        assert!((mann_kendall(&[1.0, 3.0, 2.0, 4.0]) - 0.308).abs() < 0.001);
    }
}
