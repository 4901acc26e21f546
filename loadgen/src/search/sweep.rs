//! The curve of latency over rate. Not here: runs.

use super::Runner;
use super::point::Point;
use crate::{Error, export, units};
use record::load::LoadConfig;
use record::words::plural;
use record::{Exit, SCHEMA};
use serde::Serialize;
use std::str::FromStr;

/// Points of a sweep that does not say how many.
const POINTS: u32 = 10;

/// Rates from one to another, as in `1k..50k:10`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) points: u32,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no range of rates: write 1k..50k or 1k..50k:10");
        let (low, rest) = text.split_once("..").ok_or_else(bad)?;
        let (high, points) = rest.split_once(':').map_or((rest, None), |(high, n)| (high, Some(n)));
        let points = points.map_or(Ok(POINTS), |n| n.parse().map_err(|_| bad()))?;
        let (low, high) = (units::parse_rate(low)?, units::parse_rate(high)?);
        if low >= high || !(2..=1_000).contains(&points) {
            return Err(format!(
                "`{text}`: the first rate is the lower one, and 2 to 1000 points make a range"
            ));
        }
        Ok(Self { low, high, points })
    }
}

impl Range {
    /// The rates, each the same ratio above the one before it.
    fn rates(self) -> impl Iterator<Item = f64> {
        let ratio = (self.high / self.low).powf(1.0 / f64::from(self.points - 1));
        (0..self.points).map(move |i| self.low * ratio.powi(i as i32))
    }
}

/// The curve.
#[derive(Clone, Debug, Serialize)]
struct Curve {
    schema: u32,
    target: String,
    config: LoadConfig,
    points: Vec<Point>,
    /// Rates that were not tried, since the one before them was too much.
    left_out: Vec<f64>,
    cut_short: bool,
}

pub(super) fn execute(range: Range, runner: &mut Runner<'_>) -> Result<Exit, Error> {
    runner.tell(&Point::head());
    let (mut points, mut left_out, mut cut_short): (Vec<Point>, Vec<f64>, bool) = Default::default();
    for rate in range.rates() {
        if cut_short || points.last().is_some_and(|last| last.overloaded || last.spoiled) {
            left_out.push(rate);
            continue;
        }
        match runner.try_rate(rate)? {
            Some(tried) => points.extend(tried.into_iter().last()),
            None => {
                cut_short = true;
                left_out.push(rate);
            }
        }
    }
    let curve = Curve {
        schema: SCHEMA,
        target: runner.config.target_name(),
        config: runner.config.describe(),
        points,
        left_out,
        cut_short,
    };
    let exports = &runner.results.exports;
    if let Some(file) = &exports.json {
        file.write(&export::json(&curve)?)?;
    }
    if let Some(file) = &exports.csv {
        file.write(&export::table(&curve.points)?)?;
    }
    if !runner.results.quiet {
        exports.say(&words(&curve));
    }
    // Of a curve whose every point the generator spoiled nothing is known.
    let unfit = cut_short || curve.points.iter().all(|point| point.spoiled);
    Ok(if unfit { Exit::Unfit } else { Exit::Fine })
}

fn words(curve: &Curve) -> String {
    let mut text = Point::head() + "\n";
    for point in &curve.points {
        text.push_str(&point.line());
        text.push('\n');
        if !point.reasons.is_empty() {
            text.push_str(&format!("{:>10}   {}\n", "", point.reasons));
        }
    }
    if let (Some(rate), Some(last)) = (curve.left_out.first(), curve.points.last()) {
        let why = match (curve.cut_short, last.spoiled) {
            (true, _) => "cut short by an interrupt",
            (false, true) => "the generator could not do its part",
            (false, false) => "the server did not keep up",
        };
        text.push_str(&format!(
            "{} from {rate:.0} on left out: {why}\n",
            plural(curve.left_out.len(), "rate")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_one_ratio() {
        let range: Range = "1k..8k:4".parse().unwrap();
        let rates: Vec<f64> = range.rates().map(f64::round).collect();
        assert_eq!(rates, [1_000.0, 2_000.0, 4_000.0, 8_000.0]);
        assert_eq!("1k..2k".parse::<Range>().unwrap().points, POINTS);
        for bad in ["", "1k", "2k..1k", "1k..1k", "1k..2k:1", "1k..2k:x", "0..5", "a..b"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
