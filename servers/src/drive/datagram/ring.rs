//! Datagrams with io_uring(7) as the reactor: the ring tells that the socket is readable (IORING_OP_POLL_ADD), and recvmsg(2) and
//! sendmsg(2) do the rest. Not here: receives as operations of the ring; the kernel needs a message header with a place for the address
//! and the control messages for each, which is what the ring's own streams do without.

use super::desk::Desk;
use super::{Both, Clerk};
use crate::counters;
use crate::drive::loops::Team;
use crate::drive::reactor::Stop;
use crate::endpoint::{Endpoint, announce};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};
use sys::signal::Signals;
use sys::uring::Ring;

const SOCKET: u64 = 0;
const STOP: u64 = 1;
const TIME: u64 = 2;

/// Submissions that fit the queue; three operations are under way at a time.
const ENTRIES: u32 = 8;

/// Serves with one ring until SIGTERM or SIGINT, then drains. `eager`: the poll is asked for again before what is there has been
/// answered, so that the next wake-up is under way meanwhile.
///
/// # Errors
/// Those of io_uring(7) and of recvmsg(2) after which nothing more can be served.
pub fn run<S: Both>(service: S, endpoint: Endpoint, eager: bool) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let options = endpoint.options;
    let desk = Desk::new(Clerk::new(service, endpoint.url.family), None);
    let mut turns =
        Loop::new(endpoint.listener.try_clone()?, Stop::Signals(signals), options.grace, desk, eager)?;
    options.counters.workers(1);
    options.counters.enter(0);
    endpoint.ready();
    turns.serve(0)
}

/// Serves with a ring a worker, each over a socket of its own.
///
/// # Errors
/// As [`run`].
pub fn run_shared<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, siblings, url, options, .. } = endpoint;
    options.counters.workers(options.workers);
    let mut team = Team::new()?;
    for (worker, socket) in std::iter::once(listener).chain(siblings).enumerate() {
        let stop = Stop::Bell(team.stop_bell());
        let clerk = Clerk::new(service.clone(), url.family);
        team.start(move |waiting| {
            options.counters.enter(worker);
            // In the thread that uses it (SINGLE_ISSUER).
            let mut turns = Loop::new(socket, stop, options.grace, Desk::new(clerk, None), true)?;
            waiting.say();
            turns.serve(worker)
        })?;
    }
    team.await_ready()?;
    announce(&url);
    team.supervise(&signals)
}

struct Loop<S> {
    ring: Ring,
    socket: OwnedFd,
    stop: Stop,
    grace: Duration,
    desk: Desk<S>,
    eager: bool,
    /// When the timeout that is under way ends.
    timer: Option<Instant>,
}

impl<S: Both> Loop<S> {
    fn new(socket: OwnedFd, stop: Stop, grace: Duration, desk: Desk<S>, eager: bool) -> io::Result<Self> {
        let mut ring = Ring::new(ENTRIES)?;
        ring.poll_readable(socket.as_fd(), SOCKET)?;
        ring.poll_readable(stop.fd(), STOP)?;
        Ok(Self { ring, socket, stop, grace, desk, eager, timer: None })
    }

    fn serve(&mut self, worker: usize) -> io::Result<()> {
        let mut stop_at: Option<Instant> = None;
        let mut more = false;
        loop {
            self.set_timer(stop_at)?;
            self.ring.wait(!more)?;
            let mut ready = std::mem::take(&mut more);
            while let Some(completion) = self.ring.completed() {
                match completion.key {
                    SOCKET => ready = true,
                    TIME => self.timer = None,
                    STOP if self.stop.told()? => stop_at = Some(Instant::now() + self.grace),
                    // A signal that is no order to stop.
                    _ => drop(self.ring.poll_readable(self.stop.fd(), STOP)?),
                }
            }
            // Told to stop, it still answers what is queued.
            if ready {
                counters::woken(true);
            }
            if ready || stop_at.is_some() {
                if self.eager && stop_at.is_none() {
                    self.watch()?;
                }
                more = self.desk.turn(self.socket.as_fd())?;
                if !self.eager && !more && stop_at.is_none() {
                    self.watch()?;
                }
            }
            self.desk.on_time(self.socket.as_fd());
            if stop_at.is_some_and(|at| Instant::now() >= at || (!more && self.desk.is_empty())) {
                self.desk.figures().report(worker);
                return Ok(());
            }
        }
    }

    /// Asks to be told once when there is something to read.
    fn watch(&mut self) -> io::Result<()> {
        self.ring.poll_readable(self.socket.as_fd(), SOCKET).map(drop)
    }

    /// Has the ring wake us when the first answer is due, or the grace is over.
    fn set_timer(&mut self, stop_at: Option<Instant>) -> io::Result<()> {
        let first = [self.desk.next_time(), stop_at].into_iter().flatten().min();
        let Some(at) = first.filter(|at| self.timer.is_none_or(|timer| *at < timer)) else { return Ok(()) };
        self.timer = Some(at);
        self.ring.timeout(at.saturating_duration_since(Instant::now()), TIME).map(drop)
    }
}
