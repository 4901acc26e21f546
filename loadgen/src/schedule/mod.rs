//! Arrivals of the open loop: pure and seeded. Not here: the clock, and what happens when an arrival is due.
//!
//! Arrival `k` is due at a time that depends on the rate, its [`Profile`], the seed and `k` alone, so that a run of several
//! threads, processes or machines offers the same arrivals as a run of one: share `i` of `n` takes those with `k mod n = i`.
//!
//! Arrival `k` stands at `u(k)` in a stream of one request a unit of time: at `k` where they are spread evenly, at the sum of `k + 1`
//! unit exponentials where they are independent. It is due when the profile's rate has offered `u(k)` requests: the inverse of the
//! cumulative rate (the time change that makes any Poisson process of the one with rate 1).

mod profile;
mod trace;

pub use profile::Profile;
pub use trace::Trace;

use profile::Path;
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Exp1};

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

/// The arrivals of one share, as `(k, due)` with `due` in nanoseconds from the start of the schedule. Ends where the profile does: a
/// trace with its last line, a rate with its fall to 0.
#[derive(Clone, Debug)]
pub struct Schedule {
    index: u64,
    of: u64,
    next: u64,
    spread: Spread,
    path: Path,
}

#[derive(Clone, Debug)]
enum Spread {
    Even,
    /// The sum of the unit exponentials up to arrival `drawn - 1`. A double holds 2^53 requests to within one.
    Random {
        rng: Xoshiro256PlusPlus,
        sum: f64,
        drawn: u64,
    },
}

impl Schedule {
    /// The arrivals of thread `index` of `of`, at a steady `rate_per_s` in total over all threads.
    ///
    /// The rate is above 0 (see [`crate::Config::check`]); any other is taken as 1.
    #[must_use]
    pub fn new(arrivals: Arrivals, rate_per_s: f64, seed: u64, index: u32, of: u32) -> Self {
        Self::along(&Profile::Steady, arrivals, rate_per_s, seed, (u64::from(index), u64::from(of)))
    }

    /// The arrivals of share `index` of `of`, along `profile`; `rate_per_s` is the total over all shares, where the profile
    /// does not bring its own.
    #[must_use]
    pub fn along(
        profile: &Profile,
        arrivals: Arrivals,
        rate_per_s: f64,
        seed: u64,
        (index, of): (u64, u64),
    ) -> Self {
        let spread = match arrivals {
            Arrivals::Constant => Spread::Even,
            Arrivals::Poisson => {
                Spread::Random { rng: Xoshiro256PlusPlus::seed_from_u64(seed), sum: 0.0, drawn: 0 }
            }
        };
        Self { index, of: of.max(1), next: 0, spread, path: profile.path(rate_per_s) }
    }
}

impl Iterator for Schedule {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let k = self.index + self.next * self.of;
        self.next += 1;
        let at = match &mut self.spread {
            Spread::Even => k as f64,
            Spread::Random { rng, sum, drawn } => {
                // Every thread draws every gap: 6 ns each, and no state is shared.
                while *drawn <= k {
                    let gap: f64 = Exp1.sample(rng);
                    *sum += gap;
                    *drawn += 1;
                }
                *sum
            }
        };
        Some((k, self.path.due_ns(k, at)?))
    }
}
