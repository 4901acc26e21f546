//! `select`: one loop that scans every descriptor on each turn. Not here: the loop (see `drive::reactor`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::select::{FD_SETSIZE, Select};

/// What it is.
pub static MODEL: Model = Model {
    name: "select",
    summary: "one event loop over select(2): the cost of a turn grows with the highest descriptor",
    origin: "UNP chapter 6; 4.2BSD",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "select, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::Descriptors(FD_SETSIZE as u32),
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of select(2) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    reactor::run(service, endpoint, Select::new())
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run(service, endpoint, Select::new())
}
