//! What a rate has to meet, as in `p99<5ms,errors<0.1%`. Not here: finding the rate.

use super::point::Point;
use crate::units;
use record::histogram::{TAIL, decode, percentile};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Terms that all have to hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Objective {
    text: String,
    terms: Vec<Term>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Term {
    /// A percentile of the latency below a time.
    Percentile { percent: f64, limit_ns: u64 },
    /// Failed or unanswered below a share of what was due.
    Errors(f64),
    /// Late replies below a share of the replies.
    Late(f64),
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let terms = text.split(',').map(term).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { text: text.to_owned(), terms })
    }
}

fn term(text: &str) -> Result<Term, String> {
    let bad = || format!("`{text}` is no objective: write p99<5ms, errors<0.1% or late<1%");
    let (name, limit) = text.split_once('<').ok_or_else(bad)?;
    let limit = limit.trim_start_matches('=').trim();
    match name.trim() {
        "errors" => Ok(Term::Errors(units::parse_share(limit)?)),
        "late" => Ok(Term::Late(units::parse_share(limit)?)),
        name => {
            let percent: f64 = name.strip_prefix('p').and_then(|p| p.parse().ok()).ok_or_else(bad)?;
            let time = units::parse_time(limit)?;
            if !(percent > 0.0 && percent < 100.0) || time.is_zero() {
                return Err(bad());
            }
            Ok(Term::Percentile { percent, limit_ns: crate::config::nanoseconds(time) })
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Objective {
    /// Lowest rate at which a window of this length has enough requests for every percentile that is asked for.
    pub(super) fn lowest_rate(&self, window: Duration) -> f64 {
        let needed = |term: &Term| match term {
            Term::Percentile { percent, .. } if *percent > 50.0 => TAIL as f64 / (1.0 - percent / 100.0),
            Term::Percentile { .. } => 1.0,
            // One of them would already be beyond the share.
            Term::Errors(share) | Term::Late(share) => 1.0 / share.max(1e-6),
        };
        // Two in a hundred more: the last ones may be cut by the window's end.
        self.terms.iter().map(needed).fold(1.0, f64::max) * 1.02 / window.as_secs_f64()
    }

    /// Whether a run meets it; `None` where it holds too few requests to tell.
    pub(super) fn is_met(&self, point: &Point) -> Option<bool> {
        if point.overloaded {
            return Some(false);
        }
        let histogram = decode(&point.histogram).ok()?;
        let mut known = true;
        for term in &self.terms {
            let met = match *term {
                Term::Errors(limit) => Some(point.errors_share < limit || point.errors_share == 0.0),
                Term::Late(limit) => Some(point.late_share < limit || point.late_share == 0.0),
                Term::Percentile { percent, limit_ns } => {
                    percentile(&histogram, percent).map(|ns| ns < limit_ns)
                }
            };
            match met {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = false,
            }
        }
        known.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_terms_and_refuses_the_rest() {
        let parse = |text: &str| text.parse::<Objective>();
        let terms = parse("p99.9<5ms,errors<0.1%, late <= 2%").unwrap().terms;
        assert_eq!(terms[0], Term::Percentile { percent: 99.9, limit_ns: 5_000_000 });
        assert!(matches!(terms[1], Term::Errors(e) if (e - 0.001).abs() < 1e-12));
        assert!(matches!(terms[2], Term::Late(l) if (l - 0.02).abs() < 1e-12));
        for bad in
            ["", "p99", "p99>5ms", "p0<5ms", "p100<1s", "99<5ms", "p99<0s", "p99<5%", "errors<5ms", "x<1"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_lowest_rate_fills_the_tail() {
        let lowest = |text: &str| text.parse::<Objective>().unwrap().lowest_rate(Duration::from_secs(10));
        assert_eq!(lowest("p99<5ms").round(), 1020.0);
        assert_eq!(lowest("p50<5ms,errors<1%").round(), 10.0);
    }
}
