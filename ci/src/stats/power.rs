//! The smallest change that a comparison could have seen. Not here: whether it saw one.
//!
//! Worked out by simulation: trials are drawn anew from those that were had (their logarithms about the median of their side, widened
//! for the number of trials), one side is shifted, and the same test and threshold are applied. A change counts as visible when
//! [`POWER`] of the simulated comparisons find it.

use super::rank::critical;
use super::{Dice, median};

/// Share of comparisons that must find a change for it to count as visible.
const POWER: f64 = 0.9;
/// Simulated comparisons for each size of change.
const ROUNDS: usize = 200;
/// Trials of a side that are looked at; with more of them the answer errs on the safe side.
const MOST_TRIALS: usize = 40;
/// Sizes that are tried, as factors.
const SIZES: [f64; 14] = [1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.08, 1.10, 1.12, 1.15, 1.20, 1.30, 1.50, 2.00];

/// The smallest change, as a share of the base, that would have been found nine times in ten at this `alpha` and `threshold`.
/// Absent where the trials are too few for any, or not even a doubling would be found.
#[must_use]
pub fn detectable(base: &[f64], head: &[f64], alpha: f64, threshold: f64) -> Option<f64> {
    let sound =
        base.len() > 1 && head.len() > 1 && base.iter().chain(head).all(|v| *v > 0.0 && v.is_finite());
    let [base, head] = [base, head].map(|side| &side[..side.len().min(MOST_TRIALS)]);
    let critical = critical(base.len(), head.len(), alpha).filter(|_| sound)?;
    let (base, head) = (residuals(base), residuals(head));
    let visible = |size: f64| {
        let mut dice = Dice(7);
        let found = (0..ROUNDS).filter(|_| {
            let (a, b) = (drawn(&base, 0.0, &mut dice), drawn(&head, size.ln(), &mut dice));
            let change = median(&b).unwrap_or_default() - median(&a).unwrap_or_default();
            change.exp() - 1.0 >= threshold && rank_sum(&a, &b) >= critical
        });
        found.count() as f64 >= POWER * ROUNDS as f64
    };
    SIZES.into_iter().find(|size| size - 1.0 > threshold * 0.999 && visible(*size)).map(|size| size - 1.0)
}

/// Logarithms about their median, widened since few values understate their spread.
fn residuals(values: &[f64]) -> Vec<f64> {
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let centre = median(&logs).unwrap_or_default();
    let wider = (logs.len() as f64 / (logs.len() as f64 - 1.0)).sqrt();
    logs.iter().map(|l| (l - centre) * wider).collect()
}

/// As many draws as there are values. A jitter far below any change keeps a value that is drawn twice from being a tie.
fn drawn(from: &[f64], shift: f64, dice: &mut Dice) -> Vec<f64> {
    (0..from.len())
        .map(|_| from[dice.below(from.len())] + shift + dice.below(1_000_000) as f64 * 1e-12)
        .collect()
}

/// Rank sum of `b` among both.
fn rank_sum(a: &[f64], b: &[f64]) -> usize {
    let mut order: Vec<(f64, bool)> =
        a.iter().map(|v| (*v, false)).chain(b.iter().map(|v| (*v, true))).collect();
    order.sort_by(|x, y| x.0.total_cmp(&y.0));
    order.iter().enumerate().filter(|(_, (_, is_b))| *is_b).map(|(place, _)| place + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(count: u32, spread: f64) -> Vec<f64> {
        (0..count).map(|i| 100.0 * (1.0 + spread * (f64::from(i) / f64::from(count - 1) - 0.5))).collect()
    }

    #[test]
    fn noise_hides_changes_and_trials_reveal_them() {
        let quiet = detectable(&trials(12, 0.02), &trials(12, 0.02), 0.01, 0.01).unwrap();
        let noisy = detectable(&trials(12, 0.30), &trials(12, 0.30), 0.01, 0.01).unwrap();
        assert!(quiet < 0.05 && noisy > 0.08, "{quiet} {noisy}");
        assert_eq!(detectable(&trials(4, 0.02), &trials(4, 0.02), 0.01, 0.01), None);
    }

    #[test]
    fn nothing_below_the_threshold_is_promised() {
        assert!(detectable(&trials(20, 0.001), &trials(20, 0.001), 0.01, 0.10).unwrap() >= 0.0999);
    }

    #[test]
    fn what_has_no_logarithm_promises_nothing() {
        assert_eq!(detectable(&[0.0; 9], &[1.0; 9], 0.01, 0.05), None);
    }
}
