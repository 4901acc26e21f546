//! One epoll instance for several threads, each event to one of them (EPOLLONESHOT). Not here: loops that share no connection
//! (see `loops`).
//!
//! A connection lies in a place of its own, found by its descriptor's number without a lock that others want. The place has a
//! mutex: whoever has the event has the connection, so it is free but for a timer, the drain or an event told just before. To arm
//! again is the last thing done under it: after that another thread may have the connection.
//!
//! A thread that panics leaves the connection in hand open and deaf; the other threads serve on.

use super::conn::{Conn, Next};
use super::gate::Gate;
use super::idle::{Idle, Sweep};
use super::limit::Ticket;
use super::loops::room;
use super::places::Places;
use super::reactor::socket::Socket;
use super::reactor::{ACCEPT_BATCH, SCRATCH};
use crate::Options;
use crate::counters::{self, Why};
use service::Service;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};
use sys::epoll::Epoll;
use sys::socket::{self, Side};
use sys::{Bell, Interest, Poller as _};

const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const OVER: u64 = u64::MAX - 2;
const ROOM: u64 = u64::MAX - 3;

/// Events that a thread takes at a time. What it has taken no other can serve: few, so that nobody idles beside a queue.
pub const BATCH: usize = 4;

/// A connection in its place.
struct Slot<P> {
    fd: OwnedFd,
    conn: Conn<P>,
    generation: u32,
    wake_at: Option<Instant>,
    /// When something was ready last. Kept only where connections may not be silent for ever.
    since: Instant,
    shut: bool,
    /// What it is armed for.
    interest: Interest,
    /// Last: given back when the descriptor is closed.
    _ticket: Ticket,
}

impl<P> Slot<P> {
    fn note_time(&mut self, idle: Idle) {
        if idle.time().is_some() {
            self.since = Instant::now();
        }
    }
}

/// What the threads have in common.
pub struct Shared<S: Service> {
    service: S,
    places: Places<Slot<S::Conn>>,
    generation: AtomicU32,
    open: AtomicUsize,
    /// Held by the one thread that accepts.
    gate: Mutex<Option<Gate>>,
    stop: Arc<Bell>,
    stopping: AtomicBool,
    over: AtomicBool,
    /// Rings for all threads when everything is over.
    over_bell: Bell,
    /// Rings when there is room again, if it is limited.
    room: Option<Arc<Bell>>,
    options: Options,
    /// One of the threads looks for silent connections; where that is done, whoever opens one while none does begins.
    sweeping: AtomicBool,
}

impl<S: Service> Shared<S> {
    /// Watches the listener and the order to stop.
    ///
    /// # Errors
    /// Those of epoll(7) and eventfd(2).
    pub fn new(
        service: S,
        listener: OwnedFd,
        stop: Arc<Bell>,
        options: Options,
        epoll: &mut Epoll,
    ) -> io::Result<Self> {
        let over_bell = Bell::new()?;
        let room = room(options.limit)?;
        let limit = (options.limit, room.clone().map(Waker::from));
        let gate = Gate::open(Arc::new(listener), LISTENER, limit, epoll)?;
        if let Some(room) = &room {
            epoll.add_for_all(room.as_fd(), ROOM)?;
        }
        epoll.add(stop.as_fd(), STOP, Interest::READ)?;
        epoll.add_for_all(over_bell.as_fd(), OVER)?;
        Ok(Self {
            service,
            places: Places::default(),
            generation: AtomicU32::new(0),
            open: AtomicUsize::new(0),
            gate: Mutex::new(Some(gate)),
            stop,
            stopping: AtomicBool::new(false),
            over: AtomicBool::new(false),
            over_bell,
            room,
            options,
            sweeping: AtomicBool::new(false),
        })
    }

    fn end(&self) {
        self.over.store(true, SeqCst);
        self.over_bell.ring();
    }

    fn end_if_empty(&self) {
        if self.stopping.load(SeqCst) && self.open.load(SeqCst) == 0 {
            self.end();
        }
    }

    fn close(&self, mut place: MutexGuard<'_, Option<Slot<S::Conn>>>) {
        let mut slot = place.take();
        if let Some(slot) = &mut slot {
            slot.conn.fate.while_stopping(self.stopping.load(SeqCst));
        }
        // The place is empty before the number can be another's.
        drop(place);
        drop(slot);
        self.closed();
    }

    fn closed(&self) {
        self.open.fetch_sub(1, SeqCst);
        self.end_if_empty();
    }

