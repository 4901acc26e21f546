//! Warm-up, window, end: when one becomes the other, and what is left at the very end. Not here: requests on their way.

use super::slot::State;
use super::{Engine, Harvest, Timeline};
use crate::Error;
use crate::config::Stop;
use crate::tap::Outcome;

/// How long an interrupted run waits for replies: nobody watches an interrupt for longer.
pub(crate) const HURRY_NS: u64 = 100_000_000;

/// A run of a number of requests ends without them when no reply has come for this many timeouts.
pub(crate) const PATIENCE: u32 = 5;

/// The part of the run that a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    WarmUp,
    Window,
    /// Nothing begins any more; what is out may still be answered until then.
    Drain {
        until_ns: u64,
    },
}

impl Stage {
    /// True while requests may begin.
    pub(super) const fn is_running(self) -> bool {
        !matches!(self, Self::Drain { .. })
    }

    /// When the clock alone changes something.
    pub(crate) fn ends_ns(self, line: &Timeline, now: u64) -> u64 {
        match self {
            Self::WarmUp if now < line.start_ns => line.start_ns,
            Self::WarmUp => line.open_ns,
            Self::Window => line.close_ns,
            Self::Drain { until_ns } => until_ns,
        }
    }
}

impl Engine<'_> {
    /// Goes on to the next stage where it is time; true when the run is over.
    pub(super) fn turn(&mut self, now: u64, stop: bool) -> Result<bool, Error> {
        if self.stage == Stage::WarmUp && (now >= self.line.open_ns || stop) {
            self.open(now);
        }
        match self.stage {
            Stage::WarmUp => {}
            Stage::Window if stop => {
                self.cut_short = true;
                self.close(now, now + HURRY_NS);
            }
            Stage::Window if now >= self.line.close_ns => {
                let until_ns = self.line.close_ns.saturating_add(self.timeout_ns);
                self.close(now, until_ns);
            }
            Stage::Window => return self.turn_by_requests(now),
            Stage::Drain { .. } => {}
        }
        match self.stage {
            Stage::Drain { until_ns } => Ok(self.outstanding == 0 || now >= until_ns),
            _ => Ok(self.is_hopeless()),
        }
    }

    /// The window opens; called before its first request begins, whatever the clock's grain.
    pub(super) fn open(&mut self, now: u64) {
        self.line.open_ns = self.line.open_ns.min(now);
        self.stage = Stage::Window;
        self.recorder.bytes = record::load::Bytes::default();
        self.recorder.intervals.start(self.line.open_ns);
        self.recorder.intervals.living(now, self.live);
        self.meter.open(now);
        self.waiting_since_ns = now;
        self.last_resolved_ns = now;
    }

    /// A window that ends with a number of requests.
    fn turn_by_requests(&mut self, now: u64) -> Result<bool, Error> {
        if !matches!(self.config.stop, Stop::Requests(_)) {
            return Ok(self.is_hopeless());
        }
        self.recorder.intervals.reach(now)?;
        if self.source.is_exhausted(now) && self.queue.is_empty() && self.outstanding == 0 {
            self.close(self.last_resolved_ns, now);
            return Ok(true);
        }
        if self.gone == self.slots.len() {
            self.close(now, now);
            return Ok(true);
        }
        let patience = self.timeout_ns.saturating_mul(u64::from(PATIENCE));
        let waiting = self.outstanding > 0 || !self.queue.is_empty();
        if waiting && now.saturating_sub(self.waiting_since_ns) > patience {
            self.gave_up = true;
            self.close(now, now);
            return Ok(true);
        }
        Ok(self.is_hopeless())
    }

    /// The server has turned away every connection from the beginning.
    fn is_hopeless(&self) -> bool {
        !self.ever_connected && self.refusals >= 3 * self.slots.len() as u64
    }

    /// The window closes at `now`. What is due and did not begin is counted, with its age.
    fn close(&mut self, now: u64, until_ns: u64) {
        let closed_ns = now.min(self.line.close_ns);
        self.source.stop(closed_ns);
        self.line.close_ns = closed_ns;
        self.meter.close(now);
        self.recorder.intervals.close(closed_ns);
        self.ran_out = self.gone == self.slots.len();
        self.queue.close(&mut self.recorder, closed_ns);
        self.stage = Stage::Drain { until_ns };
    }

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
        if self.stage == Stage::Window {
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
                self.recorder.unanswered(age_ns, self.timeout_ns, dialling, request.abort.is_some());
                self.log(i, request, Outcome::Unanswered, now);
            }
        }
        self.hang_up();
        Harvest {
            recorder: self.recorder,
            meter: self.meter,
            open_ns: self.line.open_ns,
            close_ns: self.line.close_ns,
            peak: self.peak,
            ever_connected: self.ever_connected,
            dial_errors: self.dial_errors,
            cut_short: self.cut_short,
            gave_up: self.gave_up,
            vanished: self.vanished,
            ran_out: self.ran_out,
            idlers: self.idlers.seen,
        }
    }
}
