//! One epoll instance for several threads, each event to one of them (EPOLLONESHOT): whoever is woken takes one datagram, arms the
//! socket for the next thread, and answers. Not here: loops with a mechanism of their own.

use super::{Both, Clerk, Taken};
use crate::counters;
use crate::drive::loops::Team;
use crate::endpoint::{Endpoint, announce};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use sys::datagram::Wait;
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
    options.counters.workers(options.workers);
    let mut team = Team::new()?;
    epoll.add(socket.as_fd(), SOCKET, Interest::READ)?;
    epoll.add_for_all(team.stop_bell().as_fd(), STOP)?;
    for worker in 0..options.workers {
        let (socket, mut epoll) = (Arc::clone(&socket), epoll.share());
        let mut clerk = Clerk::new(service.clone(), url.family);
        team.start(move |waiting| {
            options.counters.enter(worker);
            waiting.say();
            let mut events = Vec::with_capacity(1);
            let mut stopping = false;
            while !stopping {
                epoll.wait(&mut events, None)?;
                stopping = events.iter().any(|event| event.key == STOP);
                if !events.iter().any(|event| event.key == SOCKET) {
                    continue;
                }
                counters::woken(true);
                let taken = clerk.take(socket.as_fd(), Wait::No)?;
                epoll.modify(socket.as_fd(), SOCKET, Interest::READ)?;
                if let Taken::Datagram(received) = taken {
                    clerk.answer(socket.as_fd(), &received);
                }
            }
            // What was queued before the order to stop is still answered, by whoever is first.
            while let Taken::Datagram(received) = clerk.take(socket.as_fd(), Wait::No)? {
                clerk.answer(socket.as_fd(), &received);
            }
            clerk.figures.report(worker);
            Ok(())
        })?;
    }
    team.await_ready()?;
    announce(&url);
    team.supervise(&signals)
}
