//! The statistics of a comparison. Not here: what they are applied to.

mod holm;
mod power;
mod rank;

pub use holm::holm;
pub use power::detectable;
pub use rank::{least_p, rank_test, trials_needed};

/// Median of values; of an even number the mean of the middle two. Absent where there are none.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => None,
        s if s.len() % 2 == 1 => Some(s[middle]),
        s => Some(f64::midpoint(s[middle - 1], s[middle])),
    }
}

/// A seeded stream of numbers (splitmix64); the same seed gives the same verdict.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Uniform below `bound`, which is above 0. The bias for bounds far below 2^64 is of no account.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
