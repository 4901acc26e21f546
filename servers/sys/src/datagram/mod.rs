//! Datagram sockets of both families: where a datagram came from and where it arrived, one at a time and in batches. Not here: what
//! is answered, and what becomes of an answer that cannot be sent.
//!
//! rustix and socket2 wrap none of what a datagram server needs beside the bytes (IP_PKTINFO, SO_RXQ_OVFL, UDP_GRO; recvmmsg(2)), so
//! the message header is made here; its control messages are read and written as plain bytes, without `unsafe` (see `control`).

mod batch;
mod burst;
pub(crate) mod control;
pub(crate) mod message;
mod peer;
mod sockets;
#[cfg(test)]
mod tests;

pub use batch::{Inbound, Outbound};
pub use burst::{Burst, Segments};
use control::Control;
pub use message::{Received, Wait, recv, refusal, send, send_segments};
pub use peer::{Local, Peer, Route};
pub use sockets::{
    Bound, Client, Counts, answer_socket, bind, bind_group, drops, keep_refusals, receive_buffer,
    set_receive_buffer, set_send_buffer, set_send_patience, take_segments,
};

/// Room for the largest datagram that UDP can bring (a length of 16 bits), in bytes: with a buffer of this size none is cut.
pub const ROOM: usize = 65_535;

/// Most datagrams that one send with UDP_SEGMENT, or one receive with UDP_GRO, stands for (UDP_MAX_SEGMENTS before Linux 6.9).
pub const SEGMENTS: usize = 64;
