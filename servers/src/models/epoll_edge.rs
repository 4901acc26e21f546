//! `epoll-et`: one loop that is told of each readiness once and drains. Not here: the loop, its budget and its ready list (see
//! `drive::reactor`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::epoll::EpollEdge;

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll-et",
    summary: "one event loop over edge-triggered epoll: one epoll_ctl a connection, drained under a budget",
    origin: "Linux 2.6; nginx, ngx_epoll_module.c",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "epoll, edge-triggered",
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
    reactor::run(service, endpoint, EpollEdge::new()?)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run(service, endpoint, EpollEdge::new()?)
}
