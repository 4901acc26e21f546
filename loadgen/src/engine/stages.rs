//! What connections do when the window opens and closes, and what is left at the very end. Not here: when that is (`course`), requests
//! on their way.

use super::course::{Course, Runner};
use super::slot::State;
use super::{Engine, Harvest, Stage};
use crate::Error;
use crate::tap::Outcome;

impl Runner for Engine<'_> {
    fn course(&mut self) -> &mut Course {
        &mut self.course
    }

    fn open(&mut self, now: u64) {
        self.course.open(now);
        self.recorder.bytes = record::load::Bytes::default();
        self.recorder.intervals.start(self.course.line.open_ns);
        self.recorder.intervals.living(now, self.live);
        self.meter.open(now);
    }

    fn close(&mut self, now: u64, until_ns: u64) {
        let closed_ns = self.course.close(now, until_ns);
        self.source.stop(closed_ns);
        self.meter.close(now);
        self.recorder.intervals.close(closed_ns);
        self.ran_out = self.gone == self.slots.len();
        self.queue.close(&mut self.recorder, closed_ns);
    }

    fn reach(&mut self, now: u64) -> Result<(), Error> {
        self.recorder.intervals.reach(now)
    }

    fn over_ns(&mut self, now: u64) -> Option<u64> {
        if self.source.is_exhausted(now) && self.queue.is_empty() && self.outstanding == 0 {
            return Some(self.course.last_resolved_ns);
        }
        (self.gone == self.slots.len()).then_some(now)
    }

    fn is_waiting(&self) -> bool {
        self.outstanding > 0 || !self.queue.is_empty()
    }

    fn is_drained(&self, _: u64) -> bool {
        self.outstanding == 0
    }

    /// The server has turned away every connection from the beginning.
    fn is_hopeless(&self) -> bool {
        !self.ever_connected && self.refusals >= 3 * self.slots.len() as u64
    }
}

impl Engine<'_> {
    /// True once a connection has been made.
    pub(crate) fn is_connected(&self) -> bool {
        self.ever_connected
    }

    /// What is left where there is nothing to run against.
    pub(crate) fn abandon(self) -> Harvest {
        self.harvest(0)
    }

    /// What is left at the end of the run.
    pub(super) fn harvest(mut self, now: u64) -> Harvest {
        if self.course.stage == Stage::Window {
            // Hopeless: nothing was ever reached.
            self.close(now, now);
        }
        if !self.source.is_open() {
            // In a closed loop a request is due when it begins; the ages below are no service times.
            self.recorder.service = self.recorder.latency.clone();
        }
        for i in 0..self.slots.len() {
            let open: Vec<_> = self.slots[i].request.iter().chain(&self.slots[i].behind).copied().collect();
            if self.slots[i].state == State::Ending {
                // Said its last word, and was not kept waiting for longer than the run.
                self.left(i, false, now);
                continue;
            }
            for request in open.into_iter().filter(|request| request.arrival.counted) {
                let age_ns = now.saturating_sub(request.arrival.due_ns);
                let dialling = self.slots[i].state == State::Dialling;
                self.recorder.unanswered(age_ns, self.course.timeout_ns, dialling, request.abort.is_some());
                self.log(i, request, Outcome::Unanswered, now);
            }
        }
        self.hang_up();
        Harvest {
            recorder: self.recorder,
            meter: self.meter,
            open_ns: self.course.line.open_ns,
            close_ns: self.course.line.close_ns,
            peak: self.peak,
            ever_connected: self.ever_connected,
            dial_errors: self.dial_errors,
            cut_short: self.course.cut_short,
            gave_up: self.course.gave_up,
            vanished: self.vanished,
            ran_out: self.ran_out,
            idlers: self.idlers.seen,
        }
    }
}
