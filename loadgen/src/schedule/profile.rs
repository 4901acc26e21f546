//! How the rate moves over the window, and when so many requests have been offered. Not here: how arrivals are spread along it.

use super::Trace;
use crate::units::show_span;
use std::fmt;
use std::sync::Arc;

/// How the rate moves over the window. Rates are totals, in requests per second; times are from the opening of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Profile {
    /// Not at all.
    #[default]
    Steady,
    /// The whole rate for `on_ns`, nothing for `off_ns`, and so on; the rate that is asked for is the one during the bursts.
    Burst {
        /// Length of a burst in nanoseconds, above 0.
        on_ns: u64,
        /// Length of the pause behind it in nanoseconds.
        off_ns: u64,
    },
    /// In a straight line; behind its end, as at its end.
    Ramp {
        /// Rate when the window opens.
        from: f64,
        /// Rate at the end.
        to: f64,
        /// Length in nanoseconds, above 0.
        over_ns: u64,
    },
    /// One rate after the other; behind the last, as the last. A rate of 0 is a pause.
    Steps {
        /// The rates, at least one.
        rates: Arc<[f64]>,
        /// How long each lasts in nanoseconds, above 0.
        each_ns: u64,
    },
    /// Each arrival at a time of its own; no rate counts, and the arrivals end with the trace.
    Trace(Trace),
}

impl Profile {
    /// The mean rate over the window, where `rate_per_s` is the one that was asked for.
    #[must_use]
    pub fn mean_per_s(&self, rate_per_s: f64) -> f64 {
        match self {
            Self::Steady => rate_per_s,
            Self::Burst { on_ns, off_ns } => rate_per_s * *on_ns as f64 / (*on_ns + *off_ns) as f64,
            Self::Ramp { from, to, .. } => f64::midpoint(*from, *to),
            Self::Steps { rates, .. } => rates.iter().sum::<f64>() / rates.len().max(1) as f64,
            Self::Trace(trace) => trace.mean_per_s(),
        }
    }

    /// What a warm-up offers, as `(profile, rate)`: bursts as they are, else the first rate, or the mean where there is none.
    pub(crate) fn warm_up(&self, rate_per_s: f64) -> (Self, f64) {
        let first = match self {
            Self::Steady | Self::Burst { .. } => return (self.clone(), rate_per_s),
            Self::Ramp { from, .. } => *from,
            Self::Steps { rates, .. } => rates.first().copied().unwrap_or(0.0),
            Self::Trace(_) => 0.0,
        };
        (Self::Steady, if first > 0.0 { first } else { self.mean_per_s(rate_per_s) })
    }

    /// Every rate that it asks for by itself.
    pub(crate) fn rates(&self) -> Vec<f64> {
        match self {
            Self::Steady | Self::Burst { .. } | Self::Trace(_) => Vec::new(),
            Self::Ramp { from, to, .. } => vec![*from, *to],
            Self::Steps { rates, .. } => rates.to_vec(),
        }
    }

    pub(super) fn path(&self, rate_per_s: f64) -> Path {
        let gap_ns = if rate_per_s > 0.0 { 1e9 / rate_per_s } else { 1e9 };
        match self {
            Self::Steady => Path::Steady { gap_ns },
            Self::Burst { on_ns, off_ns } => {
                Path::Burst { gap_ns, on_ns: *on_ns as f64, cycle_ns: *on_ns as f64 + *off_ns as f64 }
            }
            Self::Ramp { from, to, over_ns } => {
                Path::pieces(&[(*from, *to, *over_ns as f64), (*to, *to, f64::INFINITY)])
            }
            Self::Steps { rates, each_ns } => {
                let mut pieces: Vec<_> = rates.iter().map(|r| (*r, *r, *each_ns as f64)).collect();
                if let Some(last) = pieces.last_mut() {
                    last.2 = f64::INFINITY;
                }
                Path::pieces(&pieces)
            }
            Self::Trace(trace) => Path::Trace(trace.clone()),
        }
    }
}

/// As it is written on the command line; nothing for [`Profile::Steady`].
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady => Ok(()),
            Self::Burst { on_ns, off_ns } => {
                write!(f, "burst:{}/{}", show_span(*on_ns), show_span(*off_ns))
            }
            Self::Ramp { from, to, over_ns } => write!(f, "ramp:{from}..{to} in {}", show_span(*over_ns)),
            Self::Steps { rates, each_ns } => {
                let rates: Vec<_> = rates.iter().map(ToString::to_string).collect();
                write!(f, "steps:{} of {}", rates.join(","), show_span(*each_ns))
            }
            Self::Trace(trace) => trace.fmt(f),
        }
    }
}

/// A profile as the inverse of its cumulative rate. Asked in ascending order.
#[derive(Clone, Debug)]
pub(super) enum Path {
    Steady { gap_ns: f64 },
    Burst { gap_ns: f64, on_ns: f64, cycle_ns: f64 },
    Pieces { pieces: Vec<Piece>, at: usize },
    Trace(Trace),
}

/// A stretch of the window in which the rate moves in a straight line. Rates are requests per nanosecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    start_ns: f64,
    from: f64,
    slope: f64,
    /// Requests offered before it.
    before: f64,
}

impl Path {
    /// Pieces of `(from, to, length)`, rates per second and length in nanoseconds; only the last may be endless.
    fn pieces(stretches: &[(f64, f64, f64)]) -> Self {
        let (mut start_ns, mut before) = (0.0, 0.0);
        let mut pieces = Vec::with_capacity(stretches.len());
        for &(from, to, length_ns) in stretches {
            let (from, to) = (from / 1e9, to / 1e9);
            pieces.push(Piece { start_ns, from, slope: (to - from) / length_ns, before });
            start_ns += length_ns;
            before += f64::midpoint(from, to) * length_ns;
        }
        Self::Pieces { pieces, at: 0 }
    }

    /// When arrival `k` is due, which comes when `offered` requests have been offered; nothing where that is never.
    pub(super) fn due_ns(&mut self, k: u64, offered: f64) -> Option<u64> {
        let due_ns = match self {
            Self::Steady { gap_ns } => offered * *gap_ns,
            Self::Burst { gap_ns, on_ns, cycle_ns } => {
                // The stream without its pauses, cut into bursts.
                let busy_ns = offered * *gap_ns;
                let bursts = (busy_ns / *on_ns).floor();
                bursts * *cycle_ns + (busy_ns - bursts * *on_ns)
            }
            Self::Pieces { pieces, at } => {
                while pieces.get(*at + 1).is_some_and(|next| offered >= next.before) {
                    *at += 1;
                }
                pieces.get(*at)?.due_ns(offered)?
            }
            Self::Trace(trace) => return trace.due_ns(k),
        };
        Some(due_ns as u64)
    }
}

impl Piece {
    /// Solves `from t + slope t^2 / 2 = offered`, in the form that does not cancel where the slope is small.
    fn due_ns(&self, offered: f64) -> Option<f64> {
        let here = offered - self.before;
        if here <= 0.0 {
            return Some(self.start_ns);
        }
        let sum = self.from + (self.from * self.from + 2.0 * self.slope * here).max(0.0).sqrt();
        (sum > 0.0).then(|| self.start_ns + 2.0 * here / sum)
    }
}
