//! Warm-up, window, end: where a thread is in its run, and when one becomes the other; one for connections and for datagrams. Not here:
//! what an engine does then.

use super::source::Timeline;
use crate::Error;
use crate::config::{Config, Stop, nanoseconds};

/// How long an interrupted run waits for replies: nobody watches an interrupt for longer.
const HURRY_NS: u64 = 100_000_000;

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
    pub(crate) const fn is_running(self) -> bool {
        !matches!(self, Self::Drain { .. })
    }
}

/// One thread's way through the run.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) stage: Stage,
    pub(crate) line: Timeline,
    pub(crate) timeout_ns: u64,
    /// The window ends with a number of requests.
    counted: bool,
    /// Since when the run waits for a reply: the last one came, or the first request went out into the silence.
    pub(crate) waiting_since_ns: u64,
    pub(crate) last_resolved_ns: u64,
    /// The run was interrupted.
    pub(crate) cut_short: bool,
    /// No reply came for so long that the run was ended.
    pub(crate) gave_up: bool,
}

impl Course {
    /// Before the start.
    pub(crate) fn new(config: &Config, line: Timeline) -> Self {
        Self {
            stage: Stage::WarmUp,
            line,
            timeout_ns: nanoseconds(config.timeout),
            counted: matches!(config.stop, Stop::Requests(_)),
            waiting_since_ns: 0,
            last_resolved_ns: 0,
            cut_short: false,
            gave_up: false,
        }
    }

    /// When the clock alone changes something.
    pub(crate) fn ends_ns(&self, now: u64) -> u64 {
        match self.stage {
            Stage::WarmUp if now < self.line.start_ns => self.line.start_ns,
            Stage::WarmUp => self.line.open_ns,
            Stage::Window => self.line.close_ns,
            Stage::Drain { until_ns } => until_ns,
        }
    }

    /// True where the window ends with a number of requests.
    pub(crate) fn is_counted(&self) -> bool {
        self.counted
    }

    /// The window is open from `now` on, or from when it was to be.
    pub(crate) fn open(&mut self, now: u64) {
        self.line.open_ns = self.line.open_ns.min(now);
        self.stage = Stage::Window;
        self.waiting_since_ns = now;
        self.last_resolved_ns = now;
    }

    /// The window is closed, at `now` or when it was to be, which is returned.
    pub(crate) fn close(&mut self, now: u64, until_ns: u64) -> u64 {
        self.line.close_ns = self.line.close_ns.min(now);
        self.stage = Stage::Drain { until_ns };
        self.line.close_ns
    }
}

/// What runs along a [`Course`].
pub(crate) trait Runner {
    fn course(&mut self) -> &mut Course;

    /// The window opens; called before its first request begins, whatever the clock's grain.
    fn open(&mut self, now: u64);

    /// The window closes at `now`, and the end waits until `until_ns` at most. What is due and did not begin is counted, with its age.
    fn close(&mut self, now: u64, until_ns: u64);

    /// Makes sure that there is an interval for `now`.
    fn reach(&mut self, now: u64) -> Result<(), Error>;

    /// When a window of a number of requests was over, where it is.
    fn over_ns(&mut self, now: u64) -> Option<u64>;

    /// True while a reply is awaited, or a request waits to begin.
    fn is_waiting(&self) -> bool;

    /// True where nothing is to come behind a window that is closed.
    fn is_drained(&self, now: u64) -> bool;

    /// True where nobody has answered yet, and somebody says that nobody is there.
    fn is_hopeless(&self) -> bool;

    /// Goes on to the next stage where it is time; true when the run is over.
    fn turn(&mut self, now: u64, stop: bool) -> Result<bool, Error> {
        let Course { stage, line, .. } = self.course();
        if *stage == Stage::WarmUp && (now >= line.open_ns || stop) {
            self.open(now);
        }
        let Course { stage, line, timeout_ns, cut_short, counted, .. } = self.course();
        match *stage {
            Stage::WarmUp => {}
            Stage::Window if stop => {
                *cut_short = true;
                self.close(now, now + HURRY_NS);
            }
            Stage::Window if now >= line.close_ns => {
                let until_ns = line.close_ns.saturating_add(*timeout_ns);
                self.close(now, until_ns);
            }
            Stage::Window if *counted => return self.turn_by_requests(now),
            Stage::Window | Stage::Drain { .. } => {}
        }
        match self.course().stage {
            Stage::Drain { until_ns } => Ok(now >= until_ns || self.is_drained(now)),
            _ => Ok(self.is_hopeless()),
        }
    }

    /// A window that ends with a number of requests.
    fn turn_by_requests(&mut self, now: u64) -> Result<bool, Error> {
        self.reach(now)?;
        if let Some(over_ns) = self.over_ns(now) {
            self.close(over_ns, now);
            return Ok(true);
        }
        let waiting = self.is_waiting();
        let Course { timeout_ns, waiting_since_ns, gave_up, .. } = self.course();
        let patience = timeout_ns.saturating_mul(u64::from(PATIENCE));
        if waiting && now.saturating_sub(*waiting_since_ns) > patience {
            *gave_up = true;
            self.close(now, now);
            return Ok(true);
        }
        Ok(self.is_hopeless())
    }
}
