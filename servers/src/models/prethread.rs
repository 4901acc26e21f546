//! `prethread`: a pool of threads that all wait in accept, without a lock. Not here: the pool (see `drive::threads`).

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::datagram::{Both, pools};
use crate::drive::threads::Crew;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::socket::accept;

/// What it is.
pub static MODEL: Model = Model {
    name: "prethread",
    summary: "a pool of threads, all in accept: the kernel wakes one, in turn",
    origin: "UNP's serv09.c (chapter 30, server 7, without its lock)",
    axes: Axes {
        accept: "shared listener, blocking, exclusive wake-up",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "none: one connection a thread at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start, and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let workers = endpoint.options.workers;
    let mut crew = Crew::new(service, endpoint)?;
    crew.hire_acceptors(workers, |listener| accept(listener, false))?;
    crew.run()
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    pools::threads(service, endpoint, pools::plain)
}
