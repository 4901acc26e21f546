//! One thread of the generator where the target takes datagrams (UDP, Unix): sockets on epoll, requests from the same source, results
//! into the same recorder as those of streams. Not here: streams (see `engine`), what is said (see `service::datagram`).
//!
//! What differs from a stream is what can become of a request. It may be lost, and nobody says so: an answer that is awaited for
//! longer than the timeout frees its place, so that a closed loop goes on. The request itself is remembered, and counts as unanswered
//! only when the run ends without an answer; one that comes late is recorded with its true latency. Answers may come twice, in
//! another order, cut, or to the wrong socket; each carries the number of its request, where there is room, and is counted apart.
//!
//! - A closed loop has `--pipeline` requests out on each socket; an open loop as many as the schedule wants, since a datagram needs
//!   nobody's leave. Without a tag it is one, in both: an answer could not be told from another's.
//! - Requests that begin together are sent with one call for each socket, and what has come is read with one (sendmmsg(2),
//!   recvmmsg(2)).
//! - A socket that meets a refusal (ICMP; a Unix server that is gone) rests for a while that doubles, as a connect does.

mod after;
mod events;
mod fit;
mod lost;
mod places;
mod refused;
mod socket;
mod speaker;
mod stages;

use crate::Error;
use crate::config::Config;
use crate::engine::{
    Course, LONGEST_WAIT_NS, Meter, Queue, Runner, SPIN_NS, Source, Stage, Timeline, Waiting,
    connection_number, first_think_ns, lag_ns,
};
use crate::recorder::Recorder;
use crate::tally::Tally;
use crate::tap::{Entry, Outcome, Tap};
pub(crate) use after::look as look_after;
pub(crate) use fit::problem;
use lost::GivenUp;
use socket::{MOST_PLACES, Request, Socket};
use speaker::Speaker;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::clock::monotonic_ns as clock;
use sys::datagram::{Burst, Segments};
use sys::epoll::Epoll;
use sys::{Event, Poller as _};

/// Most datagrams of one call, and most bytes of the buffers for them.
const BATCH: usize = 64;
const BUFFERS: usize = 1 << 20;

/// Receive buffers that all sockets of a thread share, in bytes as the kernel counts (it adds some 700 to each small datagram), where
/// several answers may lie in one: what does not fit is lost, and the loss would be the generator's.
const RECEIVE_BUFFERS: usize = 16 << 20;

/// Receive buffer of one socket at most, and what is asked for at the least.
const LARGE_BUFFER: usize = 4 << 20;
const SMALL_BUFFER: usize = 256 << 10;

/// One thread's part of a run.
pub(crate) struct Engine<'a> {
    config: &'a Config,
    index: u32,
    course: Course,
    /// Requests out at a time on a socket.
    depth: usize,
    /// Answers say which request they are for.
    tagged: bool,
    sockets: Vec<Socket>,
    /// Sockets that can take a request, the one that has been able for longest in front.
    idle: VecDeque<u32>,
    /// Sockets with something to send.
    dirty: Vec<u32>,
    /// Requests that are due and have no socket.
    queue: Queue,
    /// When a socket that rests is to go on.
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    given_up: GivenUp,
    next_sweep_ns: u64,
    epoll: Epoll,
    events: Vec<Event>,
    burst: Burst,
    messages: Vec<Vec<u8>>,
    source: Source,
    recorder: Recorder,
    meter: Meter,
    /// Requests of the window that are out, without those that were given up.
    open: u64,
    sockets_open: u64,
    peak: u64,
    ever_answered: bool,
    refusals: u64,
    /// Sockets made so far.
    dialled: u64,
    dial_errors: Tally,
    /// Somebody has waited for an answer and none has come; some were given up since then.
    silent: bool,
    last_heard_ns: u64,
}

