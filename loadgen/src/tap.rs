//! What an engine thread passes on beside its recorder: a log of requests, and counts for the view on a terminal. Not here: writing
//! or drawing them.
//!
//! Both are off unless asked for, and then neither waits nor allocates: the log fills a buffer that was there before the run, the
//! counts are atomics that one thread alone writes and that another may read at any time.

use crate::engine::Arrival;
use crate::live::Counts;
use std::sync::Arc;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Failed,
    Aborted,
    Unanswered,
    Unsent,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Unanswered => "unanswered",
            Self::Unsent => "unsent",
        }
    }
}

/// One request of the window. Times are of CLOCK_MONOTONIC in nanoseconds, 0 where the request did not get so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) k: u64,
    pub(crate) due_ns: u64,
    pub(crate) begun_ns: u64,
    /// The first byte of the reply was read.
    pub(crate) first_ns: u64,
    /// It ended, whatever way.
    pub(crate) done_ns: u64,
    /// Place of the connection in the run, and which of its connections it was; `u32::MAX` where there was none.
    pub(crate) connection: u32,
    pub(crate) generation: u32,
    pub(crate) outcome: Outcome,
}

impl Entry {
    /// A request that could not begin before the window closed.
    pub(crate) fn unsent(arrival: &Arrival, closed_ns: u64) -> Self {
        Self {
            k: arrival.k,
            due_ns: arrival.due_ns,
            begun_ns: 0,
            first_ns: 0,
            done_ns: closed_ns,
            connection: u32::MAX,
            generation: 0,
            outcome: Outcome::Unsent,
        }
    }
}

/// Entries of one thread, as many as there is room for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestLog {
    entries: Vec<Entry>,
    room: usize,
    /// Requests that found it full.
    pub(crate) cut: u64,
}

impl RequestLog {
    pub(crate) fn new(room: usize) -> Self {
        let mut entries = Vec::new();
        // Where the memory is not there, what fits is logged and the rest is counted.
        let room = if entries.try_reserve_exact(room).is_ok() { room } else { 0 };
        Self { entries, room, cut: 0 }
    }

    fn add(&mut self, entry: Entry) {
        if self.entries.len() < self.room {
            self.entries.push(entry);
        } else {
            self.cut += 1;
        }
    }

    /// Takes the entries of another thread, at the end of the run.
    fn merge(&mut self, other: Self) {
        self.room += other.room;
        self.cut += other.cut;
        self.entries.extend(other.entries);
    }

    /// The entries in the order in which the requests were due.
    pub(crate) fn into_sorted(mut self) -> Vec<Entry> {
        self.entries.sort_unstable_by_key(|e| (e.due_ns, e.k));
        self.entries
    }
}

/// What one thread passes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    pub(crate) log: Option<RequestLog>,
    pub(crate) counts: Option<Arc<Counts>>,
}

impl Tap {
    /// A request of the window ended.
    pub(crate) fn ended(&mut self, entry: Entry) {
        if let Some(log) = &mut self.log {
            log.add(entry);
        }
    }

    /// A reply came.
    pub(crate) fn completed(&self, latency_ns: u64) {
        if let Some(counts) = &self.counts {
            counts.completed(latency_ns);
        }
    }

    /// A request failed.
    pub(crate) fn failed(&self) {
        if let Some(counts) = &self.counts {
            counts.failed();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut self.log, other.log) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_counts_what_it_cuts_and_keeps_the_order_of_the_plan() {
        let entry = |k| Entry {
            k,
            due_ns: 10 * k,
            begun_ns: 0,
            first_ns: 0,
            done_ns: 0,
            connection: 0,
            generation: 0,
            outcome: Outcome::Completed,
        };
        let mut taps = [2, 3].map(|room| Tap { log: Some(RequestLog::new(room)), counts: None });
        (0..8).for_each(|k| taps[k as usize % 2].ended(entry(7 - k)));
        let [mut all, other] = taps;
        all.merge(other);
        let log = all.log.unwrap();
        assert_eq!(log.cut, 3);
        assert_eq!(log.into_sorted().iter().map(|e| e.k).collect::<Vec<_>>(), [2, 4, 5, 6, 7]);
    }
}
