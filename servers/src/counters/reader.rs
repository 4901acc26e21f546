//! Looking at the counters of a server, running or ended. Not here: what the differences mean.

use super::file::{LINES_AT, MOST, WORKERS_AT, is_counters};
use super::{Count, LINE, Why};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use sys::mapped::View;

/// What a worker has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that came to it.
    pub accepted: u64,
    /// Waits that ended with something to do.
    pub useful: u64,
    /// Waits that ended for nothing.
    pub spurious: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Connections that ended, by [`Why`] in the order of [`Why::ALL`].
    pub ended: [u64; Why::ALL.len()],
}

/// The counters of a server.
#[derive(Debug)]
pub struct Reader {
    view: View,
    lines: usize,
    workers: usize,
}

impl Reader {
    /// Opens the file that a server was given with `--counters`; the server must be ready.
    ///
    /// # Errors
    /// Those of open(2) and mmap(2), InvalidData for a file that is something else or not complete yet.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?.as_fd())
    }

    /// As [`open`](Self::open), of a file that is open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        if !is_counters(file) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no counters, or of another version"));
        }
        let header = View::map(file, LINE)?;
        let number = |at| header.get(at).map_or(0, |n| n as usize).min(MOST);
        let (lines, workers) = (number(LINES_AT), number(WORKERS_AT));
        Ok(Self { view: View::map(file, LINE * (1 + lines))?, lines, workers: workers.min(lines) })
    }

    /// A worker for each connection: there is one sum for all.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.workers == 0
    }

    /// What each worker has counted so far; one sum for all where they are many. While they count, two numbers of a worker may be
    /// some nanoseconds apart.
    #[must_use]
    pub fn read(&self) -> Vec<Counts> {
        if !self.is_shared() {
            return (0..self.workers).map(|worker| self.line(worker)).collect();
        }
        let mut sum = Counts::default();
        for line in 0..self.lines {
            sum.add(&self.line(line));
        }
        vec![sum]
    }

    fn line(&self, at: usize) -> Counts {
        let number = |count: usize| self.view.get((1 + at) * LINE + count).unwrap_or(0);
        Counts {
            accepted: number(Count::Accepted as usize),
            useful: number(Count::Useful as usize),
            spurious: number(Count::Spurious as usize),
            bytes_in: number(Count::BytesIn as usize),
            bytes_out: number(Count::BytesOut as usize),
            ended: Why::ALL.map(|why| number(Count::Ended as usize + why as usize)),
        }
    }
}

impl Counts {
    /// Connections that ended for this reason.
    #[must_use]
    pub fn ended_by(&self, why: Why) -> u64 {
        self.ended[why as usize]
    }

    /// Connections that ended.
    #[must_use]
    pub fn all_ended(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, u64::wrapping_add);
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        difference.combine(earlier, u64::saturating_sub);
        difference
    }

    /// What stood there `share` of the way from this reading to `later`, 0 to 1, had it gone on evenly.
    #[must_use]
    pub fn towards(&self, later: &Self, share: f64) -> Self {
        let mut between = self.clone();
        between.combine(later, |a, b| a + (b.saturating_sub(a) as f64 * share).round() as u64);
        between
    }

    fn combine(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        let Self { accepted, useful, spurious, bytes_in, bytes_out, ended } = self;
        let own = [accepted, useful, spurious, bytes_in, bytes_out].into_iter().chain(ended);
        let Self { accepted, useful, spurious, bytes_in, bytes_out, ended } = other;
        let others = [accepted, useful, spurious, bytes_in, bytes_out].into_iter().chain(ended);
        for (own, other) in own.zip(others) {
            *own = with(*own, *other);
        }
    }
}
