//! `epoll`: one loop, the kernel keeps the interest and names what is ready. Not here: the loop (see `drive::reactor`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::epoll::Epoll;

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll",
    summary: "one event loop over epoll(7), level-triggered: the cost of a turn grows with what is ready",
    origin: "Linux 2.6; the loop of redis and memcached",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
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
    reactor::run(service, endpoint, Epoll::new()?)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run(service, endpoint, Epoll::new()?)
}
