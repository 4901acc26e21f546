//! `epoll-shared`: a loop a worker, all of them watching the one listener: the thundering herd, as an exhibit. Not here: the loops
//! (see `drive::loops`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::loops;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::epoll::Epoll;

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll-shared",
    summary: "N event loops that all watch one listener: each connection wakes every idle one (the thundering herd)",
    origin: "an exhibit; Linux before 4.5",
    axes: Axes {
        accept: "shared listener in N epolls: all that wait are woken, the first takes it",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "epoll, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    loops::run(service, endpoint, Epoll::new)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run_shared(service, endpoint, Epoll::new)
}
