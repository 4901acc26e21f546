//! `poll`: one loop that passes every descriptor on each turn. Not here: the loop (see `drive::reactor`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::poll::Poll;

/// What it is.
pub static MODEL: Model = Model {
    name: "poll",
    summary: "one event loop over poll(2): no limit as select has, the cost of a turn still grows with what is open",
    origin: "UNP chapter 6, tcpservpoll01; System V Release 3",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "poll, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of poll(2) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    reactor::run(service, endpoint, Poll::new())
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run(service, endpoint, Poll::new())
}
