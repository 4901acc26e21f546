//! An event loop over any mechanism that tells that a datagram socket is ready, alone or one a thread. Not here: what is done then
//! (see `desk`).

use super::desk::Desk;
use super::{Both, Clerk};
use crate::counters;
use crate::drive::helpers::Helpers;
use crate::drive::loops::Team;
use crate::drive::reactor::Stop;
use crate::endpoint::{Endpoint, announce};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::signal::Signals;
use sys::{Interest, Poller};

const SOCKET: u64 = 0;
const STOP: u64 = 1;
const WORK_DONE: u64 = 2;

/// Serves with one loop until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn run<S: Both, P: Poller>(service: S, endpoint: Endpoint, poller: P) -> io::Result<()> {
    run_with(service, endpoint, poller, |_| Ok(None))
}

/// As [`run`], with the helpers that `helpers` makes once the signals are blocked, which threads inherit.
///
/// # Errors
/// As [`run`].
pub fn run_with<S: Both, P: Poller>(
    service: S,
    endpoint: Endpoint,
    poller: P,
    helpers: impl FnOnce(usize) -> io::Result<Option<Helpers>>,
) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let options = endpoint.options;
    let clerk = Clerk::new(service, endpoint.url.family);
    let desk = Desk::new(clerk, helpers(options.workers)?);
    let url = endpoint.url.clone();
    let turns = Loop::new(Arc::new(endpoint.listener), Stop::Signals(signals), options.grace, desk, poller)?;
    options.counters.workers(1);
    options.counters.enter(0);
    announce(&url);
    turns.serve(0)
}

/// Serves with a loop a worker, each over a poller of its own and with the sockets in turn: one for all, or one each.
///
/// # Errors
/// As [`run`].
pub fn run_shared<S: Both, P: Poller + 'static>(
    service: S,
    endpoint: Endpoint,
    poller: fn() -> io::Result<P>,
) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, siblings, url, options, .. } = endpoint;
    let sockets: Vec<Arc<OwnedFd>> = std::iter::once(listener).chain(siblings).map(Arc::new).collect();
    let mut team = Team::new(options.counters, options.workers)?;
    for worker in 0..options.workers {
        let socket = Arc::clone(&sockets[worker % sockets.len()]);
        let stop = Stop::Bell(team.stop_bell());
        let clerk = Clerk::new(service.clone(), url.family);
        team.start(move |waiting| {
            let turns = Loop::new(socket, stop, options.grace, Desk::new(clerk, None), poller()?)?;
            waiting.say();
            turns.serve(worker)
        })?;
    }
    team.open(&url, &signals)
}

struct Loop<S, P> {
    socket: Arc<OwnedFd>,
    stop: Stop,
    grace: Duration,
    desk: Desk<S>,
    poller: P,
}

impl<S: Both, P: Poller> Loop<S, P> {
    fn new(
        socket: Arc<OwnedFd>,
        stop: Stop,
        grace: Duration,
        desk: Desk<S>,
        mut poller: P,
    ) -> io::Result<Self> {
        if P::EDGE {
            // The socket is drained, or the loop comes back by itself.
            poller.add(socket.as_fd(), SOCKET, Interest::READ)?;
        } else {
            // As a listener: others may wait for the same one, and where the mechanism can, one of them is woken.
            poller.add_listener(socket.as_fd(), SOCKET)?;
        }
        poller.add(stop.fd(), STOP, Interest::READ)?;
        if let Some(helpers) = desk.helpers() {
            poller.add(helpers.bell(), WORK_DONE, Interest::READ)?;
        }
        Ok(Self { socket, stop, grace, desk, poller })
    }

    fn serve(mut self, worker: usize) -> io::Result<()> {
        let mut events = Vec::with_capacity(8);
        let (mut more, mut stop_at) = (false, None);
        loop {
            let wait = if more { Some(Duration::ZERO) } else { self.timeout(stop_at) };
            self.poller.wait(&mut events, wait)?;
            let mut ready = std::mem::take(&mut more);
            for event in &events {
                match event.key {
                    SOCKET => ready = true,
                    STOP if stop_at.is_none() && self.stop.told()? => {
                        stop_at = Some(Instant::now() + self.grace);
                        self.poller.remove(self.stop.fd())?;
                    }
                    WORK_DONE => self.desk.on_work_done(self.socket.as_fd())?,
                    _ => {}
                }
            }
            // Told to stop, it still answers what is queued.
            if ready {
                counters::woken(true);
            }
            if ready || stop_at.is_some() {
                more = self.desk.turn(self.socket.as_fd())?;
            }
            self.desk.on_time(self.socket.as_fd());
            let over = |at: Instant| Instant::now() >= at || (!more && self.desk.is_empty());
            if stop_at.is_some_and(over) {
                self.desk.figures().report(worker);
                return Ok(());
            }
        }
    }

    fn timeout(&self, stop_at: Option<Instant>) -> Option<Duration> {
        let first = [self.desk.next_time(), stop_at].into_iter().flatten().min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }
}
