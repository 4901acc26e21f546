//! A permutation test of two samples by their rank sum (Wilcoxon, Mann and Whitney), two-sided. Not here: the size of a change.
//!
//! Ranks, because one disturbed trial must not decide, and because the null distribution can then be counted out instead of drawn.
//! The p-value is the share of all ways to deal the trials onto base and head whose rank sum lies as far from its mean as the one
//! that was seen. Ties have mid-ranks. Up to [`EXACT`] trials the ways are counted; beyond, [`DRAWS`] of them are drawn by a fixed seed.

use super::Dice;

/// Trials of both sides together up to which the distribution is counted out.
const EXACT: usize = 80;
/// Random deals beyond that. The p-value is (1 + as extreme) / (1 + deals), so that it is never 0 (Phipson and Smyth 2010).
const DRAWS: usize = 9_999;
/// Trials a side beyond which [`trials_needed`] gives up.
const MOST_NEEDED: usize = 200;

/// The two-sided p-value for no difference between two samples; 1 where one of them is empty.
#[must_use]
pub fn rank_test(base: &[f64], head: &[f64]) -> f64 {
    if base.is_empty() || head.is_empty() {
        return 1.0;
    }
    let ranks = doubled_ranks(base, head);
    let seen: usize = ranks[base.len()..].iter().sum();
    // Twice the mean of the doubled rank sum of the head, so that all stays whole.
    let centre = head.len() * (ranks.len() + 1) * 2;
    let distance = |sum: usize| (2 * sum).abs_diff(centre);
    if ranks.len() <= EXACT {
        counted(&ranks, head.len(), |sum| distance(sum) >= distance(seen))
    } else {
        drawn(ranks, head.len(), |sum| distance(sum) >= distance(seen))
    }
}

/// The smallest p-value that so many trials can give: all of one side beyond all of the other.
#[must_use]
pub fn least_p(base: usize, head: usize) -> f64 {
    if base == 0 || head == 0 {
        return 1.0;
    }
    // 2 / (base + head choose head), by factors, so that nothing overflows.
    let ways: f64 = (1..=head).map(|i| (base + i) as f64 / i as f64).product();
    (2.0 / ways).min(1.0)
}

/// Trials on each side from which a p-value of `alpha` is possible.
#[must_use]
pub fn trials_needed(alpha: f64) -> Option<usize> {
    (1..=MOST_NEEDED).find(|n| least_p(*n, *n) <= alpha)
}

/// Twice the mid-rank of each value, base first: whole numbers also with ties.
fn doubled_ranks(base: &[f64], head: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = base.iter().chain(head).copied().collect();
    all.iter()
        .map(|value| {
            let below = all.iter().filter(|v| *v < value).count();
            let equal = all.iter().filter(|v| *v == value).count();
            2 * below + equal + 1
        })
        .collect()
}

/// The share of all ways to choose `chosen` of the ranks whose sum is `extreme`.
fn counted(ranks: &[usize], chosen: usize, extreme: impl Fn(usize) -> bool) -> f64 {
    let ways = ways(ranks, chosen);
    let far: f64 = ways.iter().enumerate().filter(|(sum, _)| extreme(*sum)).map(|(_, n)| n).sum();
    far / ways.iter().sum::<f64>()
}

/// In how many ways `chosen` of the ranks have each sum: a count over subsets, one rank after the other.
fn ways(ranks: &[usize], chosen: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0_f64; most + 1]; chosen + 1];
    ways[0][0] = 1.0;
    for (index, &rank) in ranks.iter().enumerate() {
        for taken in (1..=chosen.min(index + 1)).rev() {
            let (fewer, more) = ways.split_at_mut(taken);
            for sum in rank..=most {
                more[0][sum] += fewer[taken - 1][sum - rank];
            }
        }
    }
    ways.swap_remove(chosen)
}

