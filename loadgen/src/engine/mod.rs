//! One thread of the generator: connections on epoll or io_uring, requests from a source, results into a recorder. Not here: threads, files.
//!
//! The loop is one for every combination: the [`source`] says when a request wants to begin, a free [`slot`] carries it, the
//! client of the service makes and checks the bytes. A request costs one send and one receive; the poller is told about a
//! connection when it is made, and again only when a send did not take everything.
//!
//! What a request goes through:
//! - it waits in the queue (open loop, no connection free), first come, first served;
//! - it takes the connection that has been free longest, so that the load spreads over all of them;
//! - it connects, where the slot has no connection; its latency goes on counting;
//! - it ends with its reply, an error or its planned abort. **No time-out ends it**: a reply that comes late is recorded with
//!   its true latency, and a connection that stays silent stays occupied, as it would for a client that waits. What is still
//!   out when the end has waited for `timeout` is counted as unanswered, with its age.

mod after;
mod begin;
mod course;
mod crowd;
mod dial;
mod events;
mod idlers;
mod leave;
mod lines;
mod linger;
mod meter;
mod queue;
mod slot;
mod source;
mod stages;
mod uring;

pub(crate) use after::{Sight, insist, look as look_after};
pub(crate) use begin::{first_think_ns, lag_ns, think_ns};
pub(crate) use course::{Course, PATIENCE, Runner, Stage};
pub(crate) use crowd::Crowd;
pub(crate) use dial::rest_ns;
pub(crate) use idlers::IdlersSeen;
pub(crate) use meter::Meter;
pub(crate) use queue::{Queue, Waiting};
pub(crate) use source::{Arrival, Source, Timeline};

use crate::config::{Config, Mechanism};
use crate::recorder::Recorder;
use crate::sources::Sources;
use crate::tally::Tally;
use crate::tap::Tap;
use crate::{Error, limits};
use idlers::Idlers;
use lines::Lines;
use slot::{Slot, State};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::Event;
use sys::clock::monotonic_ns as clock;
use sys::epoll::Epoll;

/// Bytes read at a time. A loopback segment is at most 64 KiB.
const BUFFER: usize = 64 * 1024;

/// Longest wait for events, so that an interrupt is noticed.
pub(crate) const LONGEST_WAIT_NS: u64 = 50_000_000;

/// The last stretch before an arrival is due, in which the thread polls instead of sleeping.
///
/// The kernel wakes a thread that sleeps late: on the virtual machine where this was measured (Linux 6.18, timer slack 1 us,
/// 2000 requests/s) the median lag was 41 us with plain timeouts, 13 us with 20 us of polling and 0.1 us with 60 us. The price is
/// that share of the generator's own processor, 60 us for each arrival and never more than all of it above 16,000 a second.
pub(crate) const SPIN_NS: u64 = 60_000;

/// One thread's part of a run.
pub(crate) struct Engine<'a> {
    config: &'a Config,
    index: u32,
    course: Course,
    /// Bytes asked for where a reply must be more than buffers can hold; for echo, which sends as much as it gets, less.
    large: u64,
    slots: Vec<Slot>,
    /// Free slots, the one that has been free longest in front.
    idle: VecDeque<u32>,
    /// Requests that are due and have no connection.
    queue: Queue,
    /// When to look at a slot again, by its key.
    timers: BinaryHeap<Reverse<(u64, u64)>>,
    epoll: Epoll,
    events: Vec<Event>,
    /// Connections on io_uring, where that was asked for.
    lines: Option<Lines>,
    buffer: Box<[u8]>,
    source: Source,
    recorder: Recorder,
    meter: Meter,
    /// Requests of the window that are out.
    outstanding: u64,
    /// Connections that live, and the most that did.
    live: u64,
    peak: u64,
    ever_connected: bool,
    refusals: u64,
    /// Connects tried, by which the source address is chosen, where there are several.
    dialled: u64,
    sources: Option<Sources>,
    idlers: Idlers,
    dial_errors: Tally,
    /// Sockets of clients that vanished, kept until the run is over, and how many there is room for.
    vanished: Vec<OwnedFd>,
    vanish_room: usize,
    /// Places that have no connection any more, and that none had when the window closed.
    gone: usize,
    ran_out: bool,
    /// Connections are made before the run.
    ahead: bool,
    /// Between two connects, and when the next one may begin; 0 for no limit.
    connect_gap_ns: u64,
    next_connect_ns: u64,
}

