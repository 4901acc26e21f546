//! `prefork-reuseport`: a pool of processes, each with a listener of its own at the same address; the kernel chooses by a hash of the
//! connection. Not here: the supervision (see `drive::processes`), the binding (see `sys::listen::listen_group`).
//!
//! The parent keeps every listener open: the queue of a worker that dies waits for its successor instead of being reset.
//! The price is paid on stop: the listener of a busy worker stays open until that worker has emptied its queue.

use crate::axes::{Axes, Capacity, POOL, tcp_by_port};
use crate::drive::datagram::{Both, pools};
use crate::drive::processes;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::os::fd::BorrowedFd;
use sys::socket::accept;

/// What it is.
pub static MODEL: Model = Model {
    name: "prefork-reuseport",
    summary: "a listener a process (SO_REUSEPORT): no shared queue, so no shared lock and no sharing of the load either",
    origin: "Linux 3.9; Apache httpd's ListenCoresBucketsRatio, nginx's `listen reuseport`",
    axes: Axes {
        accept: "listener per worker, SO_REUSEPORT, blocking",
        isolation: "process",
        lifetime: "static pool",
        multiplexing: "none: one connection a process at a time",
        work: "inline",
    },
    capacity: Capacity::Hashed(POOL),
    supports: tcp_by_port,
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