/// The smallest rank sum of the head, above its mean, that is an alarm at `alpha` where no values are equal; ranks from 1.
/// Absent where none is, or where there are more trials than are counted out.
pub(super) fn critical(base: usize, head: usize, alpha: f64) -> Option<usize> {
    if base + head > EXACT {
        return None;
    }
    let ranks: Vec<usize> = (1..=base + head).collect();
    let ways = ways(&ranks, head);
    let all: f64 = ways.iter().sum();
    let mut far = 0.0;
    let mut least = None;
    for (sum, count) in ways.iter().enumerate().rev() {
        // Both sides of the mean, which mirror each other.
        far += 2.0 * count / all;
        if far > alpha {
            break;
        }
        least = (*count > 0.0 || least.is_some()).then_some(sum);
    }
    least
}

/// Deals the ranks at random.
fn drawn(mut ranks: Vec<usize>, chosen: usize, extreme: impl Fn(usize) -> bool) -> f64 {
    let mut dice = Dice(1);
    let mut far = 0_usize;
    for _ in 0..DRAWS {
        for place in 0..chosen {
            let other = place + dice.below(ranks.len() - place);
            ranks.swap(place, other);
        }
        far += usize::from(extreme(ranks[..chosen].iter().sum()));
    }
    (1 + far) as f64 / (1 + DRAWS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn agrees_with_tables() {
        // Four against four, wholly apart: 2 of 70 ways.
        assert!(near(rank_test(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), 2.0 / 70.0));
        assert!(near(rank_test(&[5.0, 6.0, 7.0, 8.0], &[1.0, 2.0, 3.0, 4.0]), 2.0 / 70.0));
        // U = 1 of 3 against 3: 4 of 20 ways are as extreme.
        assert!(near(rank_test(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]), 4.0 / 20.0));
        // R: wilcox.test(1:5, c(4.5, 6:9))$p.value is 0.015873 (U = 1, 4 of 252 ways).
        assert!(near(rank_test(&[1.0, 2.0, 3.0, 4.0, 5.0], &[4.5, 6.0, 7.0, 8.0, 9.0]), 4.0 / 252.0));
    }

    #[test]
    fn the_same_numbers_are_no_difference_and_ties_are_no_trouble() {
        assert!(near(rank_test(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), 1.0));
        assert!(near(rank_test(&[7.0; 10], &[7.0; 10]), 1.0));
        assert!(near(rank_test(&[], &[1.0]), 1.0));
    }

    #[test]
    fn the_least_p_value_is_that_of_samples_wholly_apart() {
        for n in 1..9 {
            let (low, high): (Vec<f64>, Vec<f64>) =
                ((0..n).map(f64::from).collect(), (100..100 + n).map(f64::from).collect());
            assert!(near(least_p(n as usize, n as usize), rank_test(&low, &high)), "{n}");
        }
        assert_eq!((trials_needed(0.01), trials_needed(0.01 / 56.0)), (Some(5), Some(8)));
        assert_eq!(trials_needed(0.0), None);
    }

    #[test]
    fn the_critical_sum_is_where_the_test_begins_to_alarm() {
        // Tables of Wilcoxon's rank sum: 5 against 5 at 0.05 two-sided, 17 or less, so 38 or more.
        assert_eq!(
            (critical(5, 5, 0.05), critical(4, 4, 0.05), critical(3, 3, 0.05)),
            (Some(38), Some(26), None)
        );
    }

    #[test]
    fn drawing_comes_near_to_counting() {
        let (a, b): (Vec<f64>, Vec<f64>) =
            ((0..12).map(f64::from).collect(), (3..15).map(|v| f64::from(v) + 0.5).collect());
        let ranks = doubled_ranks(&a, &b);
        let seen: usize = ranks[12..].iter().sum();
        let far = |sum: usize| (2 * sum).abs_diff(12 * 25 * 2) >= (2 * seen).abs_diff(12 * 25 * 2);
        let (exact, random) = (counted(&ranks, 12, far), drawn(ranks, 12, far));
        assert!((exact - random).abs() < 0.01, "{exact} {random}");
        let many: Vec<f64> = (0..60).map(f64::from).collect();
        assert!(rank_test(&many, &many.iter().map(|v| v + 100.0).collect::<Vec<_>>()) < 0.001);
    }
}