/// What one thread leaves behind.
pub(crate) struct Harvest {
    pub(crate) recorder: Recorder,
    pub(crate) meter: Meter,
    /// When the window opened and closed for this thread.
    pub(crate) open_ns: u64,
    pub(crate) close_ns: u64,
    pub(crate) peak: u64,
    pub(crate) ever_connected: bool,
    /// Errors of connects that no request waited for.
    pub(crate) dial_errors: Tally,
    /// The run was interrupted.
    pub(crate) cut_short: bool,
    /// No reply came for so long that the run was ended.
    pub(crate) gave_up: bool,
    /// Sockets of clients that vanished.
    pub(crate) vanished: Vec<OwnedFd>,
    pub(crate) idlers: IdlersSeen,
    /// Its connections had all ended, and were not to be replaced.
    pub(crate) ran_out: bool,
}

/// The places for the connections of one thread.
pub(crate) struct Places(Vec<Slot>);

impl Places {
    /// Those of thread `index` of a run. Best made on the first thread of the process: the memory of any other grows by a system call for
    /// each few pages (malloc(3), arenas), which takes longer than all else here.
    pub(crate) fn new(config: &Config, index: u32) -> Self {
        let (threads, connections) = (config.threads, config.connections);
        let count = connections / threads + u32::from(index < connections % threads);
        let mut ask = config.ask.clone();
        ask.close |= config.one_request_each();
        // Connections are numbered through the whole run: a reply that went to the wrong one shows in its content.
        let client = config.clients(ask);
        let client = |i: u32| client(connection_number(config, index, i));
        Self((0..count).map(|i| Slot::new(i, client(i), config.pipeline as usize)).collect())
    }
}

impl<'a> Engine<'a> {
    /// Thread `index` of a run, to be made there: a ring belongs to the thread that makes it.
    ///
    /// # Errors
    /// [`Error::Setup`] without an epoll instance, or without the ring that was asked for.
    pub(crate) fn new(config: &'a Config, index: u32, Places(slots): Places) -> Result<Self, Error> {
        let count = slots.len();
        // The connects of all threads and shards take turns.
        let gap =
            |turns: u64| config.life.connect_rate_per_s.map_or(0, |rate| (turns as f64 * 1e9 / rate) as u64);
        let line = Timeline::new(config, 0);
        let large = if config.aborts.is_empty() { 0 } else { limits::large_request(config) };
        Ok(Self {
            config,
            index,
            course: Course::new(config, line),
            large,
            idle: slots.iter().map(|slot| slot.index).collect(),
            slots,
            queue: Queue::new(),
            timers: BinaryHeap::with_capacity(2 * count),
            epoll: Epoll::new().map_err(Error::Setup)?,
            events: Vec::with_capacity(256),
            lines: match config.engine {
                Mechanism::Epoll => None,
                Mechanism::Uring => Some(Lines::new(count).map_err(Error::Setup)?),
            },
            buffer: vec![0; BUFFER].into_boxed_slice(),
            source: Source::new(config, line, index),
            recorder: Recorder::new(config.stop)?,
            meter: Meter::default(),
            outstanding: 0,
            live: 0,
            peak: 0,
            ever_connected: false,
            refusals: 0,
            dialled: 0,
            sources: config.sources(),
            idlers: Idlers::new(
                (config.idle / config.threads + u32::from(index < config.idle % config.threads)) as usize,
            ),
            dial_errors: Tally::new(),
            vanished: Vec::new(),
            vanish_room: limits::room_for_the_vanished(config),
            gone: 0,
            ran_out: false,
            ahead: false,
            connect_gap_ns: gap(config.share_of_thread(0).1),
            next_connect_ns: clock() + gap(config.share_of_thread(index).0),
        })
    }

    /// What the thread passes on while it runs.
    pub(crate) fn tap(&mut self, tap: Tap) {
        self.recorder.tap = tap;
    }

    /// Runs warm-up, window and end along `line`.
    ///
    /// # Errors
    /// [`Error::Setup`] when the poller fails, which it does not.
    pub(crate) fn run(mut self, line: Timeline, stop: &AtomicBool) -> Result<Harvest, Error> {
        self.course.line = line;
        self.source = Source::new(self.config, line, self.index);
        for slot in &mut self.slots {
            slot.free_since_ns = line.start_ns;
        }
        self.spread_thinkers();
        loop {
            let now = clock();
            self.expire(now);
            self.pump(now);
            if self.turn(now, stop.load(Relaxed))? {
                return Ok(self.harvest(now));
            }
            self.wait(now)?;
            self.act(true)?;
        }
    }

