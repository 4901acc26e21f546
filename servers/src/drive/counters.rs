//! What each worker did: connections accepted, wake-ups, wake-ups by the listener for nothing. Not here: what it means.
//!
//! A worker writes its own line only, without a read-modify-write, and no two lines share a cache line; so it always counts, and
//! `--counters` only says whether the numbers are printed at the end.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// 128 bytes: processors fetch cache lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line {
    accepted: AtomicU64,
    wakeups: AtomicU64,
    spurious: AtomicU64,
}

/// The lines of all workers.
#[derive(Clone, Debug)]
pub struct Counters(Arc<[Line]>);

/// One worker's line; the worker is the only one that writes it.
#[derive(Debug)]
pub struct Tally {
    lines: Arc<[Line]>,
    worker: usize,
}

impl Counters {
    /// Zeros for `workers`.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Line::default()).collect())
    }

    /// The line of `worker`.
    #[must_use]
    pub fn tally(&self, worker: usize) -> Tally {
        Tally { lines: Arc::clone(&self.0), worker }
    }

    /// Prints one JSON line a worker on standard error, where `wanted`. A closed one is not an error.
    pub fn report(&self, wanted: bool) {
        let mut text = String::new();
        for (worker, line) in self.0.iter().enumerate().filter(|_| wanted) {
            let [accepted, wakeups, spurious] =
                [&line.accepted, &line.wakeups, &line.spurious].map(|n| n.load(Relaxed));
            text.push_str(&format!(
                "{{\"worker\":{worker},\"accepted\":{accepted},\"wakeups\":{wakeups},\"spurious\":{spurious}}}\n"
            ));
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl Tally {
    fn add(&self, which: impl Fn(&Line) -> &AtomicU64) {
        if let Some(line) = self.lines.get(self.worker) {
            let number = which(line);
            number.store(number.load(Relaxed) + 1, Relaxed);
        }
    }

    /// A connection came to this worker.
    pub fn accepted(&self) {
        self.add(|line| &line.accepted);
    }

    /// A wait ended.
    pub fn woken(&self) {
        self.add(|line| &line.wakeups);
    }

    /// The listener was said to be ready, and there was no connection: another worker had taken it.
    pub fn spurious(&self) {
        self.add(|line| &line.spurious);
    }
}