impl<'a> Engine<'a> {
    /// Thread `index` of a run.
    ///
    /// # Errors
    /// [`Error::Setup`] without an epoll instance, [`Error::Usage`] for a service that needs a stream.
    pub(crate) fn new(config: &'a Config, index: u32) -> Result<Self, Error> {
        let (threads, connections) = (config.threads, config.connections);
        let count = connections / threads + u32::from(index < connections % threads);
        let line = Timeline::new(config, 0);
        let source = Source::new(config, line, index);
        let tagged = speaker::is_tagged(config);
        let alone = !tagged || !config.aborts.is_empty() || config.requests_per_connection.is_some();
        let depth = match source.is_open() {
            _ if alone => 1,
            true => MOST_PLACES,
            false => (config.pipeline as usize).min(MOST_PLACES),
        };
        let sockets = (0..count).map(|i| {
            // The numbers of a run's sockets are far below 2^32; a tag has room for no more.
            let number = u32::try_from(connection_number(config, index, i)).ok()?;
            let speaker = Speaker::new(config, number);
            Some(Socket::new(i, speaker?, depth.min(BATCH)))
        });
        let sockets: Option<Vec<_>> = sockets.collect();
        let room = speaker::room(config);
        let batch = depth.saturating_add(1).min(BATCH).min(BUFFERS / room).max(2);
        Ok(Self {
            config,
            index,
            course: Course::new(config, line),
            depth,
            tagged,
            sockets: sockets.ok_or_else(|| Error::Usage("this service needs a stream".to_owned()))?,
            idle: VecDeque::with_capacity(count as usize),
            dirty: Vec::with_capacity(count as usize),
            queue: Queue::new(),
            timers: BinaryHeap::with_capacity(count as usize),
            given_up: GivenUp::default(),
            next_sweep_ns: 0,
            epoll: Epoll::new().map_err(Error::Setup)?,
            events: Vec::with_capacity(256),
            burst: Burst::new(batch, room, if config.gso { Segments::Joined } else { Segments::Single }),
            messages: vec![Vec::with_capacity(room); batch],
            source,
            recorder: Recorder::new(config.stop)?,
            meter: Meter::default(),
            open: 0,
            sockets_open: 0,
            peak: 0,
            ever_answered: false,
            refusals: 0,
            dialled: 0,
            dial_errors: Tally::new(),
            silent: false,
            last_heard_ns: 0,
        })
    }

    /// What the thread passes on while it runs.
    pub(crate) fn tap(&mut self, tap: Tap) {
        self.recorder.tap = tap;
    }

    /// Opens all sockets. That one could be opened says nothing of a UDP server, and that a Unix server is there.
    pub(crate) fn open_all(&mut self) {
        let now = clock();
        for i in 0..self.sockets.len() {
            self.open_socket(i, now);
        }
    }

    /// True once there is a socket.
    pub(crate) fn has_sockets(&self) -> bool {
        self.peak > 0
    }

    /// Runs warm-up, window and end along `line`.
    ///
    /// # Errors
    /// [`Error::Setup`] when the poller fails, which it does not.
    pub(crate) fn run(mut self, line: Timeline, stop: &AtomicBool) -> Result<crate::engine::Harvest, Error> {
        self.course.line = line;
        self.source = Source::new(self.config, line, self.index);
        self.begin_apart();
        loop {
            let now = clock();
            self.sweep(now);
            self.wake(now);
            self.pump(now);
            if self.turn(now, stop.load(Relaxed))? {
                return Ok(self.harvest(now));
            }
            self.wait(now)?;
            let events = std::mem::take(&mut self.events);
            for event in &events {
                let now = self.on_event(event);
                self.pump(now);
            }
            self.events = events;
        }
    }

    /// All sockets are free from the start on; those that think begin at their own times.
    fn begin_apart(&mut self) {
        for i in 0..self.sockets.len() {
            self.sockets[i].free_since_ns = self.course.line.start_ns;
            if self.config.think.is_some() {
                let number = connection_number(self.config, self.index, i as u32);
                self.pause(i, self.course.line.start_ns + first_think_ns(self.config, number));
            }
        }
    }

