//! Axes that plotters can draw whatever the data: bounds finite and apart, few ticks, labels with units. Not here: drawing.
//!
//! Logarithmic and percentile axes are linear axes over transformed values, with ticks of our own: plotters' own logarithmic ticks
//! jump between 3 and 21, and it has no axis of nines at all.

use crate::format;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// An axis: what it spans, and its ticks, in transformed values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Lower bound.
    pub(crate) low: f64,
    /// Upper bound, above the lower one.
    pub(crate) high: f64,
    /// Ticks with labels.
    pub(crate) ticks: Vec<(f64, String)>,
    /// Ticks without.
    pub(crate) light: Vec<f64>,
}

/// Decades beyond which a logarithmic axis labels powers of ten only.
const MANY_DECADES: f64 = 2.6;
/// Least and greatest exponent of ten that a logarithmic axis shows: 1 ps to 11 days, in nanoseconds.
const EXPONENTS: (f64, f64) = (-3.0, 15.0);

impl Axis {
    /// A logarithmic axis over durations in nanoseconds; positions are log10. Values that are not above 0 are not shown.
    pub(crate) fn log_ns(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|v| v.is_finite() && *v > 0.0) {
            let exponent = value.log10().clamp(EXPONENTS.0, EXPONENTS.1);
            low = low.min(exponent);
            high = high.max(exponent);
        }
        if low > high {
            (low, high) = (3.0, 6.0);
        }
        // Out to the next of 1, 2, 5; and at least a factor of five, so that noise does not look like a cliff.
        let (mut low, mut high) = (step_below(low), step_above(high));
        while high - low < 0.69 {
            low = step_below(low - 0.01);
            high = step_above(high + 0.01);
        }
        let many = high - low > MANY_DECADES;
        let (mut ticks, mut light) = (Vec::new(), Vec::new());
        for exponent in low.floor() as i32..=high.ceil() as i32 {
            for digit in 1..=9_u32 {
                let at = f64::from(digit).log10() + f64::from(exponent);
                if at < low - 1e-9 || at > high + 1e-9 {
                    continue;
                }
                if digit == 1 || !many && (digit == 2 || digit == 5) {
                    ticks.push((at, tick_duration(10_f64.powf(at))));
                } else {
                    light.push(at);
                }
            }
        }
        Self { low, high, ticks, light }
    }

    /// An axis of nines: positions are -log10(1 - p), from the minimum to `last`. A narrow one has no room for the first label.
    pub(crate) fn nines(last: f64, narrow: bool) -> Self {
        let high = if last.is_finite() { last.clamp(1.0, 7.0) } else { 1.0 };
        let first = if narrow { "" } else { "0 %" };
        let mut ticks = vec![(0.0, first.to_owned()), (2_f64.log10(), "50 %".to_owned())];
        for (nines, label) in
            [(1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %"), (5.0, "99.999 %")]
        {
            if nines <= high + 1e-9 {
                ticks.push((nines, label.to_owned()));
            }
        }
        Self { low: 0.0, high, ticks, light: Vec::new() }
    }

    /// A linear axis from zero to beyond `most`, with labels by `say`.
    pub(crate) fn from_zero(most: f64, step_of: fn(f64) -> f64, say: impl Fn(f64) -> String) -> Self {
        let most = if most.is_finite() && most > 0.0 { most.min(1e18) } else { 1.0 };
        let step = step_of(most);
        let last = (most / step).ceil().clamp(1.0, 20.0) as u32;
        let ticks = (0..=last).map(|i| (f64::from(i) * step, say(f64::from(i) * step))).collect();
        Self { low: 0.0, high: f64::from(last) * step, ticks, light: Vec::new() }
    }

    /// Label of the tick at a position; empty where none is.
    fn label(&self, at: f64) -> String {
        let nearest = self.ticks.iter().find(|(tick, _)| (tick - at).abs() < 1e-9);
        nearest.map_or_else(String::new, |(_, label)| label.clone())
    }

    /// The position of a value on a logarithmic axis, held within the bounds.
    pub(crate) fn log(&self, value: f64) -> f64 {
        if value > 0.0 && value.is_finite() { value.log10().clamp(self.low, self.high) } else { self.low }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        // The conversion takes what is not a number to 0, and saturates.
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            self.light.clone()
        } else {
            self.ticks.iter().map(|t| t.0).collect()
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, at: &f64) -> String {
        self.label(*at)
    }
}

/// A round step that gives about four ticks, of decimal numbers.
pub(crate) fn decimal_step(most: f64) -> f64 {
    round_step(most, 10.0, &[1.0, 2.0, 2.5, 5.0, 10.0])
}

/// A round step that gives about four ticks, of binary multiples.
pub(crate) fn binary_step(most: f64) -> f64 {
    round_step(most, 1024.0, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0])
}

