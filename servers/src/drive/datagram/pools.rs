//! Workers that block in recv, each by itself: the only one of a serial server, a pool of processes, a pool of threads. Not here: the
//! supervision of a pool (see `processes` and `threads`), which is that of stream servers.

use super::{Both, Clerk, Taken};
use crate::drive::processes::{self, Pool};
use crate::drive::threads::Crew;
use crate::endpoint::Endpoint;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use sys::datagram::{Received, Wait};
use sys::epoll::Epoll;
use sys::socket::{is_nonblocking, set_nonblocking};
use sys::{Family, stop};

/// The next datagram of a worker that shares its socket with others or has it alone; `None` when the server has been told to stop and
/// the queue is empty. How workers are told, and why none sleeps through it, stands at [`acceptor::shared`](crate::drive::acceptor::shared).
fn next<S: Both>(
    clerk: &mut Clerk<S>,
    fd: BorrowedFd<'_>,
    mut take: impl FnMut(&mut Clerk<S>, BorrowedFd<'_>) -> io::Result<Taken>,
) -> io::Result<Option<Received>> {
    loop {
        match take(clerk, fd)? {
            // A thread that was about to sleep when the socket was shut behind the last one is told of an end, which looks like an
            // empty datagram of nobody's. With nothing to do, it is asked again and finds the queue empty.
            Taken::Datagram(received)
                if received.len == 0 && !received.route.peer.is_named() && is_nonblocking(fd)? => {}
            Taken::Datagram(received) => return Ok(Some(received)),
            Taken::Empty => return Ok(None),
            Taken::Interrupted if !stop::stopping() || is_nonblocking(fd)? => {}
            Taken::Interrupted => return Ok(None),
        }
    }
}

/// Answers one datagram after the other, in the process's one thread, until it is told to stop.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub fn serial<S: Both>(service: S, endpoint: &Endpoint) -> io::Result<()> {
    let fd = endpoint.listener.as_fd();
    stop::install(Some(fd), endpoint.options.grace)?;
    endpoint.options.counters.workers(1);
    endpoint.options.counters.enter(0);
    endpoint.ready();
    answer(service, endpoint)
}

/// As [`serial`], in a process that others have made ready; where a receive gives up after a time, until then.
///
/// # Errors
/// As [`serial`].
pub fn answer<S: Both>(service: S, endpoint: &Endpoint) -> io::Result<()> {
    let fd = endpoint.listener.as_fd();
    let mut clerk = Clerk::new(service, endpoint.url.family);
    while let Some(received) = next(&mut clerk, fd, |clerk, fd| clerk.take(fd, Wait::Socket))? {
        clerk.answer(fd, &received);
    }
    clerk.figures.report(0);
    Ok(())
}

/// A pool of processes whose workers receive for themselves: from one socket, or each from its own.
struct Receiving<S, F> {
    service: S,
    family: Family,
    sockets: Vec<OwnedFd>,
    lock: F,
}

/// Serves with a pool of processes until SIGTERM or SIGINT, then drains. `lock` is called once in each worker and makes its recv: a
/// plain one, or one with a lock round it.
///
/// # Errors
/// As [`processes::run`].
pub fn processes<S: Both, T>(
    service: S,
    endpoint: Endpoint,
    lock: impl Fn() -> io::Result<T>,
) -> io::Result<()>
where
    T: FnMut(&mut Clerk<S>, BorrowedFd<'_>) -> io::Result<Taken>,
{
    let Endpoint { listener, siblings, url, options, .. } = endpoint;
    let sockets = std::iter::once(listener).chain(siblings).collect();
    let pool = Receiving { service: service.clone(), family: url.family, sockets, lock };
    processes::run(service, &url, options, pool)
}

impl<S, F> Receiving<S, F> {
    fn own(&self, place: usize) -> usize {
        place % self.sockets.len()
    }
}

impl<S: Both, T, F> Pool for Receiving<S, F>
where
    F: Fn() -> io::Result<T>,
    T: FnMut(&mut Clerk<S>, BorrowedFd<'_>) -> io::Result<Taken>,
{
    /// There are no connections: the worker serves here, and then has none to bring.
    fn enter(&mut self, place: usize) -> io::Result<impl FnMut() -> io::Result<Option<OwnedFd>>> {
        let own = self.sockets.swap_remove(self.own(place));
        self.sockets.clear();
        let mut take = (self.lock)()?;
        let mut clerk = Clerk::new(self.service.clone(), self.family);
        Ok(move || {
            while let Some(received) = next(&mut clerk, own.as_fd(), &mut take)? {
                clerk.answer(own.as_fd(), &received);
            }
            clerk.figures.report(place);
            Ok(None)
        })
    }

    fn ended(&mut self, _: usize, _: &mut Epoll, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn stop(&mut self, _: &mut Epoll) -> io::Result<()> {
        self.sockets.iter().try_for_each(|socket| set_nonblocking(socket.as_fd()))
    }
}

/// Serves with a pool of threads that receive for themselves from one socket; `take` is recv, with what the model puts round it.
///
/// # Errors
/// Those of clone(2) at the start, and of recvmsg(2) after which nothing more can be served.
pub fn threads<S: Both>(
    service: S,
    endpoint: Endpoint,
    take: impl Fn(&mut Clerk<S>, BorrowedFd<'_>) -> io::Result<Taken> + Send + Sync + 'static,
) -> io::Result<()> {
    let (family, options) = (endpoint.url.family, endpoint.options);
    let mut crew = Crew::new(service.clone(), endpoint)?;
    let take = Arc::new(take);
    for place in 0..options.workers {
        let take = Arc::clone(&take);
        let mut clerk = Clerk::new(service.clone(), family);
        crew.hire(move |socket| {
            while let Some(received) = next(&mut clerk, socket, |clerk, fd| take(clerk, fd))? {
                clerk.answer(socket, &received);
            }
            clerk.figures.report(place);
            Ok(None)
        })?;
    }
    crew.run()
}

/// recv as the kernel has it: whoever waits longest is woken.
///
/// # Errors
/// As [`super::take`].
pub fn plain<S: Both>(clerk: &mut Clerk<S>, fd: BorrowedFd<'_>) -> io::Result<Taken> {
    clerk.take(fd, Wait::Socket)
}
