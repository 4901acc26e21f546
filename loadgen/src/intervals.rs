//! The view over time: a small histogram for each interval of the window. Not here: the distributions that are quoted.
//!
//! The histograms exist before the window opens. Two digits are kept of each value (an error below 1 %): they are for the eye.

use crate::Error;
use crate::config::{Stop, nanoseconds};
use hdrhistogram::Histogram;
use record::histogram::{HIGH_NS, LOW_NS};
use record::load::Interval;
use std::time::Duration;

/// Windows up to this long are cut into tenths of a second, longer ones into seconds.
const SHORT: Duration = Duration::from_secs(10);

/// Most intervals of a run: ten minutes of seconds. A histogram takes 18 kB, so these take 11 MB a thread; beyond them the
/// intervals get longer instead of more.
const MOST: usize = 600;

/// Intervals of a window of unknown length, which is the shorter to start with: a minute of half seconds.
const MOST_UNKNOWN: usize = 120;

/// What happened in one interval.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) latency: Histogram<u32>,
    pub(crate) failed: u64,
    pub(crate) max_ns: u64,
    /// Time that connections lived in it, all together, in nanoseconds.
    pub(crate) connected_ns: u64,
}

impl Slice {
    pub(crate) fn new() -> Result<Self, Error> {
        let latency = Histogram::new_with_bounds(LOW_NS, HIGH_NS, 2).map_err(Error::histogram)?;
        Ok(Self { latency, failed: 0, max_ns: 0, connected_ns: 0 })
    }

    /// As the record has it.
    pub(crate) fn record(&self, start_ns: u64, length_ns: u64, wanted: u64) -> Interval {
        let some = !self.latency.is_empty();
        let at = |percent| some.then(|| self.latency.value_at_percentile(percent).min(self.max_ns));
        Interval {
            start_ns,
            length_ns,
            completed: self.latency.len(),
            failed: self.failed,
            p50_ns: at(50.0),
            p99_ns: at(99.0),
            max_ns: some.then_some(self.max_ns),
            wanted,
            living: (length_ns > 0).then(|| self.connected_ns as f64 / length_ns as f64),
        }
    }

    fn clear(&mut self) {
        self.latency.reset();
        self.failed = 0;
        self.max_ns = 0;
        self.connected_ns = 0;
    }

    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.failed += other.failed;
        self.connected_ns += other.connected_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.latency.add(&other.latency).map_err(Error::histogram)
    }
}

/// The intervals of one thread. What happens behind the last one (while the end waits for replies) counts in the last one.
#[derive(Clone, Debug)]
pub(crate) struct Intervals {
    slices: Vec<Slice>,
    length_ns: u64,
    start_ns: u64,
    current: usize,
    /// The clock at the end of the current interval.
    current_end_ns: u64,
    /// Connections that live, and since when that is not accounted for.
    living: u64,
    living_since_ns: u64,
}

impl Intervals {
    /// The intervals of a window that will be `stop` long.
    pub(crate) fn new(stop: Stop) -> Result<Self, Error> {
        let tenth = nanoseconds(Duration::from_millis(100));
        let (length_ns, count) = match stop {
            // Of unknown length: starts short, and gets coarser as it goes on.
            Stop::Requests(_) => (tenth, MOST_UNKNOWN),
            Stop::After(time) if time <= SHORT => (tenth, nanoseconds(time).div_ceil(tenth) as usize),
            Stop::After(time) => {
                let seconds = time.as_secs_f64().ceil() as u64;
                let length = seconds.div_ceil(MOST as u64);
                (length * 1_000_000_000, seconds.div_ceil(length) as usize)
            }
        };
        let slices = (0..count.max(1)).map(|_| Slice::new()).collect::<Result<_, _>>()?;
        Ok(Self {
            slices,
            length_ns,
            start_ns: 0,
            current: 0,
            current_end_ns: length_ns,
            living: 0,
            living_since_ns: u64::MAX,
        })
    }

    /// The window opens at `now`.
    pub(crate) fn start(&mut self, now: u64) {
        self.start_ns = now;
        self.current = 0;
        self.current_end_ns = now + self.length_ns;
        self.living_since_ns = now;
    }

    /// The window closes at `now`: what lives from then on counts nowhere.
    pub(crate) fn close(&mut self, now: u64) {
        self.living(now, 0);
        self.living_since_ns = u64::MAX;
    }

    /// From `now` on, so many connections live; called before the window too.
    pub(crate) fn living(&mut self, now: u64, connections: u64) {
        let (slices, length_ns) = (self.slices.len() as u64, self.length_ns);
        // Behind the last interval nothing is counted: it would make the mean too large.
        while self.living > 0 && self.living_since_ns < now {
            let at = (self.living_since_ns - self.start_ns) / length_ns;
            let until = now.min(self.start_ns + (at + 1) * length_ns);
            if at >= slices {
                break;
            }
            self.slices[at as usize].connected_ns += self.living * (until - self.living_since_ns);
            self.living_since_ns = until;
        }
        if self.living_since_ns != u64::MAX {
            self.living_since_ns = self.living_since_ns.max(now);
        }
        self.living = connections;
    }

    /// A reply came.
    pub(crate) fn completed(&mut self, now: u64, latency_ns: u64) {
        let slice = self.at(now);
        slice.latency.saturating_record(latency_ns);
        slice.max_ns = slice.max_ns.max(latency_ns);
    }

    /// A request failed.
    pub(crate) fn failed(&mut self, now: u64) {
        self.at(now).failed += 1;
    }

