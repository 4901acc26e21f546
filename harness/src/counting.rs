//! The counters of a server's workers, read at the edges of the timed window. Not here: what is counted (`servers::counters`).
//!
//! They lie in a file in memory that has no name: nothing is left of it, however the harness ends. Reading takes the cache lines
//! from the workers for a moment, so it is done near the edges only, and what stood at an edge is found between two readings.

use record::workers::{Worker, Workers};
use servers::counters::{Counts, Reader, Why};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::Duration;

/// How far apart the readings may be on the two sides of an edge: what lies between is taken to have gone on evenly.
const GAP_NS: u64 = 250_000_000;

/// How long before an edge is due readings begin.
const EARLY: Duration = Duration::from_millis(20);

/// The counters of one server.
#[derive(Debug)]
pub struct Counting {
    file: OwnedFd,
    reader: Option<Reader>,
    readings: Vec<Reading>,
}

#[derive(Debug)]
struct Reading {
    /// Wall clock, nanoseconds since 1970: the clock that the generator reports its window by.
    at_ns: u64,
    workers: Vec<Counts>,
}

impl Counting {
    /// A file for a server that is about to be started; `None` where the system gives none.
    #[must_use]
    pub fn begin() -> Option<Self> {
        Some(Self { file: sys::mapped::nameless("counters").ok()?, reader: None, readings: Vec::new() })
    }

    /// The file's name for the server and its children, while this process lives and keeps the file.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// The server is ready. One that made no counters is not read.
    pub fn attach(&mut self) {
        self.reader = Reader::of(self.file.as_fd()).ok();
    }

    /// Takes a reading, `elapsed` after the generator was started, where that is near one of the `edges`.
    pub fn sample(&mut self, elapsed: Duration, edges: [Duration; 2]) {
        let near = |edge: Duration| elapsed + EARLY >= edge && elapsed < edge + crate::observe::LATE;
        if let Some(reader) = self.reader.as_ref().filter(|_| edges.into_iter().any(near)) {
            self.readings.push(Reading { at_ns: sys::clock::realtime_ns(), workers: reader.read() });
        }
    }

    /// What each worker did between two moments of the wall clock; `None` where the readings do not cover them.
    #[must_use]
    pub fn between(&self, start_ns: u64, end_ns: u64) -> Option<Workers> {
        let one_sum = self.reader.as_ref()?.is_shared();
        Some(Workers { one_sum, each: difference(&self.readings, start_ns, end_ns)? })
    }
}

fn difference(readings: &[Reading], start_ns: u64, end_ns: u64) -> Option<Vec<Worker>> {
    let (start, end) = (at(readings, start_ns)?, at(readings, end_ns)?);
    let worker = |(start, end): (&Counts, &Counts)| {
        let done = end.since(start);
        let ended = Why::ALL.map(|why| (why.name().to_owned(), done.ended_by(why)));
        Worker {
            open_at_start: start.accepted.saturating_sub(start.all_ended()),
            accepted: done.accepted,
            useful_wakeups: done.useful,
            spurious_wakeups: done.spurious,
            bytes_in: done.bytes_in,
            bytes_out: done.bytes_out,
            ended: ended.into_iter().filter(|(_, n)| *n > 0).collect(),
        }
    };
    Some(start.iter().zip(&end).map(worker).collect())
}

fn at(readings: &[Reading], at_ns: u64) -> Option<Vec<Counts>> {
    let after = readings.partition_point(|r| r.at_ns < at_ns);
    let (before, after) = (readings.get(after.checked_sub(1)?)?, readings.get(after)?);
    let span = after.at_ns - before.at_ns;
    if span > GAP_NS {
        return None;
    }
    let share = (at_ns - before.at_ns) as f64 / span.max(1) as f64;
    Some(
        before
            .workers
            .iter()
            .zip(&after.workers)
            .map(|(before, after)| before.towards(after, share))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(ms: u64, accepted: u64, finished: u64, bytes: u64) -> Reading {
        let mut counts = Counts { accepted, useful: bytes, bytes_in: bytes, ..Counts::default() };
        counts.ended[Why::Finished as usize] = finished;
        Reading { at_ns: ms * 1_000_000, workers: vec![counts] }
    }

    #[test]
    fn what_stands_at_an_edge_is_found_between_two_readings() {
        let readings = [
            reading(10, 10, 4, 1_000),
            reading(20, 12, 4, 2_000),
            reading(110, 30, 20, 9_000),
            reading(120, 30, 30, 9_100),
        ];
        let worker = &difference(&readings, 15_000_000, 115_000_000).unwrap()[0];
        assert_eq!((worker.open_at_start, worker.accepted, worker.bytes_in), (7, 19, 7_550));
        assert_eq!(
            worker.ended.iter().map(|(why, n)| (why.as_str(), *n)).collect::<Vec<_>>(),
            [("finished", 21)]
        );
        assert!(difference(&readings, 5_000_000, 115_000_000).is_none());
        assert!(difference(&readings, 15_000_000, 121_000_000).is_none());
        assert!(
            difference(&[reading(0, 0, 0, 0), reading(900, 9, 0, 0)], 100_000_000, 800_000_000).is_none()
        );
    }
}