    /// Waits for events, or until something is due.
    fn wait(&mut self, now: u64) -> Result<(), Error> {
        let mut until = now + LONGEST_WAIT_NS;
        if let Some(Reverse((at, _))) = self.timers.peek() {
            // Only what belongs to the load is worth the polling: see SPIN_NS.
            let exact = self.config.think.is_some() || self.connect_gap_ns > 0;
            let early_ns = if exact { SPIN_NS } else { 0 };
            until = until.min(at.saturating_sub(early_ns));
        }
        until = until.min(self.course.ends_ns(now));
        if let Some(due) = self.source.next_due() {
            until = until.min(due.saturating_sub(SPIN_NS));
        }
        let before = clock();
        if !self.idle.is_empty() && (!self.queue.is_empty() || self.source.has_more(now)) {
            until = before;
        }
        let timeout = Duration::from_nanos(until.saturating_sub(before));
        self.await_events(timeout)?;
        self.meter.waited_ns += clock() - before;
        Ok(())
    }

    /// Lets the connection of a slot go.
    fn disconnect(&mut self, i: usize) {
        let slot = &mut self.slots[i];
        let lived = slot.fd.is_some() && slot.state != State::Dialling;
        if let (Some(lines), Some(line)) = (&mut self.lines, slot.line.take()) {
            lines.let_go(line, slot.fd.take());
        }
        slot.disconnect();
        if lived {
            self.live -= 1;
            self.recorder.intervals.living(clock(), self.live);
        }
    }

    /// The slot can carry the next request.
    fn free(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        slot.state = if slot.request.is_some() { State::Busy } else { State::Free };
        if slot.think_ns > 0 && slot.state == State::Free {
            slot.thinks_until_ns = now + std::mem::take(&mut slot.think_ns);
        }
        if self.slots[i].state == State::Busy || self.follow(i, now) {
            self.offer(i, now);
        }
    }

    /// Puts the slot among those that can take a request, where it can.
    fn offer(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        let out = slot.in_flight();
        let spent = slot.fd.is_some()
            && (now >= slot.ends_ns || slot.limit.is_some_and(|limit| slot.replies + out as u64 >= limit));
        if slot.usable() && !spent && out < self.config.pipeline as usize && !slot.offered {
            if slot.thinks_until_ns > now {
                let at_ns = slot.thinks_until_ns;
                return self.set_timer(i, at_ns);
            }
            slot.offered = true;
            slot.free_since_ns = now;
            self.idle.push_back(slot.index);
        }
    }

    /// Acts on what the clock has reached.
    fn expire(&mut self, now: u64) {
        while let Some(&Reverse((at, key))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(i) = self.slot_of(key) else { continue };
            match self.slots[i].state {
                State::Resting => self.wake(i, now),
                State::Leaving => self.check_left(i, now),
                State::Busy => self.give_up_sending(i, now),
                State::Ending => self.give_up_hearing(i, now),
                State::Dialling => self.knock_again(i, now),
                State::Free if now >= self.slots[i].ends_ns => self.retire(i, now),
                State::Free => self.offer(i, now),
                State::Gone => {}
            }
        }
    }

    /// Users who think do not all begin at once: the first request of each comes within its first think time.
    fn spread_thinkers(&mut self) {
        if self.config.think.is_none() {
            return;
        }
        self.idle.clear();
        for i in 0..self.slots.len() {
            let number = connection_number(self.config, self.index, self.slots[i].index);
            let wait_ns = first_think_ns(self.config, number);
            let slot = &mut self.slots[i];
            slot.offered = false;
            slot.thinks_until_ns = self.course.line.start_ns + wait_ns;
            self.offer(i, self.course.line.start_ns);
        }
    }

    fn set_timer(&mut self, i: usize, at_ns: u64) {
        self.timers.push(Reverse((at_ns, self.slots[i].key())));
    }

    /// The slot whose connection has this key; `None` when that connection is gone.
    fn slot_of(&self, key: u64) -> Option<usize> {
        let i = (key & u64::from(u32::MAX)) as usize;
        self.slots.get(i).filter(|slot| slot.key() == key).map(|_| i)
    }
}

/// The number of a place for connections in the whole run, over all threads and shards.
pub(crate) fn connection_number(config: &Config, thread: u32, slot: u32) -> u64 {
    let (first, step) = config.share_of_thread(thread);
    let before = config.part.as_ref().map_or(0, |part| part.connections_before);
    first + u64::from(slot) * step + u64::from(config.shard.of.max(1)) * u64::from(before)
}
