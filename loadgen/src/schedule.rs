//! Arrivals of the open loop: pure and seeded. Not here: the clock, and what happens when an arrival is due.
//!
//! Arrival `k` is due at a time that depends on the rate, the seed and `k` alone, so that a run of two threads offers the
//! same arrivals as a run of one: thread `i` of `T` takes those with `k mod T = i`.

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Exp};

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly: arrival `k` is due at `k / rate`.
    Constant,
    /// Independently: exponential gaps, as from many users who know nothing of each other.
    Poisson,
}

impl Arrivals {
    /// The name on the command line and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        }
    }
}

/// The arrivals of one thread, as `(k, due)` with `due` in nanoseconds from the start of the schedule. Never ends.
#[derive(Clone, Debug)]
pub struct Schedule {
    gap_ns: f64,
    index: u64,
    of: u64,
    next: u64,
    spread: Spread,
}

#[derive(Clone, Debug)]
enum Spread {
    Even,
    /// The sum of the gaps up to arrival `drawn - 1`. A double holds a year in nanoseconds to within 4 ns.
    Random {
        rng: Xoshiro256PlusPlus,
        gap: Exp<f64>,
        at_ns: f64,
        drawn: u64,
    },
}

impl Schedule {
    /// The arrivals of thread `index` of `of`, at `rate_per_s` in total over all threads.
    ///
    /// The rate is above 0 (see [`crate::Config::check`]); any other is taken as 1.
    #[must_use]
    pub fn new(arrivals: Arrivals, rate_per_s: f64, seed: u64, index: u32, of: u32) -> Self {
        let gap_ns = if rate_per_s > 0.0 { 1e9 / rate_per_s } else { 1e9 };
        let spread = match (arrivals, Exp::new(1.0 / gap_ns)) {
            (Arrivals::Poisson, Ok(gap)) => {
                Spread::Random { rng: Xoshiro256PlusPlus::seed_from_u64(seed), gap, at_ns: 0.0, drawn: 0 }
            }
            _ => Spread::Even,
        };
        Self { gap_ns, index: u64::from(index), of: u64::from(of.max(1)), next: 0, spread }
    }
}

impl Iterator for Schedule {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let k = self.index + self.next * self.of;
        self.next += 1;
        let due_ns = match &mut self.spread {
            Spread::Even => k as f64 * self.gap_ns,
            Spread::Random { rng, gap, at_ns, drawn } => {
                // Every thread draws every gap: 6 ns each, and no state is shared.
                while *drawn <= k {
                    *at_ns += gap.sample(rng);
                    *drawn += 1;
                }
                *at_ns
            }
        };
        Some((k, due_ns as u64))
    }
}
