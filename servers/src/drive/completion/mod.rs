//! A single-threaded loop over io_uring: accepts, serves, drains, by completions. Not here: what happens on a connection (`link`),
//! what is said (`talk`), and the ring (`sys::uring`).

mod accept;
mod link;
mod own;
mod send;
mod talk;
mod workers;

use super::idle::Sweep;
use super::limit::{Limit, Ticket};
use crate::counters::{self, Why};
use crate::endpoint::{Endpoint, Options};
use link::{Keys, Link, Shared, What};
use service::Service;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::bell::Bell;
use sys::signal::{Received, Signals};
use sys::socket;
use sys::uring::{Completion, OpId, Ring};
pub use workers::run_shared;

/// Bytes of a receive buffer.
const CHUNK: u32 = 16 * 1024;

/// Submissions that can wait for the next turn; completions have room for sixteen times as many.
const ENTRIES: u32 = 1024;

/// Keys of operations that belong to no connection; the two highest bits are set in these alone.
const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const BACK: u64 = u64::MAX - 2;
const GRACE: u64 = u64::MAX - 3;
const ROOM: u64 = u64::MAX - 4;
const IDLE: u64 = u64::MAX - 5;

/// Connections accepted at a time where their number is limited.
const ACCEPT_BATCH: usize = 64;

/// How connections are received and received from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// An operation for each accept and each receive; every connection has a buffer of its own.
    Once,
    /// One operation for all accepts, and one for all that a connection sends; a ring of buffers for all connections.
    Multi,
}

/// Serves `endpoint` until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of io_uring(7) and accept(2) after which nothing more can be served.
pub fn run<S: Service>(service: S, endpoint: Endpoint, receive: Receive) -> io::Result<()> {
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let mut server = Server::new(service, listener, options, None, receive)?;
    options.counters.workers(1);
    options.counters.enter(0);
    crate::endpoint::announce(&url);
    server.serve(&Stop::Signals(&signals))
}

/// Where the order to stop comes from.
enum Stop<'a> {
    Signals(&'a Signals),
    Bell(&'a Bell),
}

impl Stop<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Signals(signals) => signals.as_fd(),
            Self::Bell(bell) => bell.as_fd(),
        }
    }

    /// Whether it has come, now that the descriptor is readable.
    fn has_come(&self) -> io::Result<bool> {
        let Self::Signals(signals) = self else { return Ok(true) };
        let mut stop = false;
        while let Some(signal) = signals.next()? {
            stop |= signal == Received::Stop;
        }
        Ok(stop)
    }
}

struct Slot<P> {
    link: Link<P>,
    generation: u32,
    /// Last: given back when the descriptor is closed.
    ticket: Ticket,
}

struct Server<S: Service> {
    service: S,
    shared: Shared,
    links: Slab<Slot<S::Conn>>,
    generation: u32,
    listener: Option<OwnedFd>,
    accept: Option<OpId>,
    /// Descriptors ran out: a timer says when to accept again.
    backing_off: bool,
    limit: Limit,
    /// Rings when there is room that other rings have made.
    room: Option<Arc<Bell>>,
    /// As many connections are open as may be: nothing is accepted.
    full: bool,
    sweep: Option<Sweep>,
    /// The timer for it is under way.
    sweeping: bool,
    grace: Duration,
    /// The grace is over.
    expired: bool,
}

impl<S: Service> Server<S> {
    /// Makes the ring: in the thread that serves.
    fn new(
        service: S,
        listener: OwnedFd,
        options: Options,
        room: Option<Arc<Bell>>,
        receive: Receive,
    ) -> io::Result<Self> {
        if options.limit.on() {
            socket::set_nonblocking(listener.as_fd())?;
        }
        let mut ring = Ring::new(ENTRIES)?;
        if receive == Receive::Multi {
            ring.provide(options.buffers, CHUNK)?;
        }
        let shared = Shared {
            ring,
            receive,
            starved: VecDeque::new(),
            spares: Vec::new(),
            large: Vec::new(),
            stopping: false,
            now: Instant::now(),
        };
        Ok(Self {
            service,
            shared,
            links: Slab::new(),
            generation: 0,
            listener: Some(listener),
            accept: None,
            backing_off: false,
            limit: options.limit,
            room,
            full: false,
            sweep: Sweep::new(options.idle),
            sweeping: false,
            grace: options.grace,
            expired: false,
        })
    }

    fn serve(&mut self, stop: &Stop<'_>) -> io::Result<()> {
        self.shared.ring.poll_readable(stop.fd(), STOP)?;
        self.watch_room()?;
        self.start_accept()?;
        while !self.is_done() {
            // Those who still wait for a buffer that is there get it in the next turn, and that is not to be slept through.
            let block = self.shared.starved.is_empty() || self.shared.ring.available() == 0;
            self.shared.ring.wait(block)?;
            counters::woken(true);
            if self.sweep.is_some() {
                self.shared.now = Instant::now();
            }
            while let Some(done) = self.shared.ring.completed() {
                match done.key {
                    LISTENER => self.on_accept(done)?,
                    STOP => self.on_stop(stop)?,
                    BACK => {
                        self.backing_off = false;
                        self.start_accept()?;
                    }
                    GRACE => self.expired = true,
                    ROOM => self.watch_room()?,
                    IDLE => self.sweeping = false,
                    _ => self.on_completion(done)?,
                }
            }
            self.feed()?;
            self.sweep()?;
            if self.full {
                self.start_accept()?;
            }
        }
        // The last closes are in the queue.
        self.shared.ring.submit()
    }

