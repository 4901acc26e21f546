//! `prefork`: a pool of processes that all wait in accept on one listener. Not here: locks round accept, which `prefork_flock` and
//! `prefork_mutex` add; the supervision (see `drive::processes`).

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::datagram::{Both, pools};
use crate::drive::processes;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::os::fd::BorrowedFd;
use sys::socket::accept;

/// What it is.
pub static MODEL: Model = Model {
    name: "prefork",
    summary: "a pool of processes, all in accept: no fork a connection, the kernel wakes one, in turn",
    origin: "UNP chapter 30, server 2; Apache httpd's prefork MPM",
    axes: Axes {
        accept: "shared listener, blocking, exclusive wake-up",
        isolation: "process",
        lifetime: "static pool",
        multiplexing: "none: one connection a process at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of fork(2) at the start.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    processes::listening(service, endpoint, || Ok(|listener: BorrowedFd<'_>| accept(listener, false)))
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of fork(2) at the start.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    pools::processes(service, endpoint, || Ok(pools::plain))
}
