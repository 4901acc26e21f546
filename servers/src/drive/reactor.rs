//! A single-threaded event loop over any level-triggered mechanism: accepts, serves, drains. Not here: what happens on a
//! connection (`conn`), and the mechanism, which is the model's.

use super::BACK_OFF;
use super::conn::{Conn, Io, Next};
use crate::endpoint::Endpoint;
use service::Service;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::signal::{Received, Signals};
use sys::socket::{self, Accepted, Side};
use sys::{Event, Interest, Poller};

const LISTENER: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;

/// Connections accepted on one event before those that are open get their turn.
const ACCEPT_BATCH: usize = 64;

/// Bytes read at a time: the loop's one buffer.
const SCRATCH: usize = 64 * 1024;

/// Serves `endpoint` until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of the mechanism and of accept(2) after which nothing more can be served.
pub fn run<S: Service, P: Poller>(service: S, endpoint: Endpoint, poller: P) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let mut reactor = Reactor {
        service,
        poller,
        connections: Slab::new(),
        generation: 0,
        timers: BinaryHeap::new(),
        accepting: true,
        resume_at: None,
        stop_at: None,
    };
    reactor.poller.add(endpoint.listener.as_fd(), LISTENER, Interest::READ)?;
    reactor.poller.add(signals.as_fd(), SIGNALS, Interest::READ)?;
    endpoint.ready();
    reactor.serve(endpoint, &signals)
}

struct Slot<P> {
    fd: OwnedFd,
    conn: Conn<P>,
    /// Tells this use of the slot from those before: an event of a closed connection may still be in the batch.
    generation: u32,
    interest: Interest,
    wake_at: Option<Instant>,
    /// Shut for reading, to be ended as soon as what was asked is answered.
    shut: bool,
}

struct Reactor<S: Service, P> {
    service: S,
    poller: P,
    connections: Slab<Slot<S::Conn>>,
    generation: u32,
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    /// The listener is watched.
    accepting: bool,
    /// When to watch the listener again after descriptors ran out.
    resume_at: Option<Instant>,
    /// Draining: when to give up on what is left.
    stop_at: Option<Instant>,
}

