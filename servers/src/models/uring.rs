//! `uring`: completions instead of readiness, an operation at a time. Not here: the loop (see `drive::completion`), and the newer
//! ways that io_uring has for servers (see `uring_multishot`).

use crate::axes::{Axes, Capacity, everything};
use crate::drive::completion::{self, Receive};
use crate::drive::datagram::{self, Both};
use crate::{Endpoint, Model};
use service::Service;
use std::io;

/// What it is.
pub static MODEL: Model = Model {
    name: "uring",
    summary: "one loop over io_uring(7), single-shot: an operation for each accept, receive and send, a buffer a connection",
    origin: "Linux 5.5; frevib/io_uring-echo-server",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "io_uring completions, single-shot",
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
    completion::run(service, endpoint, Receive::Once)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of io_uring(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::ring::run(service, endpoint, Receive::Once)
}
