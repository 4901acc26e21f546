//! Where requests come from: the closed loop's next one, or the schedule's. Not here: which connection carries them.
//!
//! The warm-up and the window have a schedule each, so that arrival `k` of the window does not depend on the warm-up's length.

use crate::config::{Config, Pacing, Stop};
use crate::schedule::Schedule;
use crate::targets::Part;

/// Keeps the warm-up's random arrivals apart from those of the window.
const WARM_UP_STREAM: u64 = 0x7761_726d;

/// The clock at the corners of a run, CLOCK_MONOTONIC in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    /// The warm-up begins.
    pub(crate) start_ns: u64,
    /// The window opens.
    pub(crate) open_ns: u64,
    /// The window closes; `u64::MAX` while that is not known.
    pub(crate) close_ns: u64,
}

impl Timeline {
    pub(crate) fn new(config: &Config, start_ns: u64) -> Self {
        let open_ns = start_ns.saturating_add(crate::config::nanoseconds(config.warm_up));
        let close_ns = match config.stop {
            Stop::After(time) => open_ns.saturating_add(crate::config::nanoseconds(time)),
            Stop::Requests(_) => u64::MAX,
        };
        Self { start_ns, open_ns, close_ns }
    }
}

/// A request that wants to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Its number in its part of the run.
    pub(crate) k: u64,
    /// When it is to begin.
    pub(crate) due_ns: u64,
    /// It belongs to the window.
    pub(crate) counted: bool,
}

/// The requests of one thread.
#[derive(Debug)]
pub(crate) struct Source {
    line: Timeline,
    /// Requests of the window that may still begin.
    left: u64,
    kind: SourceKind,
}

#[derive(Debug)]
enum SourceKind {
    /// Numbers `next`, `next + step` …, apart for the warm-up and the window.
    Closed {
        next: [u64; 2],
        step: u64,
    },
    Open {
        warm_up: Box<Own>,
        window: Box<Own>,
        peeked: Option<Arrival>,
    },
}

/// The arrivals of a schedule that are this thread's.
#[derive(Debug)]
struct Own {
    schedule: Schedule,
    /// One of several targets: those of its arrivals that come round to this thread, up to a number.
    part: Option<OwnPart>,
}

#[derive(Debug)]
struct OwnPart {
    part: Part,
    seed: u64,
    /// Arrivals of the target so far; every `of`th, from `index` on, is the thread's.
    seen: u64,
    index: u64,
    of: u64,
    /// Arrivals of all targets.
    end: u64,
}

impl Own {
    fn next(&mut self) -> Option<(u64, u64)> {
        let Some(own) = &mut self.part else { return self.schedule.next() };
        loop {
            let (k, at) = self.schedule.next()?;
            if k >= own.end {
                return None;
            }
            if own.part.takes(own.seed, k) {
                own.seen += 1;
                if (own.seen - 1) % own.of == own.index {
                    return Some((k, at));
                }
            }
        }
    }
}

impl Source {
    pub(crate) fn new(config: &Config, line: Timeline, index: u32) -> Self {
        let (first, step) = config.share_of_thread(index);
        let left = match config.stop {
            Stop::After(_) => u64::MAX,
            // Of several targets, the schedule's end says it.
            Stop::Requests(_) if config.part.is_some() && config.pacing != Pacing::Closed => u64::MAX,
            Stop::Requests(n) => (n + step - 1).saturating_sub(first) / step,
        };
        let kind = match config.pacing {
            // The numbers of several targets interleave.
            Pacing::Closed => match &config.part {
                Some(Part { index, of, .. }) => {
                    let (index, of) = (*index as u64, *of as u64);
                    SourceKind::Closed { next: [index + of * first; 2], step: of * step }
                }
                None => SourceKind::Closed { next: [first; 2], step },
            },
            Pacing::Open { rate_per_s, arrivals } => {
                let seed = config.ask.seed;
                let (steady, warm_rate) = config.profile.warm_up(rate_per_s);
                let threads = u64::from(config.threads.max(1));
                let part = |end| {
                    let part = config.part.clone();
                    part.map(|part| OwnPart {
                        part,
                        seed,
                        seen: 0,
                        index: u64::from(index),
                        of: threads,
                        end,
                    })
                };
                // Which arrivals are a target's is found out by going through all of them.
                let turn = if config.part.is_some() { config.whole_share() } else { (first, step) };
                let along = |profile, rate, seed, end| {
                    let schedule = Schedule::along(profile, arrivals, rate, seed, turn);
                    Box::new(Own { schedule, part: part(end) })
                };
                let end = match config.stop {
                    Stop::Requests(n) => n,
                    Stop::After(_) => u64::MAX,
                };
                SourceKind::Open {
                    warm_up: along(&steady, warm_rate, seed ^ WARM_UP_STREAM, u64::MAX),
                    window: along(&config.profile, rate_per_s, seed, end),
                    peeked: None,
                }
            }
        };
        let mut source = Self { line, left, kind };
        source.peek();
        source
    }