    /// Makes sure that the interval of `now` is there; for windows of a number of requests, called off the hot path.
    pub(crate) fn reach(&mut self, now: u64) -> Result<(), Error> {
        while now.saturating_sub(self.start_ns) >= self.length_ns * self.slices.len() as u64 {
            self.coarsen()?;
        }
        Ok(())
    }

    fn at(&mut self, now: u64) -> &mut Slice {
        let last = self.slices.len() - 1;
        while now >= self.current_end_ns && self.current < last {
            self.current += 1;
            self.current_end_ns += self.length_ns;
        }
        &mut self.slices[self.current]
    }

    /// Doubles the length of the intervals, two by two; their number stays.
    fn coarsen(&mut self) -> Result<(), Error> {
        let count = self.slices.len();
        for i in 0..count / 2 {
            self.slices.swap(i, 2 * i);
            let (left, right) = self.slices.split_at_mut(2 * i + 1);
            left[i].merge(&right[0])?;
        }
        if count % 2 == 1 {
            self.slices.swap(count / 2, count - 1);
        }
        for slice in &mut self.slices[count.div_ceil(2)..] {
            slice.clear();
        }
        self.length_ns *= 2;
        self.current /= 2;
        self.current_end_ns = self.start_ns + (self.current as u64 + 1) * self.length_ns;
        Ok(())
    }

    /// Adds those of another thread of the same run.
    ///
    /// # Errors
    /// None with histograms of one shape; the signature is that of the library.
    pub(crate) fn merge(&mut self, mut other: Self) -> Result<(), Error> {
        while self.length_ns < other.length_ns {
            self.coarsen()?;
        }
        while other.length_ns < self.length_ns {
            other.coarsen()?;
        }
        for (mine, theirs) in self.slices.iter_mut().zip(&other.slices) {
            mine.merge(theirs)?;
        }
        Ok(())
    }

    /// The intervals of a window that was `elapsed_ns` long, as `(start, length, what happened)`.
    fn rows(&self, elapsed_ns: u64) -> Vec<(u64, u64, &Slice)> {
        let used = elapsed_ns.div_ceil(self.length_ns).max(1) as usize;
        let row = |(i, slice)| {
            let start = i as u64 * self.length_ns;
            (start, self.length_ns.min(elapsed_ns.saturating_sub(start)), slice)
        };
        self.slices.iter().enumerate().take(used).map(row).collect()
    }

    /// The distributions of [`record`](Self::record)'s intervals.
    pub(crate) fn latencies(&self, elapsed_ns: u64) -> Vec<Histogram<u32>> {
        self.rows(elapsed_ns).into_iter().map(|(_, _, slice)| slice.latency.clone()).collect()
    }

    /// As the record has it, where `wanted` connections were.
    pub(crate) fn record(&self, elapsed_ns: u64, wanted: u64) -> Vec<Interval> {
        let rows = self.rows(elapsed_ns).into_iter();
        rows.map(|(start, length, slice)| slice.record(start, length, wanted)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_happens_lands_in_its_interval_and_the_rest_in_the_last() {
        let mut intervals = Intervals::new(Stop::After(Duration::from_millis(250))).unwrap();
        intervals.start(1_000);
        intervals.completed(1_000, 5);
        intervals.completed(1_000 + 100 * MS, 7);
        intervals.failed(1_000 + 120 * MS);
        intervals.completed(1_000 + 900 * MS, 9);
        let rows = intervals.record(250 * MS, 4);
        let seen: Vec<_> =
            rows.iter().map(|r| (r.start_ns / MS, r.length_ns / MS, r.completed, r.failed)).collect();
        assert_eq!(seen, [(0, 100, 1, 0), (100, 100, 1, 1), (200, 50, 1, 0)]);
    }

    #[test]
    fn windows_of_unknown_length_get_coarser_and_lose_nothing() {
        let mut intervals = Intervals::new(Stop::Requests(1)).unwrap();
        intervals.start(0);
        for second in 0..100 {
            intervals.reach(second * 1_000 * MS).unwrap();
            intervals.completed(second * 1_000 * MS, second + 1);
        }
        let rows = intervals.record(100_000 * MS, 4);
        assert_eq!(rows.iter().map(|r| r.completed).sum::<u64>(), 100);
        assert_eq!(rows[0].length_ns, 1_600 * MS);
        assert_eq!((rows[5].completed, rows[5].max_ns), (2, Some(10)));
        let mut other = Intervals::new(Stop::Requests(1)).unwrap();
        other.start(0);
        other.completed(8_500 * MS, 3);
        other.merge(intervals).unwrap();
        assert_eq!(other.record(100_000 * MS, 4)[5].completed, 3);
    }

    #[test]
    fn living_connections_are_weighed_by_their_time() {
        let mut intervals = Intervals::new(Stop::After(Duration::from_millis(300))).unwrap();
        intervals.living(5 * MS, 3);
        intervals.start(10 * MS);
        intervals.living(60 * MS, 4);
        intervals.living(160 * MS, 2);
        intervals.living(290 * MS, 0);
        intervals.living(900 * MS, 7);
        intervals.living(950 * MS, 0);
        let living =
            |i: &Intervals| i.record(300 * MS, 4).iter().map(|r| r.living.unwrap()).collect::<Vec<_>>();
        assert_eq!(living(&intervals), [3.5, 3.0, 1.6]);
        let twice = intervals.clone();
        intervals.merge(twice).unwrap();
        assert_eq!(living(&intervals), [7.0, 6.0, 3.2]);
    }
}
