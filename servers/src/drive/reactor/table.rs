//! The connections of one loop, and the poller that watches them. Not here: the loop, and accepting.

use super::served::Served;
use super::socket::{EdgeSocket, Ready, Socket};
use crate::counters::{self, Why};
use crate::drive::conn::Next;
use crate::drive::helpers::Helpers;
use crate::drive::idle::{Idle, Sweep};
use crate::drive::limit::Ticket;
use crate::drive::seats::Seat;
use service::Service;
use slab::Slab;
use std::borrow::Borrow as _;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Instant;
use sys::socket::{self, Side};
use sys::{Event, Interest, Poller};

/// Bytes that a connection may move, and steps that it may take, before the others get their turn. Under edge-triggering only:
/// a level-triggered mechanism reports what is left, so there each event is one step.
const BUDGET: usize = 256 * 1024;
const STEPS: usize = 16;

struct Slot<H, C> {
    fd: H,
    conn: C,
    /// Tells this use of the slot from those before: an event of a closed connection may still be in the batch.
    generation: u32,
    interest: Interest,
    wake_at: Option<Instant>,
    /// When something was ready last. Kept only where connections may not be silent for ever.
    since: Instant,
    /// Shut for reading, to be ended as soon as what was asked is answered.
    shut: bool,
    ready: Ready,
    /// In the list of those that go on.
    queued: bool,
    /// Last: given back when the descriptor is closed.
    _ticket: Ticket,
}

pub(super) struct Table<S: Service, P, C: Served<S>> {
    service: S,
    pub(super) poller: P,
    slots: Slab<Slot<C::Handle, C>>,
    store: C::Store,
    generation: u32,
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Connections that were still ready when their turn was over.
    going_on: Vec<u64>,
    /// Those whose turn it is: the list above, exchanged.
    turn: Vec<u64>,
    draining: bool,
    helpers: Option<Helpers>,
    seat: Option<Arc<Seat>>,
    sweep: Option<Sweep>,
    /// When this turn began, where connections may not be silent for ever.
    now: Instant,
}

impl<S: Service, P: Poller, C: Served<S>> Table<S, P, C> {
    pub(super) fn new(
        service: S,
        poller: P,
        helpers: Option<Helpers>,
        seat: Option<Arc<Seat>>,
        idle: Idle,
    ) -> Self {
        Self {
            service,
            poller,
            slots: Slab::new(),
            store: C::Store::default(),
            generation: 0,
            timers: BinaryHeap::new(),
            going_on: Vec::new(),
            turn: Vec::new(),
            draining: false,
            helpers,
            seat,
            sweep: Sweep::new(idle),
            now: Instant::now(),
        }
    }

