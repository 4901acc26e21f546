//! Requests that are due and wait for somebody to carry them, first come, first served. Not here: who carries them, and when an
//! arrival is due (see `source`).

use super::source::{Arrival, Source};
use crate::recorder::Recorder;
use crate::tap::Entry;
use std::collections::VecDeque;

/// Room from the start: an open loop that keeps up never has as many waiting.
const ROOM: usize = 4096;

/// A request that is due and waits for somebody to carry it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) arrival: Arrival,
    /// When the engine turned to it.
    pub(crate) turned_ns: u64,
}

/// Those that wait.
pub(crate) struct Queue(VecDeque<Waiting>);

impl Queue {
    pub(crate) fn new() -> Self {
        Self(VecDeque::with_capacity(ROOM))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in what is due; true where nobody waited before and somebody does now.
    pub(crate) fn fill(&mut self, source: &mut Source, recorder: &mut Recorder, now: u64) -> bool {
        let was_empty = self.0.is_empty();
        while let Some(arrival) = source.due(now) {
            recorder.requests.scheduled += u64::from(arrival.counted);
            self.0.push_back(Waiting { arrival, turned_ns: now });
        }
        was_empty && !self.0.is_empty()
    }

    /// The next request for somebody who is free: one that waits, or in a closed loop one that begins now.
    pub(crate) fn next(&mut self, source: &mut Source, recorder: &mut Recorder, now: u64) -> Option<Waiting> {
        if let Some(waiting) = self.0.pop_front() {
            return Some(waiting);
        }
        let arrival = source.on_free(now)?;
        recorder.requests.scheduled += u64::from(arrival.counted);
        Some(Waiting { arrival, turned_ns: now })
    }

    /// The window has closed: what did not begin is counted, with its age.
    pub(crate) fn close(&mut self, recorder: &mut Recorder, closed_ns: u64) {
        while let Some(Waiting { arrival, .. }) = self.0.pop_front() {
            if arrival.counted {
                recorder.unsent(closed_ns.saturating_sub(arrival.due_ns));
                recorder.tap.ended(Entry::unsent(&arrival, closed_ns));
            }
        }
    }
}
