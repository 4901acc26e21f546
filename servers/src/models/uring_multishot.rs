//! `uring-multishot`: completions, with operations that go on by themselves and buffers that the kernel chooses. Not here: the loop
//! (see `drive::completion`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::completion::{self, Receive};
use crate::drive::datagram::{self, Both};
use crate::{Endpoint, Model};
use service::Service;
use std::io;

/// What it is.
pub static MODEL: Model = Model {
    name: "uring-multishot",
    summary: "one loop over io_uring(7), multishot accept and receive into a shared ring of buffers",
    origin: "Linux 6.0; liburing's examples/proxy.c",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "io_uring completions, multishot, provided buffers",
        work: "spin inline, sleep by a timeout operation",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of io_uring(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    completion::run(service, endpoint, Receive::Multi)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of io_uring(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::ring::run(service, endpoint, Receive::Multi)
}
