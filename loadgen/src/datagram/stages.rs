//! Warm-up, window, end: when one becomes the other, and what is left at the very end. Not here: requests on their way.

use super::Engine;
use super::socket::{Socket, State};
use crate::Error;
use crate::config::Stop;
use crate::engine::{HURRY_NS, Harvest, IdlersSeen, PATIENCE, Stage};
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

impl Engine<'_> {
    /// When the clock alone changes something.
    pub(super) fn ends_ns(&self, now: u64) -> u64 {
        let silent = if self.is_done(now) { self.silent_ns().max(now) } else { u64::MAX };
        self.stage.ends_ns(&self.line, now).min(silent)
    }

    /// When it will have been silent for long enough.
    fn silent_ns(&self) -> u64 {
        self.last_heard_ns.max(self.last_resolved_ns).saturating_add(SILENCE_NS.min(self.timeout_ns))
    }

    /// Nothing is awaited any more but what nobody asked for.
    fn is_done(&self, now: u64) -> bool {
        let drained = matches!(self.stage, Stage::Drain { .. });
        let begun = drained || self.source.is_exhausted(now) && self.queue.is_empty();
        begun && self.open == 0 && (drained || matches!(self.config.stop, Stop::Requests(_)))
    }

    /// Goes on to the next stage where it is time; true when the run is over.
    pub(super) fn turn(&mut self, now: u64, stop: bool) -> Result<bool, Error> {
        if self.stage == Stage::WarmUp && (now >= self.line.open_ns || stop) {
            self.open_window(now);
        }
        match self.stage {
            Stage::WarmUp => {}
            Stage::Window if stop => {
                self.cut_short = true;
                self.close_window(now, now + HURRY_NS);
            }
            Stage::Window if now >= self.line.close_ns => {
                let until_ns = self.line.close_ns.saturating_add(self.timeout_ns);
                self.close_window(now, until_ns);
            }
            Stage::Window => return self.turn_by_requests(now),
            Stage::Drain { .. } => {}
        }
        match self.stage {
            Stage::Drain { until_ns } => Ok(now >= until_ns || self.is_done(now) && now >= self.silent_ns()),
            _ => Ok(self.is_hopeless()),
        }
    }

    /// The window opens; called before its first request begins, whatever the clock's grain.
    pub(super) fn open_window(&mut self, now: u64) {
        self.line.open_ns = self.line.open_ns.min(now);
        self.stage = Stage::Window;
        self.recorder.intervals.start(self.line.open_ns);
        for socket in &mut self.sockets {
            socket.dropped = 0;
            socket.dropped_before = 0;
            socket.dropped_before = socket.drops();
        }
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
        if self.is_done(now) && now >= self.silent_ns() {
            self.close_window(self.last_resolved_ns, now);
            return Ok(true);
        }
        let patience = self.timeout_ns.saturating_mul(u64::from(PATIENCE));
        let waiting = self.open > 0 || self.silent || !self.queue.is_empty();
        if waiting && now.saturating_sub(self.waiting_since_ns) > patience {
            self.gave_up = true;
            self.close_window(now, now);
            return Ok(true);
        }
        Ok(self.is_hopeless())
    }

    /// Nobody has answered, and somebody says that nobody is there.
    fn is_hopeless(&self) -> bool {
        !self.ever_answered && self.refusals >= 3 * self.sockets.len() as u64
    }

    /// The window closes at `now`. What is due and did not begin is counted, with its age.
    fn close_window(&mut self, now: u64, until_ns: u64) {
        let closed_ns = now.min(self.line.close_ns);
        self.source.stop(closed_ns);
        self.line.close_ns = closed_ns;
        self.meter.close(now);
        self.queue.close(&mut self.recorder, closed_ns);
        self.stage = Stage::Drain { until_ns };
    }

    /// What is left where there is nothing to run against.
    pub(crate) fn abandon(self) -> Harvest {
        self.harvest(0)
    }

    /// What is left at the end of the run.
    pub(super) fn harvest(mut self, now: u64) -> Harvest {
        if self.stage == Stage::Window {
            // Hopeless: nothing was ever reached.
            self.close_window(now, now);
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
            open_ns: self.line.open_ns,
            close_ns: self.line.close_ns,
            peak: self.peak,
            // Silence is no proof that nobody is there.
            ever_connected: self.ever_answered || self.refusals == 0,
            dial_errors: self.dial_errors,
            cut_short: self.cut_short,
            gave_up: self.gave_up,
            vanished: Vec::new(),
            idlers: IdlersSeen::new(0),
            ran_out: false,
        }
    }
}
