//! One epoll instance for several threads, each event to one of them (EPOLLONESHOT): whoever is woken takes one datagram, arms the
//! socket for the next thread, and answers. Not here: loops with a mechanism of their own.

use super::desk::Desk;
use super::{Both, Clerk, Figures};
use crate::counters;
use crate::drive::loops::Team;
use crate::endpoint::Endpoint;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::epoll::Epoll;
use sys::signal::Signals;
use sys::{Interest, Poller as _};

const SOCKET: u64 = 0;
const STOP: u64 = 1;

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve<S: Both>(service: S, endpoint: Endpoint, mut epoll: Epoll) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let socket = Arc::new(listener);
    let mut team = Team::new(options.counters, options.workers)?;
    epoll.add(socket.as_fd(), SOCKET, Interest::READ)?;
    epoll.add_for_all(team.stop_bell().as_fd(), STOP)?;
    for worker in 0..options.workers {
        let (socket, epoll) = (Arc::clone(&socket), epoll.share());
        let desk = Desk::new(Clerk::new(service.clone(), url.family), None);
        team.start(move |waiting| {
            waiting.say();
            work(desk, &socket, epoll, options.grace)?.report(worker);
            Ok(())
        })?;
    }
    team.open(&url, &signals)
}

/// One thread's part, until it is told to stop and owes nothing, or its grace is over.
fn work<S: Both>(
    mut desk: Desk<S>,
    socket: &OwnedFd,
    mut epoll: Epoll,
    grace: Duration,
) -> io::Result<Figures> {
    let mut events = Vec::with_capacity(1);
    loop {
        let wait = desk.next_time().map(|at| at.saturating_duration_since(Instant::now()));
        epoll.wait(&mut events, wait)?;
        desk.on_time(socket.as_fd());
        match events.first().map(|event| event.key) {
            Some(SOCKET) => {
                counters::woken(true);
                desk.turn_one(socket.as_fd(), || epoll.modify(socket.as_fd(), SOCKET, Interest::READ))?;
            }
            Some(_) => break,
            None => {}
        }
    }
    let end = Instant::now() + grace;
    // What was queued before the order to stop is still answered, by whoever is first.
    while desk.turn(socket.as_fd())? && Instant::now() < end {}
    while let Some(at) = desk.next_time().filter(|at| *at <= end) {
        sys::clock::pause(at.saturating_duration_since(Instant::now()));
        desk.on_time(socket.as_fd());
    }
    Ok(*desk.figures())
}