    /// Fills `peeked`, where there is a schedule and it goes on.
    fn peek(&mut self) {
        let SourceKind::Open { warm_up, window, peeked } = &mut self.kind else { return };
        let was_counted = peeked.take().is_some_and(|last| last.counted);
        if !was_counted
            && let Some((k, at)) = warm_up.next()
            && self.line.start_ns.saturating_add(at) < self.line.open_ns
        {
            *peeked = Some(Arrival { k, due_ns: self.line.start_ns.saturating_add(at), counted: false });
            return;
        }
        if self.left > 0
            && let Some((k, at)) = window.next()
            && self.line.open_ns.saturating_add(at) < self.line.close_ns
        {
            self.left -= 1;
            *peeked = Some(Arrival { k, due_ns: self.line.open_ns.saturating_add(at), counted: true });
        }
    }

    /// The next arrival of the schedule that is due by `now`. Nothing in a closed loop.
    pub(crate) fn due(&mut self, now: u64) -> Option<Arrival> {
        let SourceKind::Open { peeked, .. } = &mut self.kind else { return None };
        let arrival = peeked.filter(|arrival| arrival.due_ns <= now)?;
        self.peek();
        Some(arrival)
    }

    /// The request that a free connection makes in a closed loop. Nothing where there is a schedule.
    pub(crate) fn on_free(&mut self, now: u64) -> Option<Arrival> {
        if !self.has_more(now) {
            return None;
        }
        let counted = now >= self.line.open_ns;
        let SourceKind::Closed { next, step } = &mut self.kind else { return None };
        let next = &mut next[usize::from(counted)];
        let k = *next;
        *next += *step;
        if counted {
            self.left -= 1;
        }
        Some(Arrival { k, due_ns: now, counted })
    }

    /// When the next arrival of the schedule is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        match &self.kind {
            SourceKind::Closed { .. } => None,
            SourceKind::Open { peeked, .. } => peeked.map(|arrival| arrival.due_ns),
        }
    }

    /// True where a free connection could begin a request at once.
    pub(crate) fn has_more(&self, now: u64) -> bool {
        let counted = now >= self.line.open_ns;
        let running = now >= self.line.start_ns && now < self.line.close_ns;
        !self.is_open() && running && (!counted || self.left > 0)
    }

    /// True for a schedule.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.kind, SourceKind::Open { .. })
    }

    /// True when no request of the window is to come any more.
    pub(crate) fn is_exhausted(&self, now: u64) -> bool {
        match &self.kind {
            SourceKind::Closed { .. } => self.left == 0 || now >= self.line.close_ns,
            SourceKind::Open { peeked, .. } => peeked.is_none(),
        }
    }

    /// Nothing begins from `now` on.
    pub(crate) fn stop(&mut self, now: u64) {
        self.left = 0;
        self.line.close_ns = self.line.close_ns.min(now);
        if let SourceKind::Open { peeked, .. } = &mut self.kind {
            *peeked = None;
        }
    }
}