fn round_step(most: f64, base: f64, steps: &[f64]) -> f64 {
    let wanted = most / 4.0;
    let power = base.powf(wanted.log(base).floor());
    steps.iter().map(|s| s * power).find(|s| *s >= wanted * 0.999).unwrap_or(base * power)
}

fn step_below(exponent: f64) -> f64 {
    let whole = (exponent + 1e-9).floor();
    let steps = [5_f64.log10(), 2_f64.log10(), 0.0];
    whole + steps.into_iter().find(|s| whole + s <= exponent + 1e-9).unwrap_or(0.0)
}

fn step_above(exponent: f64) -> f64 {
    let whole = (exponent - 1e-9).floor();
    let steps = [0.0, 2_f64.log10(), 5_f64.log10(), 1.0];
    whole + steps.into_iter().find(|s| whole + s >= exponent - 1e-9).unwrap_or(1.0)
}

/// A duration as a tick says it.
pub(crate) fn tick_duration(ns: f64) -> String {
    if ns == 0.0 { "0".to_owned() } else { without_zeros(&format::duration(ns)) }
}

/// Bytes as a tick says it.
pub(crate) fn tick_bytes(bytes: f64) -> String {
    if bytes == 0.0 { "0".to_owned() } else { without_zeros(&format::bytes(bytes)) }
}

/// A tick has round values, so the digits after the point that are 0 say nothing.
fn without_zeros(text: &str) -> String {
    match text.split_once('\u{a0}') {
        Some((number, unit)) if number.contains('.') => {
            format!("{}\u{a0}{unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(axis: &Axis) -> bool {
        axis.low.is_finite() && axis.high.is_finite() && axis.high > axis.low && axis.ticks.len() < 40
    }

    #[test]
    fn no_data_can_make_an_axis_that_is_not_one() {
        let odd = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -1.0,
            1.0,
            1e-300,
            1e300,
            f64::MAX,
            f64::MIN_POSITIVE,
        ];
        for a in odd {
            assert!(sound(&Axis::nines(a, true)), "nines {a}");
            assert!(sound(&Axis::from_zero(a, decimal_step, format::short)), "linear {a}");
            assert!(sound(&Axis::from_zero(a, binary_step, format::bytes)), "binary {a}");
            for b in odd {
                assert!(sound(&Axis::log_ns([a, b])), "log {a} {b}");
            }
        }
        assert!(sound(&Axis::log_ns([])));
    }

    #[test]
    fn ticks_are_round_and_enclose_the_data() {
        let axis = Axis::log_ns([93_000.0, 2_100_000.0]);
        let labels: Vec<String> = axis.ticks.iter().map(|t| t.1.replace('\u{a0}', " ")).collect();
        assert_eq!(labels, ["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms"]);
        assert_eq!(decimal_step(81_000.0), 25_000.0);
        assert_eq!(binary_step(41.0 * 1_048_576.0), 16.0 * 1_048_576.0);
    }
}