    /// No connection is open or on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.seat.as_ref().is_none_or(|seat| seat.load() == 0)
    }

    /// When the first timer is due; at once where somebody's turn is not over.
    pub(super) fn next_time(&self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        if P::EDGE && !self.going_on.is_empty() {
            return Some(now());
        }
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes a connection in; `watched`: it came from another thread, through the poller.
    pub(super) fn open(&mut self, fd: OwnedFd, ticket: Ticket, watched: bool) {
        if !self.try_open(fd, ticket, watched) {
            self.leave();
        }
    }

    fn try_open(&mut self, fd: OwnedFd, ticket: Ticket, watched: bool) -> bool {
        if self.poller.limit().is_some_and(|limit| fd.as_raw_fd() >= limit) {
            // The mechanism cannot hold it: the client sees a close, the others see nothing.
            counters::ended(Why::Refused);
            return false;
        }
        let fd = C::Handle::from(fd);
        let Some(mut conn) = C::new(&self.service, &fd, self.helpers.is_some(), &mut self.store) else {
            counters::ended(Why::Refused);
            return false;
        };
        let next = conn.on_open(&mut Socket(fd.borrow()));
        let (Next::Wait(interest) | Next::WaitUntil(interest, _)) = next else {
            conn.leave(&mut self.store);
            return false;
        };
        self.generation = self.generation.wrapping_add(1);
        let slot = Slot {
            fd,
            conn,
            generation: self.generation,
            interest,
            wake_at: None,
            since: self.now,
            shut: false,
            ready: Ready::default(),
            queued: false,
            _ticket: ticket,
        };
        let index = self.slots.insert(slot);
        let (key, fd) = (key(index, self.generation), self.slots[index].fd.as_fd());
        let added =
            if watched { self.poller.modify(fd, key, interest) } else { self.poller.add(fd, key, interest) };
        if added.is_err() {
            self.slots.remove(index).conn.fate().is(Why::Refused);
            return false;
        }
        self.sweep.iter_mut().for_each(|sweep| sweep.opened(self.now));
        self.apply(index, next);
        true
    }

    pub(super) fn on_event(&mut self, key: u64, event: Event, scratch: &mut [u8]) {
        let Some(index) = self.find(key) else { return };
        let slot = &mut self.slots[index];
        if P::EDGE {
            slot.ready.note(event);
            return self.drain(index, key, scratch);
        }
        let next = slot.conn.on_event(event, &mut Socket(slot.fd.borrow()), scratch);
        // Mostly it waits for what it has waited for before, and nobody else wants to know.
        let plain = !self.draining && self.helpers.is_none() && self.sweep.is_none();
        if !plain || next != Next::Wait(slot.interest) {
            self.apply(index, next);
        }
    }

    /// Goes on until nothing is ready or the budget is used up; then it is the next one's turn.
    fn drain(&mut self, index: usize, key: u64, scratch: &mut [u8]) {
        let mut moved = 0;
        for _ in 0..STEPS {
            let slot = &mut self.slots[index];
            let Some(event) = slot.ready.due(key, slot.interest) else { return };
            let mut socket =
                EdgeSocket { socket: Socket(slot.fd.borrow()), ready: &mut slot.ready, moved: &mut moved };
            let next = slot.conn.on_event(event, &mut socket, scratch);
            self.apply(index, next);
            if self.find(key).is_none() {
                return;
            }
            if moved >= BUDGET {
                break;
            }
        }
        self.queue_if_ready(key);
    }

    /// Under edge-triggering, what is ready already will cause no event: it is remembered for the next turn.
    fn queue_if_ready(&mut self, key: u64) {
        let Some(index) = self.find(key).filter(|_| P::EDGE) else { return };
        let slot = &mut self.slots[index];
        if !slot.queued && slot.ready.due(key, slot.interest).is_some() {
            slot.queued = true;
            self.going_on.push(key);
        }
    }

    /// Gives a turn to each of those that are ready without a new edge.
    pub(super) fn go_on(&mut self, scratch: &mut [u8]) {
        if !P::EDGE || self.going_on.is_empty() {
            return;
        }
        std::mem::swap(&mut self.going_on, &mut self.turn);
        for at in 0..self.turn.len() {
            let key = self.turn[at];
            if let Some(index) = self.find(key) {
                self.slots[index].queued = false;
                self.drain(index, key, scratch);
            }
        }
        self.turn.clear();
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        while let Some(&Reverse((at, key))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            let Some(index) = self.find(key) else { continue };
            let slot = &mut self.slots[index];
            if slot.wake_at.is_some_and(|wake| wake <= now) {
                slot.wake_at = None;
                let next = slot.conn.on_time(now, &mut Socket(slot.fd.borrow()));
                self.apply(index, next);
                self.queue_if_ready(key);
            }
        }
    }

    /// The time of what happens in this turn. Without a limit on silence nobody asks for it.
    pub(super) fn note_time(&mut self) {
        if self.sweep.is_some() {
            self.now = Instant::now();
        }
    }

    /// When silent connections are looked for.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.sweep.as_ref().and_then(Sweep::next)
    }

    /// Closes the connections that have been silent for too long, if it is time to look for them.
    pub(super) fn sweep(&mut self) {
        let Some(sweep) = &mut self.sweep else { return };
        let Some(mut look) = sweep.begin(self.now) else { return };
        let slots = self.slots.iter_mut();
        let silent = slots.filter_map(|(index, slot)| {
            let waits = slot.conn.waits_for_peer().then_some(slot.interest);
            look.is_over(&mut slot.since, waits, slot.fd.as_fd()).then_some(index)
        });
        let silent: Vec<usize> = silent.collect();
        sweep.end(&look);
        for index in silent {
            self.slots[index].conn.fate().is(Why::Idle);
            self.close(index);
        }
    }

    /// Helpers have done work: those who asked for it go on.
    pub(super) fn on_work_done(&mut self) -> io::Result<()> {
        let Some(done) = self.helpers.as_mut().map(Helpers::take_done).transpose()? else { return Ok(()) };
        for &key in &done {
            let Some(index) = self.find(key) else { continue };
            let slot = &mut self.slots[index];
            let next = slot.conn.on_done(&mut Socket(slot.fd.borrow()));
            self.apply(index, next);
            self.queue_if_ready(key);
        }
        if let Some(helpers) = &mut self.helpers {
            helpers.give_back(done);
        }
        Ok(())
    }

    /// The slot that `key` was given for, if that connection is still open.
    fn find(&self, key: u64) -> Option<usize> {
        let index = (key & 0xFFFF_FFFF) as usize;
        self.slots.get(index).filter(|slot| slot.generation == (key >> 32) as u32).map(|_| index)
    }

    fn apply(&mut self, index: usize, next: Next) {
        let slot = &mut self.slots[index];
        if self.sweep.is_some() {
            // After the step: the time that work took is not the peer's.
            slot.since = Instant::now();
        }
        let key = key(index, slot.generation);
        let interest = match next {
            Next::Wait(interest) => interest,
            Next::WaitUntil(interest, at) => {
                if slot.wake_at != Some(at) {
                    slot.wake_at = Some(at);
                    self.timers.push(Reverse((at, key)));
                }
                interest
            }
            Next::Done => return self.close(index),
        };
        if interest != slot.interest {
            slot.interest = interest;
            if self.poller.modify(slot.fd.as_fd(), key, interest).is_err() {
                slot.conn.fate().is(Why::Failed);
                return self.close(index);
            }
        }
        if let Some(helpers) = &self.helpers
            && let Some(work) = slot.conn.take_work()
        {
            helpers.submit(key, work);
        }
        if self.draining {
            self.shut_if_idle(index);
        }
    }

    fn close(&mut self, index: usize) {
        let mut slot = self.slots.remove(index);
        slot.conn.fate().while_stopping(self.draining);
        // Only a descriptor that is not watched can fail here, and then there is nothing to undo.
        let _ = self.poller.forget(slot.fd.as_fd());
        slot.conn.leave(&mut self.store);
        self.leave();
    }

    fn leave(&self) {
        if let Some(seat) = &self.seat {
            seat.leave();
        }
    }

    /// Idle connections are ended now, the others as they become idle.
    pub(super) fn start_drain(&mut self) {
        self.draining = true;
        let open: Vec<usize> = self.slots.iter().map(|(index, _)| index).collect();
        for index in open {
            self.shut_if_idle(index);
        }
    }

    /// Input that has arrived is still read after this; then comes an end, as if the client had sent it.
    fn shut_if_idle(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if !slot.shut && slot.conn.is_idle() {
            slot.shut = true;
            // A connection that the peer has reset cannot be shut; its event is on the way.
            let _ = socket::shutdown(slot.fd.as_fd(), Side::Read);
            if P::EDGE {
                // An end of our own making need not cause an edge: signals tell of the peer's only.
                let key = key(index, slot.generation);
                slot.ready.note(Event { key, read: false, write: false, hang_up: false });
                self.queue_if_ready(key);
            }
        }
    }
}

fn key(index: usize, generation: u32) -> u64 {
    (u64::from(generation) << 32) | index as u64
}
