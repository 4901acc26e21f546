//! `uring-reuseport`: `uring-multishot` once for each thread, with a listener each. Not here: the loop (see `drive::completion`).

use crate::axes::{Axes, Capacity, tcp_by_port};
use crate::drive::completion::{self, Receive};
use crate::drive::datagram::{self, Both};
use crate::{Endpoint, Model};
use service::Service;
use std::io;

/// What it is.
pub static MODEL: Model = Model {
    name: "uring-reuseport",
    summary: "a multishot io_uring(7) loop a thread, each with its listener: nothing is shared but the port",
    origin: "Linux 6.0 and SO_REUSEPORT (3.9); the shared-nothing design of Seastar",
    axes: Axes {
        accept: "a listener a worker, SO_REUSEPORT",
        isolation: "none",
        lifetime: "a fixed number of threads",
        multiplexing: "io_uring completions, multishot, provided buffers",
        work: "spin inline, sleep by a timeout operation",
    },
    capacity: Capacity::System,
    supports: tcp_by_port,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of threads, io_uring(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    completion::run_shared(service, endpoint, Receive::Multi)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of io_uring(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::ring::run_shared(service, endpoint)
}
