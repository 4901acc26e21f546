//! An event loop in one thread over any readiness mechanism: accepts, serves, drains. Not here: what happens on a connection
//! (`conn`), the connections of a loop (`table`), several loops (`loops`), and the mechanism, which is the model's.

pub(crate) mod served;
pub(crate) mod socket;
mod table;
#[cfg(test)]
mod tests;

use super::conn::Conn;
use super::gate::Gate;
use super::helpers::Helpers;
use super::idle::Idle;
use super::limit::Limit;
use super::seats::Seat;
use crate::counters;
use crate::endpoint::Endpoint;
use served::Served;
use service::Service;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};
use sys::inbox::ARRIVAL;
use sys::signal::{Received, Signals};
use sys::{Bell, Event, Interest, Poller};
use table::Table;

const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const WORK_DONE: u64 = u64::MAX - 2;
const ROOM: u64 = u64::MAX - 3;

/// Connections accepted on one event before those that are open get their turn.
pub(crate) const ACCEPT_BATCH: usize = 64;

/// Bytes read at a time: the loop's one buffer.
pub(crate) const SCRATCH: usize = 64 * 1024;

/// How a loop is told to stop.
#[derive(Debug)]
pub enum Stop {
    /// By the signal itself.
    Signals(Signals),
    /// By the thread that has it.
    Bell(Arc<Bell>),
}

impl Stop {
    /// Becomes readable with the order.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Signals(signals) => signals.as_fd(),
            Self::Bell(bell) => bell.as_fd(),
        }
    }

    /// Ready: is it the order to stop?
    pub(crate) fn told(&self) -> io::Result<bool> {
        let Self::Signals(signals) = self else { return Ok(true) };
        let mut told = false;
        while let Some(signal) = signals.next()? {
            told |= signal == Received::Stop;
        }
        Ok(told)
    }
}

/// What a loop is made of, beside the service and the mechanism.
#[derive(Debug)]
pub struct Parts {
    /// Non-blocking, perhaps other loops' too; none where connections come through the poller.
    pub listener: Option<Arc<OwnedFd>>,
    /// Who tells it to stop.
    pub stop: Stop,
    /// How long connections in flight may take then.
    pub grace: Duration,
    /// Who does handler work; none: the loop itself.
    pub helpers: Option<Helpers>,
    /// Where others see how many connections it has.
    pub seat: Option<Arc<Seat>>,
    /// How many connections there may be, here and in the other loops.
    pub limit: Limit,
    /// Rings when there is room that others have made.
    pub room: Option<Arc<Bell>>,
    /// How long a connection may be silent.
    pub idle: Idle,
}

/// Serves `endpoint` with one loop until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of the mechanism and of accept(2) after which nothing more can be served.
pub fn run<S: Service, P: Poller>(service: S, endpoint: Endpoint, poller: P) -> io::Result<()> {
    run_with(service, endpoint, poller, |_| Ok(None))
}

/// As [`run`], with the helpers that `helpers` makes once the signals are blocked, which threads inherit.
///
/// # Errors
/// As [`run`].
pub fn run_with<S: Service, P: Poller>(
    service: S,
    endpoint: Endpoint,
    poller: P,
    helpers: impl FnOnce(usize) -> io::Result<Option<Helpers>>,
) -> io::Result<()> {
    run_as::<S, P, Conn<S::Conn>>(service, endpoint, poller, helpers)
}

/// As [`run_with`], with connections that are served as `C` does it.
///
/// # Errors
/// As [`run`].
pub fn run_as<S: Service, P: Poller, C: Served<S>>(
    service: S,
    endpoint: Endpoint,
    poller: P,
    helpers: impl FnOnce(usize) -> io::Result<Option<Helpers>>,
) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let options = endpoint.options;
    let announcement = endpoint.url.clone();
    let parts = Parts {
        listener: Some(Arc::new(endpoint.listener)),
        stop: Stop::Signals(signals),
        grace: options.grace,
        helpers: helpers(options.workers)?,
        seat: None,
        limit: options.limit,
        room: None,
        idle: options.idle,
    };
    let reactor = Reactor::<S, P, C>::of(service, poller, parts)?;
    options.counters.workers(1);
    options.counters.enter(0);
    crate::endpoint::announce(&announcement);
    reactor.serve()
}

/// One loop.
pub struct Reactor<S: Service, P, C: Served<S> = Conn<<S as Service>::Conn>> {
    table: Table<S, P, C>,
    gate: Option<Gate>,
    limit: Limit,
    room: Option<Arc<Bell>>,
    stop: Stop,
    grace: Duration,
    /// Draining: when to give up on what is left.
    stop_at: Option<Instant>,
    /// The listener was said to be ready, and there was no connection.
    vain: bool,
}

