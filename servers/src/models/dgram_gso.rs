//! `dgram-gso`: UDP with segmentation offload, which pays where a peer sends several datagrams at a time. Not here: the segments (see
//! `drive::datagram::batch`).

use crate::axes::{Axes, Capacity, udp_only};
use crate::drive::datagram::{Both, batch};
use crate::{Endpoint, Model};
use std::io;

/// What it is.
pub static MODEL: Model = Model {
    name: "dgram-gso",
    summary: "UDP with receive and send offload: the datagrams of one peer pass the stack as one",
    origin: "Linux 4.18, 5.0; udp(7) UDP_SEGMENT, UDP_GRO; QUIC servers",
    axes: Axes {
        accept: "one socket, blocking",
        isolation: "none",
        lifetime: "one worker for all peers",
        multiplexing: "none: the datagrams of one peer that came together at a time",
        work: "inline",
    },
    capacity: Capacity::System,
    supports: udp_only,
};

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of setsockopt(2) for a kernel before 5.0, and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    batch::segmented(&service, &endpoint)
}
