//! Merges the histograms of a scenario's trials and reads them once. Not here: averaging percentiles, which is never right.

use hdrhistogram::Histogram;
use record::histogram::{TAIL, percentile};

/// Steps of the curve for each nine, that is for each factor of ten in 1/(1-p).
const STEPS_PER_NINE: u32 = 24;
/// Nines at which the curve ends at the latest: 99.999 %.
const MOST_NINES: u32 = 5;

/// A merged distribution in the few numbers that are shown. Nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// Values in the merged histogram.
    pub count: u64,
    /// Smallest, exact where a trial kept it.
    pub min: Option<u64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// 99.9th percentile.
    pub p99_9: Option<u64>,
    /// Largest, exact where a trial kept it. One value: an anecdote, not a percentile.
    pub max: Option<u64>,
    /// Latency by percentile, up to the last percentile that enough values stand above.
    pub curve: Vec<CurvePoint>,
}

/// One point of a latency-by-percentile curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Where: -log10(1 - p), so 0 is the minimum, 1 is p90, 2 is p99.
    pub nines: f64,
    /// Latency of the merged histogram there, in nanoseconds.
    pub ns: u64,
    /// Lowest and highest of the single trials there, where each trial has enough values above.
    pub trials: Option<(u64, u64)>,
}

impl Latency {
    /// Merges the trials' histograms and reads the result. `extremes` are exact minima and maxima kept beside them.
    #[must_use]
    pub fn merged(trials: &[Histogram<u64>], extremes: &[(Option<u64>, Option<u64>)]) -> Self {
        let Some(first) = trials.first() else { return Self::default() };
        let mut whole = Histogram::new_from(first);
        whole.auto(true);
        for trial in trials {
            // Cannot fail: the histogram grows to hold what it is given.
            if whole.add(trial).is_err() {
                return Self::default();
            }
        }
        if whole.is_empty() {
            return Self::default();
        }
        Self {
            count: whole.len(),
            min: extremes.iter().filter_map(|e| e.0).min().or_else(|| Some(whole.min())),
            p50: percentile(&whole, 50.0),
            p90: percentile(&whole, 90.0),
            p99: percentile(&whole, 99.0),
            p99_9: percentile(&whole, 99.9),
            max: extremes.iter().filter_map(|e| e.1).max().or_else(|| Some(whole.max())),
            curve: curve(&whole, trials),
        }
    }
}

fn curve(whole: &Histogram<u64>, trials: &[Histogram<u64>]) -> Vec<CurvePoint> {
    let end = last_nines(whole);
    let full_steps = (end * f64::from(STEPS_PER_NINE)).floor() as u32;
    let mut at: Vec<f64> = (0..=full_steps).map(|s| f64::from(s) / f64::from(STEPS_PER_NINE)).collect();
    if at.last().is_some_and(|last| end - last > 1e-6) {
        at.push(end);
    }
    let trials_end = trials.iter().map(last_nines).fold(f64::INFINITY, f64::min);
    let merged = values_at(whole, &at);
    let single: Vec<Vec<u64>> = trials.iter().map(|t| values_at(t, &at)).collect();
    at.iter()
        .enumerate()
        .map(|(i, &nines)| {
            let values = || single.iter().map(|t| t[i]);
            let within = trials.len() > 1 && nines <= trials_end + 1e-9;
            let trials = if within { values().min().zip(values().max()) } else { None };
            CurvePoint { nines, ns: merged[i], trials }
        })
        .collect()
}

/// The values at ascending positions, in one pass: asking for each percentile alone would walk the histogram each time.
fn values_at(histogram: &Histogram<u64>, nines: &[f64]) -> Vec<u64> {
    let mut wanted = nines.iter().map(|n| {
        let quantile = 1.0 - 10_f64.powf(-n);
        ((quantile * histogram.len() as f64).ceil() as u64).max(1)
    });
    let mut values = Vec::with_capacity(nines.len());
    let mut next = wanted.next();
    let mut below = 0;
    for step in histogram.iter_recorded() {
        below += step.count_at_value();
        while next.is_some_and(|n| n <= below) {
            // At the very beginning stands the minimum itself, not the end of its bucket.
            let minimum = nines.get(values.len()).is_some_and(|n| *n <= 0.0);
            values.push(if minimum { histogram.min() } else { step.value_iterated_to() });
            next = wanted.next();
        }
    }
    values.resize(nines.len(), histogram.max());
    values
}

/// The last position with at least [`TAIL`] values above it; the median where there are few values.
fn last_nines(histogram: &Histogram<u64>) -> f64 {
    let median = 2_f64.log10();
    (histogram.len() as f64 / TAIL as f64).log10().clamp(median, f64::from(MOST_NINES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::histogram::new;

    fn of(values: impl IntoIterator<Item = (u64, u64)>) -> Histogram<u64> {
        let mut h = new().unwrap();
        for (value, times) in values {
            h.record_n(value, times).unwrap();
        }
        h
    }

    #[test]
    fn percentiles_come_from_the_merged_histogram() {
        // One trial is fast and large, one is slow and small: the mean of their medians (1 000 500) is nobody's latency.
        let (fast, slow) = (of([(1_000, 90_000)]), of([(2_000_000, 10_000)]));
        let l = Latency::merged(&[fast, slow], &[(Some(999), None), (None, Some(2_000_001))]);
        assert_eq!((l.count, l.min, l.max), (100_000, Some(999), Some(2_000_001)));
        assert_eq!(l.p50, Some(1_000));
        assert!(l.p99.unwrap().abs_diff(2_000_000) < 2_000);
    }

    #[test]
    fn the_curve_ends_where_a_hundred_values_stand_above() {
        let l = Latency::merged(&[of((1..=5_000).map(|v| (v * 1_000, 1)))], &[]);
        assert_eq!((l.p90.is_some(), l.p99), (true, None));
        let last = l.curve.last().unwrap();
        assert!((last.nines - 50_f64.log10()).abs() < 1e-9, "98 % is the last one: {}", last.nines);
        assert!(l.curve.windows(2).all(|w| w[0].ns <= w[1].ns && w[0].nines < w[1].nines));
    }

    #[test]
    fn the_band_ends_with_the_smallest_trial() {
        let l = Latency::merged(&[of([(1_000, 100_000)]), of([(3_000, 1_000)])], &[]);
        let banded = l.curve.iter().filter(|p| p.trials.is_some()).map(|p| p.nines).fold(0.0, f64::max);
        assert!((banded - 1.0).abs() < 0.05, "1000 values allow p90: {banded}");
        assert_eq!(l.curve[0].trials, Some((1_000, 3_000)));
    }

    #[test]
    fn one_pass_finds_what_the_library_finds() {
        let h = of((1..=20_000).map(|v| (v * v, v % 3 + 1)));
        let at = [0.0, 0.1, 0.5, 1.0, 1.7, 2.0, 2.3];
        let library: Vec<u64> = at.iter().map(|n| h.value_at_quantile(1.0 - 10_f64.powf(-n))).collect();
        assert_eq!(values_at(&h, &at), library);
    }

    #[test]
    fn nothing_recorded_is_nothing_shown() {
        assert_eq!(Latency::merged(&[], &[]), Latency::default());
        assert_eq!(Latency::merged(&[of([])], &[(Some(1), Some(2))]), Latency::default());
        let one = Latency::merged(&[of([(7, 1)])], &[]);
        assert_eq!((one.p50, one.p90, one.curve.len() > 1), (Some(7), None, true));
    }
}
