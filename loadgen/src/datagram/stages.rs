//! What sockets do when the window opens and closes, and what is left at the very end. Not here: when that is (`engine::course`), requests
//! on their way.

use super::Engine;
use super::socket::{Socket, State};
use crate::Error;
use crate::engine::{Course, Harvest, IdlersSeen, Runner, Stage};
use sys::datagram;

/// After the last answer, so long a silence on all sockets is awaited: a double comes behind its first.
const SILENCE_NS: u64 = 20_000_000;

impl Socket {
    /// What the kernel has dropped of this socket's answers since the window opened.
    pub(super) fn drops(&self) -> u64 {
        let counts = self.fd().and_then(|fd| datagram::drops(fd).ok()).unwrap_or_default();
        u64::from(counts.dropped).saturating_sub(self.dropped_before)
    }
}

impl Runner for Engine<'_> {
    fn course(&mut self) -> &mut Course {
        &mut self.course
    }

    fn open(&mut self, now: u64) {
        self.course.open(now);
        self.recorder.intervals.start(self.course.line.open_ns);
        for socket in &mut self.sockets {
            socket.dropped = 0;
            socket.dropped_before = 0;
            socket.dropped_before = socket.drops();
        }
        self.meter.open(now);
    }

    fn close(&mut self, now: u64, until_ns: u64) {
        let closed_ns = self.course.close(now, until_ns);
        self.source.stop(closed_ns);
        self.meter.close(now);
        self.queue.close(&mut self.recorder, closed_ns);
    }

    fn reach(&mut self, now: u64) -> Result<(), Error> {
        self.recorder.intervals.reach(now)
    }

    fn over_ns(&mut self, now: u64) -> Option<u64> {
        self.is_drained(now).then_some(self.course.last_resolved_ns)
    }

    fn is_waiting(&self) -> bool {
        // Where every socket rests from a refusal, requests wait for a server that may never come back.
        self.open > 0 || self.silent || !self.queue.is_empty() || self.sockets_open == 0
    }

    fn is_drained(&self, now: u64) -> bool {
        self.is_done(now) && now >= self.silent_ns()
    }

    /// Nobody has answered, and somebody says that nobody is there.
    fn is_hopeless(&self) -> bool {
        !self.ever_answered && self.refusals >= 3 * self.sockets.len() as u64
    }
}

impl Engine<'_> {
    /// When the clock alone changes something.
    pub(super) fn ends_ns(&self, now: u64) -> u64 {
        let silent = if self.is_done(now) { self.silent_ns().max(now) } else { u64::MAX };
        self.course.ends_ns(now).min(silent)
    }

    /// When it will have been silent for long enough.
    fn silent_ns(&self) -> u64 {
        self.last_heard_ns
            .max(self.course.last_resolved_ns)
            .saturating_add(SILENCE_NS.min(self.course.timeout_ns))
    }

    /// Nothing is awaited any more but what nobody asked for.
    fn is_done(&self, now: u64) -> bool {
        let drained = matches!(self.course.stage, Stage::Drain { .. });
        let begun = drained || self.source.is_exhausted(now) && self.queue.is_empty();
        begun && self.open == 0 && (drained || self.course.is_counted())
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
        for i in 0..self.sockets.len() {
            for place in 0..self.sockets[i].places.len() {
                let there = self.sockets[i].places[place];
                match there.state {
                    State::Out => self.lose(i, &there.request, now),
                    State::Staged => self.unanswered(i, &there.request, now),
                    State::GivenUp | State::Over => {}
                }
            }
            let dropped = self.sockets[i].dropped + self.sockets[i].drops();
            self.recorder.datagrams.dropped_here += dropped;
        }
        for (i, request) in std::mem::take(&mut self.given_up).into_unanswered() {
            self.lose(i as usize, &request, now);
        }
        Harvest {
            recorder: self.recorder,
            meter: self.meter,
            open_ns: self.course.line.open_ns,
            close_ns: self.course.line.close_ns,
            peak: self.peak,
            // Silence is no proof that nobody is there.
            ever_connected: self.ever_answered || self.refusals == 0,
            dial_errors: self.dial_errors,
            cut_short: self.course.cut_short,
            gave_up: self.course.gave_up,
            vanished: Vec::new(),
            idlers: IdlersSeen::new(0),
            ran_out: false,
        }
    }
}
