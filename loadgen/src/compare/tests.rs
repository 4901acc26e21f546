//! The arithmetic of comparisons against worked examples. Not here: files, tables (see `tests/it`).

use super::*;

fn row(base: &[f64], head: &[f64], margin: f64) -> Row {
    Scale::Ratio.row("x", false, (base, head), between(Scale::Ratio, base, head), 0.05, margin)
}

#[test]
fn a_clear_change_has_a_direction_and_a_small_one_has_none() {
    let base = [100.0, 101.0, 99.0, 100.0, 100.5];
    let worse = row(&base, &base.map(|v| v * 1.2), 0.0);
    assert_eq!(worse.word, Word::Worse);
    assert!((worse.change - 0.2).abs() < 1e-9 && worse.low < Some(0.2) && worse.high > Some(0.2));
    assert_eq!(row(&base, &base.map(|v| v * 0.8), 0.0).word, Word::Better);
    assert_eq!(row(&base, &base.map(|v| v * 1.2), 0.25).word, Word::NoDifferenceShown);
    let same = row(&base, &[101.0, 99.5, 100.0, 99.0, 101.0], 0.0);
    assert_eq!(same.word, Word::NoDifferenceShown);
    assert!(same.detectable.unwrap() > same.high.unwrap() - same.change);
}

#[test]
fn the_interval_is_welchs() {
    // Worked by hand on the logarithms 0, 1, 2 against 4, 6, 8: error sqrt(1/3 + 4/3), 2.94 degrees, t(0.975) = 3.22.
    let e = |values: [f64; 3]| values.map(f64::exp);
    let spread = between(Scale::Ratio, &e([0.0, 1.0, 2.0]), &e([4.0, 6.0, 8.0])).unwrap();
    assert!((spread.error - 1.290_99).abs() < 1e-4 && (spread.degrees - 2.941_18).abs() < 1e-4);
    assert!((quantile(spread.degrees, 0.975).unwrap() - 3.22).abs() < 0.01);
}

#[test]
fn runs_that_say_the_same_differ_by_nothing() {
    let share = |b: &[f64], h: &[f64]| {
        Scale::Share.row("failed_share", false, (b, h), between(Scale::Share, b, h), 0.05, 0.0).word
    };
    assert_eq!(share(&[0.0, 0.0], &[0.0, 0.0]), Word::NoDifferenceShown);
    assert_eq!(share(&[0.0, 0.0], &[0.5, 0.5]), Word::NotKnown);
    assert_eq!(share(&[0.0, 0.01, 0.0], &[0.5, 0.49, 0.51]), Word::Worse);
}

#[test]
fn identical_sides_are_seldom_called_different() {
    use rand::{RngExt as _, SeedableRng as _};
    let mut rng = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(5);
    let mut side = || -> Vec<f64> { (0..6).map(|_| 100.0 * (1.0 + 0.1 * rng.random::<f64>())).collect() };
    let different = (0..1_000).filter(|_| row(&side(), &side(), 0.0).word != Word::NoDifferenceShown).count();
    assert!((20..=80).contains(&different), "{different} of 1000 at 5 %");
}