    /// Waits for events, or until something is due.
    fn wait(&mut self, now: u64) -> Result<(), Error> {
        let mut until = now + LONGEST_WAIT_NS;
        if let Some(Reverse((at, _))) = self.timers.peek() {
            // Only what belongs to the load is worth the polling.
            until = until.min(at.saturating_sub(if self.config.think.is_some() { SPIN_NS } else { 0 }));
        }
        if self.open > 0 || self.course.stage == Stage::WarmUp {
            until = until.min(self.next_sweep_ns);
        }
        until = until.min(self.ends_ns(now));
        if let Some(due) = self.source.next_due() {
            until = until.min(due.saturating_sub(SPIN_NS));
        }
        let before = clock();
        if !self.idle.is_empty() && (!self.queue.is_empty() || self.source.has_more(now)) {
            until = before;
        }
        let timeout = Duration::from_nanos(until.saturating_sub(before));
        self.epoll.wait(&mut self.events, Some(timeout)).map_err(Error::Setup)?;
        self.meter.waited_ns += clock() - before;
        Ok(())
    }

    /// Lets every request begin that is due and has a place, and sends what has begun.
    fn pump(&mut self, now: u64) {
        if self.queue.fill(&mut self.source, &mut self.recorder, now) && self.open == 0 && !self.silent {
            self.course.waiting_since_ns = now;
        }
        // At most once round: a server that answers at once must not keep the thread here.
        let mut left = self.sockets.len().saturating_mul(self.depth);
        while left > 0
            && let Some(&i) = self.idle.front()
        {
            let socket = &mut self.sockets[i as usize];
            if socket.resting || socket.fd.is_none() {
                socket.offered = false;
                self.idle.pop_front();
                continue;
            }
            let Some(waiting) = self.queue.next(&mut self.source, &mut self.recorder, now) else { break };
            self.idle.pop_front();
            self.sockets[i as usize].offered = false;
            self.begin(i as usize, waiting, now);
            left -= 1;
        }
        self.flush_all();
    }

    /// A request gets a place.
    fn begin(&mut self, i: usize, waiting: Waiting, now: u64) {
        let Waiting { arrival, turned_ns } = waiting;
        let abort = self.config.aborts.choose(self.config.ask.seed, arrival.k);
        if arrival.counted {
            if self.course.stage == Stage::WarmUp {
                self.open(now);
            }
            if self.open == 0 && !self.silent {
                self.course.waiting_since_ns = self.course.waiting_since_ns.max(turned_ns);
            }
            self.open += 1;
            self.recorder.requests.sent += 1;
            self.recorder.aborts_planned += u64::from(abort.is_some());
            if self.source.is_open() {
                let lag = lag_ns(arrival.due_ns, turned_ns, self.sockets[i].free_since_ns, now);
                self.recorder.lag.add(lag);
            }
        }
        // A sweep that has nothing to wait for is far off.
        self.next_sweep_ns = self.next_sweep_ns.min(now.saturating_add(self.course.timeout_ns));
        let socket = &mut self.sockets[i];
        socket.stage(Request { arrival, begun_ns: now, abort });
        if !socket.dirty {
            socket.dirty = true;
            self.dirty.push(i as u32);
        }
        if socket.staged.len() >= BATCH {
            self.flush(i);
        }
        self.offer(i, now);
    }

    fn flush_all(&mut self) {
        while let Some(i) = self.dirty.pop() {
            self.sockets[i as usize].dirty = false;
            self.flush(i as usize);
        }
    }

    /// Puts the socket among those that can take a request, where it can.
    fn offer(&mut self, i: usize, now: u64) {
        let socket = &mut self.sockets[i];
        let spent = socket.ended + socket.busy as u64 >= socket.limit;
        if spent && socket.busy == 0 {
            return self.renew(i, now);
        }
        let usable = socket.fd.is_some() && !socket.resting && socket.busy < self.depth && !spent;
        if usable && !socket.offered {
            socket.offered = true;
            socket.free_since_ns = now;
            self.idle.push_back(socket.index);
        }
    }

    /// Logs how a request of the window ended, where a log is kept.
    fn log(&mut self, i: usize, request: &Request, outcome: Outcome, now: u64) {
        let socket = &self.sockets[i];
        let Request { arrival, begun_ns, .. } = *request;
        self.recorder.tap.ended(Entry {
            k: arrival.k,
            due_ns: arrival.due_ns,
            begun_ns,
            first_ns: if outcome == Outcome::Completed { now } else { 0 },
            done_ns: now,
            connection: self.index + socket.index * self.config.threads,
            generation: socket.generation,
            outcome,
        });
    }
}