    fn shut_if_draining(&self, slot: &mut Slot<S::Conn>) {
        if !slot.shut && self.stopping.load(SeqCst) && slot.conn.is_idle() {
            slot.shut = true;
            // A connection that the peer has reset cannot be shut; its event is on the way.
            let _ = socket::shutdown(slot.fd.as_fd(), Side::Read);
        }
    }

    fn gate(&self) -> MutexGuard<'_, Option<Gate>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the threads.
pub struct Worker {
    epoll: Epoll,
    /// Of the connections that waited for a moment when this thread last had them.
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    /// This thread has the listener, which backs off.
    resume_at: Option<Instant>,
    /// This thread ends the server then.
    stop_at: Option<Instant>,
    /// Where connections may not be silent for ever; it is this thread that looks for those while there is a time.
    sweep: Option<Sweep>,
    began: Instant,
    /// The listener was said to be ready, and there was no connection.
    vain: bool,
}

impl Worker {
    /// A thread's share.
    #[must_use]
    pub fn new(epoll: Epoll, idle: Idle) -> Self {
        let sweep = Sweep::new(idle);
        Self {
            epoll,
            timers: BinaryHeap::new(),
            resume_at: None,
            stop_at: None,
            sweep,
            began: Instant::now(),
            vain: false,
        }
    }