    fn is_done(&self) -> bool {
        self.expired || (self.shared.stopping && self.listener.is_none() && self.links.is_empty())
    }

    /// Closes the connections that have been silent for too long, if it is time to look for them, and sets the timer for the next time.
    fn sweep(&mut self) -> io::Result<()> {
        let Some(sweep) = &mut self.sweep else { return Ok(()) };
        if let Some(mut look) = sweep.begin(self.shared.now) {
            let links = self.links.iter_mut();
            let silent = links.filter_map(|(index, slot)| {
                let waits = slot.link.waits_for_peer();
                look.is_over(&mut slot.link.since, waits, slot.link.fd.as_fd()).then_some(index)
            });
            let silent: Vec<usize> = silent.collect();
            sweep.end(&look);
            for index in silent {
                let link = &mut self.links[index].link;
                link.fate.is(Why::Idle);
                link.close(&mut self.shared)?;
                self.close_if_over(index)?;
            }
        }
        if let Some(next) = self.sweep.as_ref().and_then(Sweep::next)
            && !self.sweeping
        {
            self.sweeping = true;
            self.shared.ring.timeout(next.saturating_duration_since(Instant::now()), IDLE)?;
        }
        Ok(())
    }

    fn open(&mut self, fd: OwnedFd, ticket: Ticket) -> io::Result<()> {
        counters::accepted();
        self.sweep.iter_mut().for_each(|sweep| sweep.opened(self.shared.now));
        // 30 bits: the two above them say which of a connection's operations a key is of, and 3 is none of them.
        self.generation = (self.generation + 1) & 0x3FFF_FFFF;
        let slot = self.links.vacant_entry();
        let index = slot.key();
        let keys = Keys((u64::from(self.generation) << 32) | index as u64);
        slot.insert(Slot {
            link: Link::new(fd, self.service.open(), keys, self.shared.now),
            generation: self.generation,
            ticket,
        });
        let link = &mut self.links[index].link;
        link.go_on(None, &mut self.shared)?;
        self.close_if_over(index)
    }

    fn on_completion(&mut self, done: Completion) -> io::Result<()> {
        let what = match done.key >> 62 {
            0 => What::Receive,
            1 => What::Send,
            _ => What::Timer,
        };
        let Some(index) = self.find(done.key) else { return Ok(()) };
        let link = &mut self.links[index].link;
        link.on_completion(what, done, &mut self.shared)?;
        if self.sweep.is_some() {
            // After it: the time that work took is not the peer's.
            link.since = Instant::now();
        }
        self.close_if_over(index)
    }

    /// The slot that `key` was given for, if that connection is still open.
    fn find(&self, key: u64) -> Option<usize> {
        let (index, generation) = ((key & 0xFFFF_FFFF) as usize, (key >> 32) as u32 & 0x3FFF_FFFF);
        self.links.get(index).filter(|slot| slot.generation == generation).map(|_| index)
    }

    fn close_if_over(&mut self, index: usize) -> io::Result<()> {
        if self.links[index].link.is_over() {
            let mut slot = self.links.remove(index);
            slot.link.fate.while_stopping(self.shared.stopping);
            if self.limit.on() {
                // At once: the ticket goes to another when this is over.
                drop(slot.link.fd);
                drop(slot.ticket);
            } else {
                self.shared.ring.close(slot.link.fd)?;
            }
        }
        Ok(())
    }

    /// As many of those that found no buffer as there are buffers now: more would only end with ENOBUFS again. A buffer goes back when
    /// its bytes were looked at or sent, which is within a turn of this loop; so nobody waits longer than the others' turns take.
    fn feed(&mut self) -> io::Result<()> {
        let mut room = self.shared.ring.available();
        while room > 0
            && let Some(key) = self.shared.starved.pop_front()
        {
            if let Some(index) = self.find(key) {
                self.links[index].link.feed(&mut self.shared)?;
                room -= 1;
            }
        }
        Ok(())
    }

    fn on_stop(&mut self, stop: &Stop<'_>) -> io::Result<()> {
        if self.shared.stopping {
            return Ok(());
        }
        if stop.has_come()? {
            return self.start_drain();
        }
        self.shared.ring.poll_readable(stop.fd(), STOP)?;
        Ok(())
    }

    /// Stops accepting; queued connections are still served, idle ones are ended, the others as they become idle.
    fn start_drain(&mut self) -> io::Result<()> {
        self.shared.stopping = true;
        self.shared.ring.timeout(self.grace, GRACE)?;
        for (_, slot) in &mut self.links {
            slot.link.shut_if_idle();
        }
        match self.accept {
            Some(accept) => self.shared.ring.cancel(accept),
            None => self.end_listener(),
        }
    }
}
