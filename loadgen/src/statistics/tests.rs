//! The statistics against distributions whose answers are known. Not here: real runs.

use super::*;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

const SECOND: u64 = 1_000_000_000;

/// Windows of `batches` intervals of `each` values that are uniform up to `scale` times a factor of the interval; returns how
/// often the intervals of the median, p90 and p99 held the true value.
fn coverage(batches: usize, each: usize, hang: f64, trials: u32) -> [u32; 3] {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut held = [0; 3];
    for _ in 0..trials {
        let mut whole = record::histogram::new().unwrap();
        let mut level = 0.0;
        let slices: Vec<_> = (0..batches)
            .map(|_| {
                // A level that hangs together between neighbours, as a busy machine's does; its long-run mean is 0.
                level = 0.5 * level + hang * (rng.random::<f64>() - 0.5);
                let mut slice = Histogram::<u32>::new_with_bounds(1, 600 * SECOND, 2).unwrap();
                for _ in 0..each {
                    let value = (1e6 * (1.0 + level) * rng.random::<f64>()) as u64 + 1;
                    slice.record(value).unwrap();
                    whole.record(value).unwrap();
                }
                slice
            })
            .collect();
        let intervals: Vec<Batch<'_>> = slices.iter().map(|s| (SECOND, s)).collect();
        for (i, percent) in [50.0, 90.0, 99.0].into_iter().enumerate() {
            let value = whole.value_at_percentile(percent);
            let size = effective_size(whole.len(), &intervals, value).unwrap();
            let (low, high) = limits(&whole, percent, size);
            let truth = percent * 1e4;
            held[i] +=
                u32::from(low.is_none_or(|l| l as f64 <= truth) && high.is_none_or(|h| truth <= h as f64));
        }
    }
    held
}

#[test]
fn intervals_of_independent_values_hold_what_they_promise() {
    // 95 % of 400 is 380, with a standard deviation of 4.4; the method errs on the wide side.
    for held in coverage(20, 500, 0.0, 400) {
        assert!((372..=400).contains(&held), "{held} of 400");
    }
}

#[test]
fn intervals_widen_where_values_hang_together() {
    let held = coverage(40, 500, 0.2, 300);
    // The median of a mixture of uniforms is where it was up to the second order. Without the effective size it is held in a
    // third of the trials.
    assert!(held[0] >= 255, "{held:?} of 300");
}

#[test]
fn the_effective_size_is_that_of_whole_blocks_where_blocks_are_alike() {
    // Each interval is all above or all below: 50 intervals are 50 values, whatever they hold.
    let shares: Vec<(u64, u64)> = (0..50).map(|i| (1000, if (i * 7) % 10 < 5 { 1000 } else { 0 })).collect();
    let inflation = inflation(&shares).unwrap();
    assert!((900.0..1_100.0).contains(&inflation), "{inflation}");
    assert_eq!(super::inflation(&[(100, 0), (100, 0)]), None);
    assert_eq!(super::inflation(&[(100, 5)]), None);
}

#[test]
fn the_autocorrelation_time_of_a_known_process_is_found() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut series = |hang: f64| -> f64 {
        let mut x = 0.0;
        let values: Vec<f64> = (0..20_000)
            .map(|_| {
                x = hang * x + rng.random::<f64>() - 0.5;
                x
            })
            .collect();
        autocorrelation_time(&values)
    };
    // (1 + a) / (1 - a) for a first-order process.
    assert!((0.9..1.15).contains(&series(0.0)));
    assert!((2.6..3.5).contains(&series(0.5)));
    assert!((7.5..11.0).contains(&series(0.8)));
    assert_eq!(autocorrelation_time(&[4.0; 9]), 1.0);
    assert_eq!(autocorrelation_time(&[]), 1.0);
}

#[test]
fn order_statistics_are_those_of_the_tables() {
    // Of 1..=100 the 95 % interval of the median is (40, 61) by the binomial table.
    let mut whole = record::histogram::new().unwrap();
    (1..=100).for_each(|v| whole.record(v).unwrap());
    assert_eq!(limits(&whole, 50.0, 100.0), (Some(40), Some(61)));
    // Ten values cannot bound a p99 from above.
    assert_eq!(limits(&whole, 99.0, 10.0).1, None);
}

#[test]
fn white_noise_is_stationary_and_a_slowing_server_is_not() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut drifting = |growth: f64| -> usize {
        (0..200)
            .filter(|_| {
                let slices: Vec<_> = (0..30)
                    .map(|i| {
                        let mut slice = Histogram::<u32>::new_with_bounds(1, 600 * SECOND, 2).unwrap();
                        for _ in 0..100 {
                            let base = 1e5 * (1.0 + growth * f64::from(i) / 30.0);
                            slice.record((base * (0.5 + rng.random::<f64>())) as u64).unwrap();
                        }
                        slice
                    })
                    .collect();
                let intervals: Vec<Batch<'_>> = slices.iter().map(|s| (SECOND, s)).collect();
                !stationarity(&intervals, "closed").stationary
            })
            .count()
    };
    assert!(drifting(0.0) <= 4);
    assert_eq!(drifting(0.5), 200);
}
