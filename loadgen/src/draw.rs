//! A time or a number that is fixed, or drawn anew each time from a seed. Not here: what is drawn (think times, lives).
//!
//! ```text
//! 10ms          always
//! 5ms..20ms     evenly between the two, both included
//! exp:10ms      exponentially with this mean
//! ```
//!
//! What is drawn for number `k` depends on the seed, the stream and `k` alone.

use crate::units;
use std::fmt;

/// A value, or how to draw one. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Always this.
    Fixed(u64),
    /// Evenly from the one to the other, both included.
    Uniform(u64, u64),
    /// Exponentially, with this mean.
    Exponential(u64),
}

impl Draw {
    /// Reads a time: `10ms`, `5ms..20ms`, `exp:10ms`.
    ///
    /// # Errors
    /// One sentence with what to write.
    pub fn parse_time(text: &str) -> Result<Self, String> {
        match text.strip_prefix("exp:") {
            Some(mean) => units::parse_offset(mean).map(Self::Exponential),
            None => Self::parse(text, units::parse_offset),
        }
    }

    /// Reads a number of at least 1: `100`, `50..200`.
    ///
    /// # Errors
    /// One sentence with what to write.
    pub fn parse_count(text: &str) -> Result<Self, String> {
        let count = |text: &str| match units::parse_count(text)? {
            0 => Err("0 is too few: give at least 1".to_owned()),
            n => Ok(n),
        };
        Self::parse(text, count)
    }

    fn parse(text: &str, one: impl Fn(&str) -> Result<u64, String>) -> Result<Self, String> {
        let Some((low, high)) = text.split_once("..") else { return one(text).map(Self::Fixed) };
        match (one(low)?, one(high)?) {
            (low, high) if low < high => Ok(Self::Uniform(low, high)),
            (low, high) if low == high => Ok(Self::Fixed(low)),
            _ => Err(format!("`{text}` goes down: write the lower end first")),
        }
    }

    /// The value for number `k` of `stream`.
    #[must_use]
    pub fn draw(self, seed: u64, stream: u64, k: u64) -> u64 {
        let random = || service::client::mix(seed, stream, k);
        match self {
            Self::Fixed(value) => value,
            Self::Uniform(low, high) => {
                let wide = u128::from(high - low) + 1;
                low + ((u128::from(random()) * wide) >> 64) as u64
            }
            Self::Exponential(mean) => {
                // In (0, 1]: the logarithm of 0 is no time.
                let unit = ((random() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                (-unit.ln() * mean as f64) as u64
            }
        }
    }

    /// Its mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Self::Fixed(value) | Self::Exponential(value) => value as f64,
            Self::Uniform(low, high) => f64::midpoint(low as f64, high as f64),
        }
    }

    /// The least that it can be.
    #[must_use]
    pub const fn least(self) -> u64 {
        match self {
            Self::Fixed(value) | Self::Uniform(value, _) => value,
            Self::Exponential(_) => 0,
        }
    }

    /// As it is written on the command line, for times.
    #[must_use]
    pub fn show_time(self) -> String {
        match self {
            Self::Exponential(mean) => format!("exp:{}", units::show_span(mean)),
            Self::Fixed(ns) => units::show_span(ns),
            Self::Uniform(low, high) => format!("{}..{}", units::show_span(low), units::show_span(high)),
        }
    }
}

/// As it is written on the command line, for numbers.
impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Uniform(low, high) => write!(f, "{low}..{high}"),
            Self::Exponential(mean) => write!(f, "exp:{mean}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_same() {
        for text in ["10ms", "5ms..20ms", "exp:1500us", "3s", "0s"] {
            assert_eq!(Draw::parse_time(text).unwrap().show_time(), text);
        }
        assert_eq!(Draw::parse_count("2..2"), Ok(Draw::Fixed(2)));
        assert_eq!(Draw::parse_count("1k..2k").unwrap().to_string(), "1000..2000");
        for bad in ["", "..", "2s..1s", "exp:", "norm:1s", "exp:1s..2s"] {
            assert!(Draw::parse_time(bad).is_err(), "{bad}");
        }
        assert!(Draw::parse_count("0..5").is_err() && Draw::parse_count("exp:5").is_err());
    }

    #[test]
    fn keeps_its_bounds_and_its_mean() {
        let values = |draw: Draw| (0..20_000).map(|k| draw.draw(3, 1, k)).collect::<Vec<_>>();
        let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / values.len() as f64;
        let uniform = values(Draw::Uniform(5, 8));
        assert!((5..=8).all(|v| uniform.iter().filter(|u| **u == v).count().abs_diff(5_000) < 300));
        assert_eq!(uniform.iter().filter(|u| !(5..=8).contains(*u)).count(), 0);
        let exponential = values(Draw::Exponential(1_000_000));
        assert!((mean(&exponential) / 1e6 - 1.0).abs() < 0.04, "{}", mean(&exponential));
        assert_ne!(
            values(Draw::Uniform(0, u64::MAX)),
            (0..20_000).map(|k| Draw::Uniform(0, u64::MAX).draw(4, 1, k)).collect::<Vec<_>>()
        );
    }
}
