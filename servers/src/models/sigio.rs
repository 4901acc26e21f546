//! `sigio`: one loop that is told by signals. Not here: the loop, its budget and its ready list (see `drive::reactor`), and what becomes
//! of a queue that overflows (see `sys::sigio`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::sigio::SigIo;

/// What it is.
pub static MODEL: Model = Model {
    name: "sigio",
    summary: "one event loop over queued real-time signals: the way between poll and epoll, kept as a museum piece",
    origin: "UNP chapter 25; Linux 2.4, fcntl(2) F_SETSIG",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "signal-driven I/O, edge-triggered; polled once where the queue overflows",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of signalfd(2), fcntl(2) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    reactor::run(service, endpoint, SigIo::new()?)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of signalfd(2), fcntl(2) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run(service, endpoint, SigIo::new()?)
}
