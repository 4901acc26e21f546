//! `dgram-batched`: as many datagrams as are there with one call, and as many answers with another. Not here: the batches (see
//! `drive::datagram::batch`).

use crate::axes::{Axes, Capacity, datagrams};
use crate::drive::datagram::{Both, batch};
use crate::{Endpoint, Model};
use std::io;

/// What it is.
pub static MODEL: Model = Model {
    name: "dgram-batched",
    summary: "recvmmsg and sendmmsg: one call for as many datagrams as are there",
    origin: "Linux 2.6.33, 3.0; recvmmsg(2), sendmmsg(2)",
    axes: Axes {
        accept: "one socket, blocking",
        isolation: "none",
        lifetime: "one worker for all peers",
        multiplexing: "none: one batch at a time",
        work: "inline",
    },
    capacity: Capacity::System,
    supports: datagrams,
};

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of recvmmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    batch::batched(&service, &endpoint)
}