impl<S: Service, P: Poller> Reactor<S, P> {
    fn serve(&mut self, endpoint: Endpoint, signals: &Signals) -> io::Result<()> {
        let mut listener = Some(endpoint.listener);
        let mut events = Vec::with_capacity(256);
        let mut scratch = vec![0; SCRATCH];
        loop {
            let timeout = self.timeout();
            self.poller.wait(&mut events, timeout)?;
            for &event in &events {
                match event.key {
                    LISTENER => {
                        if let Some(listener) = &listener {
                            self.accept(listener, ACCEPT_BATCH)?;
                        }
                    }
                    SIGNALS => {
                        while let Some(signal) = signals.next()? {
                            if signal == Received::Stop && self.stop_at.is_none() {
                                self.start_drain(listener.take(), endpoint.options.grace)?;
                            }
                        }
                    }
                    key => self.on_event(key, event, &mut scratch),
                }
            }
            let now = Instant::now();
            self.on_time(now);
            if let (Some(at), Some(listener)) = (self.resume_at, &listener)
                && now >= at
            {
                self.resume_at = None;
                self.accepting = true;
                self.poller.modify(listener.as_fd(), LISTENER, Interest::READ)?;
            }
            if self.stop_at.is_some_and(|at| self.connections.is_empty() || now >= at) {
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let first = [timer, self.resume_at, self.stop_at].into_iter().flatten().min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self, listener: &OwnedFd, limit: usize) -> io::Result<()> {
        for _ in 0..limit {
            match socket::accept(listener.as_fd(), true) {
                Accepted::Connection(fd) => self.open(fd),
                Accepted::Empty => return Ok(()),
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) => {
                    // Level-triggered: the listener stays readable, and watching it would spin.
                    if self.accepting && self.stop_at.is_none() {
                        self.poller.modify(listener.as_fd(), LISTENER, Interest::NONE)?;
                        self.accepting = false;
                        self.resume_at = Some(Instant::now() + BACK_OFF);
                    }
                    return Ok(());
                }
                Accepted::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&mut self, fd: OwnedFd) {
        if self.poller.limit().is_some_and(|limit| fd.as_raw_fd() >= limit) {
            // The mechanism cannot hold it: the client sees a close, the others see nothing.
            return;
        }
        let mut conn = Conn::new(self.service.open());
        let next = conn.on_open(&mut Socket(&fd));
        let (Next::Wait(interest) | Next::WaitUntil(interest, _)) = next else { return };
        self.generation = self.generation.wrapping_add(1);
        let slot = Slot { fd, conn, generation: self.generation, interest, wake_at: None, shut: false };
        let index = self.connections.insert(slot);
        let key = key(index, self.generation);
        if self.poller.add(self.connections[index].fd.as_fd(), key, interest).is_err() {
            self.connections.remove(index);
            return;
        }
        self.apply(index, next);
    }

    fn on_event(&mut self, key: u64, event: Event, scratch: &mut [u8]) {
        let Some(index) = self.find(key) else { return };
        let slot = &mut self.connections[index];
        let next = slot.conn.on_event(event, &mut Socket(&slot.fd), scratch);
        self.apply(index, next);
    }

    fn on_time(&mut self, now: Instant) {
        while let Some(&Reverse((at, key))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let Some(index) = self.find(key) else { continue };
            let slot = &mut self.connections[index];
            if slot.wake_at.is_some_and(|wake| wake <= now) {
                slot.wake_at = None;
                let next = slot.conn.on_time(now, &mut Socket(&slot.fd));
                self.apply(index, next);
            }
        }
    }

    /// The slot that `key` was given for, if that connection is still open.
    fn find(&self, key: u64) -> Option<usize> {
        let index = (key & 0xFFFF_FFFF) as usize;
        self.connections.get(index).filter(|slot| slot.generation == (key >> 32) as u32).map(|_| index)
    }

    fn apply(&mut self, index: usize, next: Next) {
        let slot = &mut self.connections[index];
        let interest = match next {
            Next::Wait(interest) => interest,
            Next::WaitUntil(interest, at) => {
                if slot.wake_at != Some(at) {
                    slot.wake_at = Some(at);
                    self.timers.push(Reverse((at, key(index, slot.generation))));
                }
                interest
            }
            Next::Done => return self.close(index),
        };
        if interest != slot.interest {
            slot.interest = interest;
            if self.poller.modify(slot.fd.as_fd(), key(index, slot.generation), interest).is_err() {
                return self.close(index);
            }
        }
        if self.stop_at.is_some() {
            self.shut_if_idle(index);
        }
    }

    fn close(&mut self, index: usize) {
        let slot = self.connections.remove(index);
        // Only a descriptor that is not watched can fail here, and then there is nothing to undo.
        let _ = self.poller.remove(slot.fd.as_fd());
    }

    /// Stops accepting; queued connections are still served, idle ones are ended, the others as they become idle.
    fn start_drain(&mut self, listener: Option<OwnedFd>, grace: Duration) -> io::Result<()> {
        self.stop_at = Some(Instant::now() + grace);
        if let Some(listener) = listener {
            self.accept(&listener, usize::MAX)?;
            self.poller.remove(listener.as_fd())?;
        }
        let open: Vec<usize> = self.connections.iter().map(|(index, _)| index).collect();
        for index in open {
            self.shut_if_idle(index);
        }
        Ok(())
    }

    /// Input that has arrived is still read after this; then comes an end, as if the client had sent it.
    fn shut_if_idle(&mut self, index: usize) {
        let slot = &mut self.connections[index];
        if !slot.shut && slot.conn.is_idle() {
            slot.shut = true;
            // A connection that the peer has reset cannot be shut; its event is on the way.
            let _ = socket::shutdown(slot.fd.as_fd(), Side::Read);
        }
    }
}

fn key(index: usize, generation: u32) -> u64 {
    (u64::from(generation) << 32) | index as u64
}

/// A connection's descriptor as the state machine sees it.
pub(super) struct Socket<'a>(pub(super) &'a OwnedFd);

impl Io for Socket<'_> {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        socket::recv(self.0.as_fd(), buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::send(self.0.as_fd(), bytes)
    }

    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::send_slices(self.0.as_fd(), slices)
    }

    fn finish(&mut self) -> io::Result<()> {
        socket::shutdown(self.0.as_fd(), Side::Write)
    }

    fn reset(&mut self) {
        // Without the option the close is a plain one; there is nobody to tell.
        let _ = socket::reset_on_close(self.0.as_fd());
    }
}
