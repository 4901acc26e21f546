//! One datagram at a time: recvmsg(2) and sendmsg(2) with what a server needs beside the bytes. Not here: batches.

use super::{Control, Local, Peer, Route};
use crate::Family;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Whether a call may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// As the socket is: a blocking one waits, for a send as long as its patience (see `set_send_patience`).
    Socket,
    /// Not at all (MSG_DONTWAIT), whatever the socket's mode.
    No,
}

impl Wait {
    pub(crate) fn flags(self) -> i32 {
        if self == Self::No { libc::MSG_DONTWAIT } else { 0 }
    }
}

/// What is known of a datagram beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer.
    pub len: usize,
    /// It was longer than the buffer, and its rest is gone (MSG_TRUNC).
    pub truncated: bool,
    /// Where the answer goes.
    pub route: Route,
    /// Datagrams that the socket had dropped until then, for want of room (SO_RXQ_OVFL); 0 where none, or where nobody counts.
    pub dropped: u32,
    /// The buffer holds several datagrams of this many bytes, of which the last may be shorter (UDP_GRO).
    pub segment: Option<u16>,
    /// Not a datagram that came, but the head of one that was sent and brought an ICMP message, which stands for this error number (see
    /// [`refusal`]).
    pub refused: Option<i32>,
}

impl Default for Received {
    fn default() -> Self {
        let route = Route { peer: Peer::NONE, local: Local::Bound };
        Self { len: 0, truncated: false, route, dropped: 0, segment: None, refused: None }
    }
}

/// Receives one datagram into `buffer`; `Ok` with a length of 0 is an empty datagram, and no end.
///
/// From a Unix socket no control messages are taken: descriptors that somebody sends along are closed by the kernel.
///
/// # Errors
/// EAGAIN, EINTR; ECONNREFUSED for what a connected socket sent before, which says nothing about the next datagram.
pub fn recv(fd: BorrowedFd<'_>, family: Family, buffer: &mut [u8], wait: Wait) -> io::Result<Received> {
    recv_with(fd, family, buffer, wait.flags())
}

/// Takes the oldest ICMP message that answered one of the datagrams of a UDP socket that was told to keep them (`keep_refusals`), without
/// waiting: `refused` of the result is its error number, and `buffer` holds the head of the datagram, as much as the message quoted (548
/// bytes with the headers in IPv4) and has room. `refused` is `None` for what the kernel noted for another reason.
///
/// Taking the last one also takes back the error that the next call on the socket would have met (sock_dequeue_err_skb).
///
/// # Errors
/// EAGAIN: there is none. EINTR.
pub fn refusal(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    recv_with(fd, Family::Udp, buffer, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
}

fn recv_with(fd: BorrowedFd<'_>, family: Family, buffer: &mut [u8], flags: i32) -> io::Result<Received> {
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut peer = Peer::NONE;
    let mut control = Control::new();
    let mut header = header_for_receiving(&mut iov, &mut peer, &mut control, family);
    // SAFETY: the header points to the buffer, the name and the control buffer with their lengths; all live through the call.
    let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) };
    let Ok(len) = usize::try_from(n) else { return Err(io::Error::last_os_error()) };
    peer.len = header.msg_namelen;
    Ok(received(len, header.msg_flags, peer, &control.bytes[..used(&header)]))
}

/// The length of the control messages that came.
#[expect(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
pub(crate) fn used(header: &libc::msghdr) -> usize {
    (header.msg_controllen as usize).min(Control::ROOM)
}

pub(crate) fn received(len: usize, flags: i32, peer: Peer, control: &[u8]) -> Received {
    let route = Route { peer, local: Local::Bound };
    let mut received =
        Received { len, truncated: flags & libc::MSG_TRUNC != 0, route, ..Received::default() };
    Control::read(control, &mut received);
    received
}

/// A header that names these three, with the lengths to be set anew before each call: the kernel overwrites them.
pub(crate) fn header_for_receiving(
    iov: &mut libc::iovec,
    peer: &mut Peer,
    control: &mut Control,
    family: Family,
) -> libc::msghdr {
    let mut header = empty();
    header.msg_iov = iov;
    header.msg_iovlen = 1;
    header.msg_name = peer.bytes.as_mut_ptr().cast();
    header.msg_namelen = Peer::SIZE;
    if family == Family::Udp {
        header.msg_control = control.bytes.as_mut_ptr().cast();
        header.msg_controllen = Control::ROOM as _;
    }
    header
}

pub(super) fn empty() -> libc::msghdr {
    // SAFETY: null pointers and zero lengths are a valid header; the structure has private padding in some C libraries.
    unsafe { std::mem::zeroed() }
}

/// A header that sends `pieces` along `route`; it points to all of its arguments.
pub(crate) fn header_for_sending(pieces: &[IoSlice<'_>], route: &Route, control: &Control) -> libc::msghdr {
    let mut header = empty();
    // IoSlice has the layout of struct iovec; the kernel only reads it.
    header.msg_iov = pieces.as_ptr().cast_mut().cast();
    header.msg_iovlen = pieces.len() as _;
    if route.peer.len > 0 {
        header.msg_name = route.peer.bytes.as_ptr().cast_mut().cast();
        header.msg_namelen = route.peer.len;
    }
    if control.len > 0 {
        header.msg_control = control.bytes.as_ptr().cast_mut().cast();
        header.msg_controllen = control.len as _;
    }
    header
}

/// Sends `pieces` as one datagram along `route`. Whole or not at all: there are no short sends of datagrams.
///
/// # Errors
/// EAGAIN: the peer does not read (Unix), or the socket's own buffer is full. ECONNREFUSED, ENOENT: the peer is gone (Unix). EINVAL,
/// EDESTADDRREQ or ENOTCONN: it has no name. EMSGSIZE: too long. EINTR. On a connected UDP socket ECONNREFUSED is about an earlier
/// datagram.
pub fn send(fd: BorrowedFd<'_>, pieces: &[IoSlice<'_>], route: &Route, wait: Wait) -> io::Result<()> {
    send_with(fd, pieces, route, &Control::of(route, None), wait)
}

/// As [`send`], and the kernel (or the network card) cuts the bytes into datagrams of `segment` bytes, of which the last may be
/// shorter; at most [`SEGMENTS`](super::SEGMENTS), and 65,507 bytes in all (UDP_SEGMENT, udp(7)).
///
/// # Errors
/// As [`send`]; EIO where the route's device cannot have checksums made for it, EINVAL for a segment beyond the route's MTU: send one by
/// one then.
pub fn send_segments(
    fd: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    route: &Route,
    segment: u16,
    wait: Wait,
) -> io::Result<()> {
    send_with(fd, pieces, route, &Control::of(route, Some(segment)), wait)
}

fn send_with(
    fd: BorrowedFd<'_>,
    pieces: &[IoSlice<'_>],
    route: &Route,
    control: &Control,
    wait: Wait,
) -> io::Result<()> {
    let header = header_for_sending(pieces, route, control);
    // SAFETY: all that the header points to lives through the call, and the kernel only reads it.
    let n = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL | wait.flags()) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