    /// Serves until everything is over.
    ///
    /// # Errors
    /// Those of epoll(7) and accept(2) after which nothing more can be served.
    pub fn serve<S: Service>(mut self, shared: &Shared<S>) -> io::Result<()> {
        let mut events = Vec::with_capacity(BATCH);
        let mut scratch = vec![0; SCRATCH];
        loop {
            let timeout = self.timeout();
            self.epoll.wait(&mut events, timeout)?;
            self.vain = false;
            for &event in &events {
                match event.key {
                    LISTENER => self.accept(shared)?,
                    STOP => self.start_drain(shared)?,
                    OVER => {}
                    ROOM => self.resume(shared)?,
                    key => self.with(shared, key, |slot| {
                        Some(slot.conn.on_event(event, &mut Socket(&slot.fd), &mut scratch))
                    }),
                }
            }
            counters::woken(!self.vain || events.len() > 1);
            self.on_time(shared)?;
            if shared.over.load(SeqCst) {
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        Some(self.next_time()?.saturating_duration_since(Instant::now()))
    }

    fn next_time(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let sweep = self.sweep.as_ref().and_then(Sweep::next);
        [timer, self.resume_at, self.stop_at, sweep].into_iter().flatten().min()
    }

    fn accept<S: Service>(&mut self, shared: &Shared<S>) -> io::Result<()> {
        let mut held = shared.gate();
        // The drain was quicker.
        let Some(gate) = &mut *held else { return Ok(()) };
        for accepted in 0..ACCEPT_BATCH {
            let Some((fd, ticket)) = gate.next(&mut self.epoll)? else {
                self.vain = accepted == 0 && !gate.is_shut();
                break;
            };
            counters::accepted();
            self.open(shared, fd, ticket);
        }
        self.resume_at = gate.resume_at();
        gate.rearm(&mut self.epoll)
    }

    /// Has the listener watched again if its time has come and there is room.
    fn resume<S: Service>(&mut self, shared: &Shared<S>) -> io::Result<()> {
        if let Some(room) = &shared.room {
            room.hush()?;
        }
        let Some(gate) = &mut *shared.gate() else { return Ok(()) };
        gate.resume(Instant::now(), &mut self.epoll)
    }

    fn open<S: Service>(&mut self, shared: &Shared<S>, fd: OwnedFd, ticket: Ticket) {
        let number = fd.as_raw_fd() as usize;
        let Some(mut place) = shared.places.lock(number) else { return counters::ended(Why::Refused) };
        let mut conn = Conn::new(shared.service.open());
        let next = conn.on_open(&mut Socket(&fd));
        let (Next::Wait(interest) | Next::WaitUntil(interest, _)) = next else { return };
        let generation = shared.generation.fetch_add(1, SeqCst);
        let since = if self.sweep.is_some() { Instant::now() } else { self.began };
        let mut slot =
            Slot { fd, conn, generation, wake_at: None, since, shut: false, interest, _ticket: ticket };
        self.note_time(&mut slot, next);
        shared.open.fetch_add(1, SeqCst);
        self.sweep_if_nobody_does(shared, since);
        let slot = place.insert(slot);
        shared.shut_if_draining(slot);
        if self.epoll.add(slot.fd.as_fd(), key(number, generation), interest).is_err() {
            slot.conn.fate.is(Why::Refused);
            shared.close(place);
        }
    }

    /// Does one step of the connection that `key` was given for, if it is still open, and arms it again.
    fn with<S: Service>(
        &mut self,
        shared: &Shared<S>,
        key: u64,
        step: impl FnOnce(&mut Slot<S::Conn>) -> Option<Next>,
    ) {
        let Some(mut place) = shared.places.lock((key & 0xFFFF_FFFF) as usize) else { return };
        let Some(slot) = place.as_mut().filter(|slot| slot.generation == (key >> 32) as u32) else { return };
        let Some(next) = step(slot) else { return };
        // After the step: the time that work took is not the peer's.
        slot.note_time(shared.options.idle);
        let (Next::Wait(interest) | Next::WaitUntil(interest, _)) = next else {
            return shared.close(place);
        };
        self.note_time(slot, next);
        slot.interest = interest;
        shared.shut_if_draining(slot);
        if self.epoll.modify(slot.fd.as_fd(), key, interest).is_err() {
            slot.conn.fate.is(Why::Failed);
            shared.close(place);
        }
    }

    fn note_time<P>(&mut self, slot: &mut Slot<P>, next: Next) {
        if let Next::WaitUntil(_, at) = next
            && slot.wake_at != Some(at)
        {
            slot.wake_at = Some(at);
            self.timers.push(Reverse((at, key(slot.fd.as_raw_fd() as usize, slot.generation))));
        }
    }

    fn on_time<S: Service>(&mut self, shared: &Shared<S>) -> io::Result<()> {
        if self.next_time().is_none() {
            return Ok(());
        }
        let now = Instant::now();
        self.sweep(shared, now);
        while let Some(&Reverse((at, key))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            self.with(shared, key, |slot| {
                slot.wake_at = slot.wake_at.filter(|&wake| wake > now);
                slot.wake_at.is_none().then(|| slot.conn.on_time(now, &mut Socket(&slot.fd)))
            });
        }
        if self.resume_at.is_some_and(|at| now >= at) {
            self.resume_at = None;
            self.resume(shared)?;
        }
        if self.stop_at.is_some_and(|at| now >= at) {
            shared.end();
        }
        Ok(())
    }

    fn sweep_if_nobody_does<S: Service>(&mut self, shared: &Shared<S>, now: Instant) {
        if let Some(sweep) = &mut self.sweep
            && !shared.sweeping.swap(true, SeqCst)
        {
            sweep.opened(now);
        }
    }

    /// Closes the connections that have been silent for too long, if it is this thread's part and time.
    fn sweep<S: Service>(&mut self, shared: &Shared<S>, now: Instant) {
        let Some(sweep) = &mut self.sweep else { return };
        let Some(mut look) = sweep.begin(now) else { return };
        let over = |slot: &mut Slot<S::Conn>| {
            let waits = slot.conn.waits_for_peer().then_some(slot.interest);
            look.is_over(&mut slot.since, waits, slot.fd.as_fd())
        };
        let gone = |mut slot: Slot<S::Conn>| {
            slot.conn.fate.is(Why::Idle);
            drop(slot);
            shared.closed();
        };
        shared.places.take(over, gone);
        sweep.end(&look);
        if sweep.next().is_none() {
            // Order matters: nobody does it, then a look whether there is a connection; whoever opens one counts it, then looks.
            shared.sweeping.store(false, SeqCst);
            if shared.open.load(SeqCst) > 0 {
                self.sweep_if_nobody_does(shared, now);
            }
        }
    }

    fn start_drain<S: Service>(&mut self, shared: &Shared<S>) -> io::Result<()> {
        self.stop_at = Some(Instant::now() + shared.options.grace);
        self.epoll.remove(shared.stop.as_fd())?;
        if let Some(mut gate) = shared.gate().take() {
            while let Some((fd, ticket)) = gate.next(&mut self.epoll)? {
                counters::accepted();
                self.open(shared, fd, ticket);
            }
            gate.close(&mut self.epoll)?;
        }
        // From here on whoever arms a connection looks whether it is idle; those that are armed are looked at here.
        shared.stopping.store(true, SeqCst);
        shared.places.each(|slot| shared.shut_if_draining(slot));
        shared.end_if_empty();
        Ok(())
    }
}

fn key(number: usize, generation: u32) -> u64 {
    (u64::from(generation) << 32) | number as u64
}
