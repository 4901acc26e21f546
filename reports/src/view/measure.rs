//! A quantity over the trials of a scenario: each trial's value, and their median and span. Not here: distributions of requests.

use record::VerdictState;

/// One trial's value of a quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The trial's number within its scenario.
    pub trial: u32,
    /// The value, in the unit of the quantity.
    pub value: f64,
    /// What was concluded about that trial.
    pub state: VerdictState,
}

/// Median and span of the trials that are not invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Median; of an even number the mean of the middle two.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// How many trials stand behind it.
    pub trials: usize,
}

/// A quantity over the trials of a scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// Every trial's value, those of invalid trials too.
    pub points: Vec<Point>,
    /// Over the trials that count; absent where none does.
    pub span: Option<Span>,
}

impl Measure {
    /// Gathers points; values that are not finite numbers are absent values and are left out.
    #[must_use]
    pub fn new(points: impl IntoIterator<Item = Point>) -> Self {
        let points: Vec<_> = points.into_iter().filter(|p| p.value.is_finite()).collect();
        let mut used: Vec<_> =
            points.iter().filter(|p| p.state != VerdictState::Invalid).map(|p| p.value).collect();
        used.sort_by(f64::total_cmp);
        let span = median(&used).zip(used.first().zip(used.last())).map(|(median, (&min, &max))| Span {
            median,
            min,
            max,
            trials: used.len(),
        });
        Self { points, span }
    }

    /// The median, where there is one.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.span.map(|s| s.median)
    }
}

impl Span {
    /// True when every trial of `self` lies below every trial of `other`.
    #[must_use]
    pub fn wholly_below(&self, other: &Self) -> bool {
        self.max < other.min
    }
}

/// Median of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted {
        [] => None,
        _ if sorted.len() % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VerdictState::{Invalid, Suspect, Valid};

    fn point(trial: u32, value: f64, state: VerdictState) -> Point {
        Point { trial, value, state }
    }

    #[test]
    fn invalid_trials_are_kept_and_not_counted() {
        let m = Measure::new([point(1, 4.0, Valid), point(2, 2.0, Suspect), point(3, 900.0, Invalid)]);
        assert_eq!(m.points.len(), 3);
        assert_eq!(m.span, Some(Span { median: 3.0, min: 2.0, max: 4.0, trials: 2 }));
        assert_eq!(Measure::new([point(1, 4.0, Invalid)]).span, None);
    }

    #[test]
    fn what_is_not_a_number_is_absent() {
        let m =
            Measure::new([point(1, f64::NAN, Valid), point(2, f64::INFINITY, Valid), point(3, 1.0, Valid)]);
        assert_eq!((m.points.len(), m.median()), (1, Some(1.0)));
    }
}
