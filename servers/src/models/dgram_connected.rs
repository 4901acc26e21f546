//! `dgram-connected`: a socket for each peer, made by its first datagram. Not here: the loop (see `drive::datagram::connected`).

use crate::axes::{Axes, Capacity, udp_only};
use crate::drive::datagram::{Both, connected};
use crate::{Endpoint, Model};
use std::io;

/// What it is.
pub static MODEL: Model = Model {
    name: "dgram-connected",
    summary: "a connected UDP socket for each peer, in one epoll loop: the kernel tells the peers apart",
    origin: "UNP 22.7, the concurrent UDP server; TFTP; QUIC servers",
    axes: Axes {
        accept: "the first datagram of a peer on the common socket",
        isolation: "none",
        lifetime: "a socket a peer, one worker for all",
        multiplexing: "epoll, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: udp_only,
};

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    connected::serve(service, endpoint)
}
