//! Latency histograms: one shape for the whole project, their text form, and the few numbers shown of them. Not here: recording.

use crate::load::Summary;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use hdrhistogram::{Counter, Histogram};

/// Smallest value told apart, nanoseconds.
pub const LOW_NS: u64 = 1;
/// Largest value told apart, nanoseconds: ten minutes. Larger ones are counted as this.
pub const HIGH_NS: u64 = 600_000_000_000;
/// Significant decimal digits kept of each value.
pub const DIGITS: u8 = 3;
/// Values that must stand above a percentile for it to be shown.
pub const TAIL: u64 = 100;

/// A histogram could not be made, written or read.
#[derive(Debug, thiserror::Error)]
#[error("histogram: {0}")]
pub struct BadHistogram(String);

/// An empty histogram of the project's shape.
///
/// # Errors
/// None with the fixed bounds; the signature is that of the library.
pub fn new() -> Result<Histogram<u64>, BadHistogram> {
    Histogram::new_with_bounds(LOW_NS, HIGH_NS, DIGITS).map_err(|e| BadHistogram(e.to_string()))
}

/// Writes a histogram as V2 with DEFLATE, base64.
///
/// # Errors
/// [`BadHistogram`] when the library cannot write it.
pub fn encode<T: Counter>(histogram: &Histogram<T>) -> Result<String, BadHistogram> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(|e| BadHistogram(e.to_string()))?;
    Ok(STANDARD.encode(bytes))
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`BadHistogram`] when the text is not such a histogram.
pub fn decode(text: &str) -> Result<Histogram<u64>, BadHistogram> {
    decode_as(text)
}

/// Reads what [`encode`] wrote, into counters of another size.
///
/// # Errors
/// [`BadHistogram`] when the text is not such a histogram, or a count does not fit.
pub fn decode_as<T: Counter>(text: &str) -> Result<Histogram<T>, BadHistogram> {
    let bytes = STANDARD.decode(text).map_err(|e| BadHistogram(e.to_string()))?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| BadHistogram(e.to_string()))
}

/// A percentile, or `None` where fewer than [`TAIL`] values stand above it. The median needs one value only.
#[must_use]
pub fn percentile(histogram: &Histogram<u64>, percent: f64) -> Option<u64> {
    let count = histogram.len();
    let above = count as f64 * (1.0 - percent / 100.0);
    let enough = if percent <= 50.0 { count > 0 } else { above + 1e-6 >= TAIL as f64 };
    enough.then(|| histogram.value_at_percentile(percent))
}

/// The few numbers of a distribution, with exact minimum, maximum and sum where the caller kept them.
#[must_use]
pub fn summary(histogram: &Histogram<u64>, exact: Option<Exact>) -> Summary {
    if histogram.is_empty() {
        return Summary::default();
    }
    let exact = exact.filter(|e| e.count > 0);
    Summary {
        count: histogram.len(),
        min: Some(exact.map_or_else(|| histogram.min(), |e| e.min)),
        mean: Some(exact.map_or_else(|| histogram.mean(), |e| e.sum as f64 / e.count as f64)),
        p50: percentile(histogram, 50.0),
        p90: percentile(histogram, 90.0),
        p99: percentile(histogram, 99.0),
        p99_9: percentile(histogram, 99.9),
        max: Some(exact.map_or_else(|| histogram.max(), |e| e.max)),
        sum: exact.and_then(|e| u64::try_from(e.sum).ok()),
    }
}

/// What a histogram rounds: kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// Values.
    pub count: u64,
    /// Smallest.
    pub min: u64,
    /// Largest.
    pub max: u64,
    /// Sum.
    pub sum: u128,
}

impl Default for Exact {
    fn default() -> Self {
        Self { count: 0, min: u64::MAX, max: 0, sum: 0 }
    }
}

impl Exact {
    /// Takes one value.
    pub fn add(&mut self, value: u64) {
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += u128::from(value);
    }

    /// Takes those of another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_keeps_everything() {
        let mut h = new().unwrap();
        for v in 1..5_000_u64 {
            h.record(v * v).unwrap();
        }
        assert_eq!(decode(&encode(&h).unwrap()).unwrap(), h);
        assert!(decode("not base64!").is_err() && decode("AAAA").is_err());
    }

    #[test]
    fn a_percentile_needs_a_hundred_values_above_it() {
        let mut h = new().unwrap();
        h.record_n(5, 999).unwrap();
        assert_eq!((percentile(&h, 50.0), percentile(&h, 90.0)), (Some(5), None));
        h.record(5).unwrap();
        assert_eq!((percentile(&h, 90.0), percentile(&h, 99.0)), (Some(5), None));
        h.record_n(5, 9_000).unwrap();
        assert_eq!((percentile(&h, 99.0), percentile(&h, 99.9)), (Some(5), None));
    }
}
