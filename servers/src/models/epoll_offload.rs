//! `epoll-offload`: one loop that never blocks, and a pool of helpers for handler work. Not here: the loop (see `drive::reactor`) and
//! the pool (see `drive::helpers`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::helpers::Helpers;
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::epoll::Epoll;

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll-offload",
    summary: "AMPED: one event loop over epoll; handler work runs in a pool of helper threads and comes back by an eventfd",
    origin: "Flash (Pai, Druschel, Zwaenepoel, USENIX 1999); nginx thread_pool",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections, a fixed pool of helpers",
        multiplexing: "epoll, level-triggered",
        work: "spin and sleep in the pool",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// `--workers` is the number of helpers: work that sleeps holds one, so the pool bounds how much of it goes on at a time.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    reactor::run_with(service, endpoint, Epoll::new()?, |count| Helpers::start(count).map(Some))
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run_with(service, endpoint, Epoll::new()?, |count| Helpers::start(count).map(Some))
}