impl<S: Service, P: Poller> Reactor<S, P> {
    /// A loop that watches everything: from here on nothing is missed.
    ///
    /// # Errors
    /// Those of the mechanism.
    pub fn new(service: S, poller: P, parts: Parts) -> io::Result<Self> {
        Self::of(service, poller, parts)
    }
}

impl<S: Service, P: Poller, C: Served<S>> Reactor<S, P, C> {
    fn of(service: S, mut poller: P, parts: Parts) -> io::Result<Self> {
        let (limit, room) = (parts.limit, parts.room);
        let waker = room.clone().map(Waker::from);
        let gate = parts
            .listener
            .map(|listener| Gate::open(listener, LISTENER, (limit, waker), &mut poller))
            .transpose()?;
        if let Some(room) = &room {
            poller.add(room.as_fd(), ROOM, Interest::READ)?;
        }
        poller.add(parts.stop.fd(), STOP, Interest::READ)?;
        if let Some(helpers) = &parts.helpers {
            poller.add(helpers.bell(), WORK_DONE, Interest::READ)?;
        }
        let table = Table::new(service, poller, parts.helpers, parts.seat, parts.idle);
        Ok(Self {
            table,
            gate,
            limit,
            room,
            stop: parts.stop,
            grace: parts.grace,
            stop_at: None,
            vain: false,
        })
    }

    /// Serves until it is told to stop and has drained.
    ///
    /// # Errors
    /// Those of the mechanism and of accept(2) after which nothing more can be served.
    pub fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        let mut scratch = vec![0; SCRATCH];
        loop {
            let timeout = self.timeout();
            self.table.poller.wait(&mut events, timeout)?;
            self.table.note_time();
            self.vain = false;
            for &event in &events {
                self.on_event(event, &mut scratch)?;
            }
            counters::woken(!self.vain || events.len() > 1);
            self.table.go_on(&mut scratch);
            let shut = self.gate.as_ref().is_some_and(Gate::is_shut);
            if (timeout.is_some() || self.stop_at.is_some() || shut) && self.on_time()? {
                return Ok(());
            }
        }
    }

    /// Does what is due; true when it has drained. Not called while nothing waits for a moment, or for a place: reading the clock costs
    /// some hundredths of a request.
    fn on_time(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        self.table.on_time(now);
        self.table.sweep();
        if let Some(gate) = &mut self.gate {
            gate.resume(now, &mut self.table.poller)?;
        }
        Ok(self.stop_at.is_some_and(|at| self.table.is_empty() || now >= at))
    }

    fn on_event(&mut self, event: Event, scratch: &mut [u8]) -> io::Result<()> {
        match event.key {
            LISTENER => return self.accept(),
            STOP => {
                if self.stop.told()? && self.stop_at.is_none() {
                    return self.start_drain();
                }
            }
            ROOM => {
                if let Some(room) = &self.room {
                    room.hush()?;
                }
            }
            WORK_DONE => return self.table.on_work_done(),
            ARRIVAL => {
                if let Some(fd) = self.table.poller.take_arrival() {
                    counters::accepted();
                    self.table.open(fd, self.limit.adopt(), true);
                }
            }
            key => self.table.on_event(key, event, scratch),
        }
        Ok(())
    }

    fn timeout(&self) -> Option<Duration> {
        let resume = self.gate.as_ref().and_then(Gate::resume_at);
        let first = [self.table.next_time(Instant::now), self.table.next_sweep(), resume, self.stop_at]
            .into_iter()
            .flatten()
            .min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self) -> io::Result<()> {
        for accepted in 0..ACCEPT_BATCH {
            let Some(gate) = &mut self.gate else { return Ok(()) };
            let Some((fd, ticket)) = gate.next(&mut self.table.poller)? else {
                self.vain = accepted == 0 && !gate.is_shut();
                return Ok(());
            };
            counters::accepted();
            self.table.open(fd, ticket, false);
        }
        Ok(())
    }

    /// Stops accepting; queued connections are still served, idle ones are ended, the others as they become idle.
    fn start_drain(&mut self) -> io::Result<()> {
        self.stop_at = Some(Instant::now() + self.grace);
        if let Some(mut gate) = self.gate.take() {
            while let Some((fd, ticket)) = gate.next(&mut self.table.poller)? {
                counters::accepted();
                self.table.open(fd, ticket, false);
            }
            gate.close(&mut self.table.poller)?;
        }
        if let Stop::Bell(bell) = &self.stop {
            // It goes on ringing, for the other loops.
            self.table.poller.remove(bell.as_fd())?;
        }
        self.table.start_drain();
        Ok(())
    }
}
