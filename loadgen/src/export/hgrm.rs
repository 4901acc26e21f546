//! The percentile distribution as text, as HdrHistogram's own plotter and wrk2's users read it. Not here: intervals (`hlog`).
//!
//! The layout is that of `outputPercentileDistribution` in the Java library, to the column: values in milliseconds here, with six
//! decimals, so that nothing of a nanosecond histogram is lost.

use hdrhistogram::Histogram;
use record::load::Summary;
use std::fmt::Write as _;

/// Lines for each halving of the distance to 100 %, as in wrk2 and the Java library.
const TICKS: u32 = 5;

const NS_PER_MS: f64 = 1e6;

/// The distribution of `histogram`, whose exact mean and maximum are in `summary`.
pub(crate) fn hgrm(histogram: &Histogram<u64>, summary: &Summary) -> Vec<u8> {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS) {
        total += step.count_since_last_iteration();
        let ms = step.value_iterated_to() as f64 / NS_PER_MS;
        let quantile = step.quantile_iterated_to();
        let _ = write!(text, "{ms:12.6} {quantile:2.12} {total:10}");
        let _ = match quantile < 1.0 {
            true => writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)),
            false => writeln!(text),
        };
    }
    let mean = summary.mean.unwrap_or_default() / NS_PER_MS;
    let max = summary.max.unwrap_or_default() as f64 / NS_PER_MS;
    let (deviation, count) = (histogram.stdev() / NS_PER_MS, histogram.len());
    // What the Java library calls so: buckets of one unit each, and sub-buckets of a bucket.
    let sub_buckets = (2 * 10_u64.pow(u32::from(histogram.sigfig()))).next_power_of_two();
    let buckets = buckets(histogram.high(), sub_buckets);
    let _ = writeln!(text, "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]");
    let _ = writeln!(text, "#[Max     = {max:12.6}, Total count    = {count:12}]");
    let _ = writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]");
    text.into_bytes()
}

/// Doublings of the range of the sub-buckets that it takes to reach `high`.
fn buckets(high: u64, sub_buckets: u64) -> u32 {
    let mut reached = sub_buckets;
    let mut buckets = 1;
    while reached <= high {
        buckets += 1;
        reached = reached.saturating_mul(2);
        if reached == u64::MAX {
            break;
        }
    }
    buckets
}
