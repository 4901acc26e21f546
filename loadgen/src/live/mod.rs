//! The view of a run while it goes: what the engine threads count for it, and who draws it. Not here: what it looks like (`screen`).
//!
//! Each thread has counts of its own, which it alone writes: a load and a store to memory that nobody else writes, no lock, no
//! exclusive access. The reader sums them up once a second; a sum may miss what is counted at that moment, and has it the next time.

mod screen;

pub(crate) use screen::{Screen, restore};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Classes in each doubling of a latency: an error of at most 3 % from the middle of a class.
const STEPS: u64 = 16;
/// Doublings, from 1 ns to 18 minutes.
const DOUBLINGS: u64 = 40;

/// What one engine thread counts for the view.
#[derive(Debug)]
pub(crate) struct Counts {
    latency: Vec<AtomicU64>,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn new() -> Arc<Self> {
        let latency = (0..DOUBLINGS * STEPS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { latency, failed: AtomicU64::new(0) })
    }

    /// A reply came. To be called by the one thread that these counts belong to.
    pub(crate) fn completed(&self, latency_ns: u64) {
        bump(&self.latency[class(latency_ns)]);
    }

    /// A request failed. By that thread, too.
    pub(crate) fn failed(&self) {
        bump(&self.failed);
    }
}

fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

fn class(latency_ns: u64) -> usize {
    let ns = latency_ns.clamp(STEPS, (1 << DOUBLINGS) - 1);
    let doubling = u64::from(ns.ilog2());
    // The four bits below the highest one.
    let step = (ns >> (doubling - 4)) & (STEPS - 1);
    (doubling * STEPS + step) as usize
}

/// The middle of a class in nanoseconds.
fn middle(class: usize) -> u64 {
    let (doubling, step) = (class as u64 / STEPS, class as u64 % STEPS);
    ((STEPS + step) << doubling) / STEPS + (1 << doubling) / (2 * STEPS)
}

/// All that was counted up to a moment, or between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    latency: Vec<u64>,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

impl Sum {
    /// The sum over all threads by now.
    pub(crate) fn of(threads: &[Arc<Counts>]) -> Self {
        let mut sum = Self { latency: vec![0; (DOUBLINGS * STEPS) as usize], completed: 0, failed: 0 };
        for counts in threads {
            for (total, count) in sum.latency.iter_mut().zip(&counts.latency) {
                *total += count.load(Relaxed);
            }
            sum.failed += counts.failed.load(Relaxed);
        }
        sum.completed = sum.latency.iter().sum();
        sum
    }

    /// What came since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = earlier.latency.iter().copied().chain(std::iter::repeat(0));
        let latency: Vec<u64> = self.latency.iter().zip(before).map(|(now, then)| now - then).collect();
        Self { completed: latency.iter().sum(), failed: self.failed - earlier.failed, latency }
    }

    /// A percentile in nanoseconds, for the eye; `None` where nothing was completed.
    pub(crate) fn percentile(&self, percent: f64) -> Option<u64> {
        let rank = ((percent / 100.0 * self.completed as f64).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.latency.iter().position(|count| {
            below += count;
            below >= rank
        });
        found.filter(|_| self.completed > 0).map(middle)
    }

    /// The distribution between its p1 and p99.9 in `bins` bins of one ratio: `(upper end in ns, count)`.
    pub(crate) fn bins(&self, bins: usize) -> Vec<(u64, u64)> {
        let (Some(low), Some(high)) = (self.percentile(1.0), self.percentile(99.9)) else {
            return Vec::new();
        };
        let (first, last) = (class(low), class(high));
        let width = (last + 1 - first).div_ceil(bins).max(1);
        let bin = |start: usize| {
            let end = (start + width).min(self.latency.len());
            (middle(end - 1), self.latency[start..end].iter().sum())
        };
        (first..=last).step_by(width).map(bin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_lies_within_three_percent_of_its_middle() {
        for ns in [16, 17, 100, 999, 12_345, 1_000_000, 987_654_321, 600_000_000_000] {
            let found = middle(class(ns)) as f64;
            assert!((found / ns as f64 - 1.0).abs() < 0.035, "{ns}: {found}");
        }
        assert_eq!((class(0), class(u64::MAX)), (class(16), (DOUBLINGS * STEPS) as usize - 1));
    }

    #[test]
    fn sums_over_threads_and_between_moments() {
        let threads = [Counts::new(), Counts::new()];
        for i in 1..=100 {
            threads[i % 2].completed(i as u64 * 1_000);
        }
        let first = Sum::of(&threads);
        let median = first.percentile(50.0).unwrap();
        assert!((48_000..=52_000).contains(&median), "{median}");
        threads[0].failed();
        threads[1].completed(5_000_000);
        let delta = Sum::of(&threads).since(&first);
        assert_eq!((delta.completed, delta.failed), (1, 1));
        assert!(delta.percentile(99.0).unwrap() > 4_800_000);
        assert_eq!(first.bins(8).iter().map(|b| b.1).sum::<u64>(), 100);
        assert_eq!(Sum::default().percentile(50.0), None);
    }
}
