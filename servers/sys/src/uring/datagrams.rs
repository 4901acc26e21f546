//! Datagrams as operations of a ring: recvmsg(2), once or again and again into provided buffers, and sendmsg(2), each with the memory
//! that the kernel reads or writes until it is over. Not here: what is answered.

use super::buffers::GROUP;
use super::{Hold, OpId, Outgoing, Ring};
use crate::Family;
use crate::datagram::control::Control;
use crate::datagram::message::{header_for_receiving, header_for_sending, received, used};
use crate::datagram::{Peer, Received, Route};
use io_uring::{opcode, types};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// A place for one datagram with its address, used again and again.
pub struct Envelope {
    /// What is received into, over all of its length. The caller may take it, and must put one back before the next receive.
    pub bytes: Vec<u8>,
    peer: Peer,
    control: Control,
    slice: libc::iovec,
    header: libc::msghdr,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope").field("room", &self.bytes.len()).finish_non_exhaustive()
    }
}

const NOWHERE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

impl Envelope {
    /// Room for `size` bytes.
    #[must_use]
    pub fn new(size: usize) -> Box<Self> {
        Box::new(Self {
            bytes: vec![0; size],
            peer: Peer::NONE,
            control: Control::new(),
            slice: NOWHERE,
            header: header_for_sending(&[], &Route::CONNECTED, &Control::new()),
        })
    }

    fn message(&mut self, family: Family) -> *mut libc::msghdr {
        self.slice = libc::iovec { iov_base: self.bytes.as_mut_ptr().cast(), iov_len: self.bytes.len() };
        self.header = header_for_receiving(&mut self.slice, &mut self.peer, &mut self.control, family);
        &raw mut self.header
    }

    /// What is known of the datagram of `len` bytes that a completion has brought.
    #[must_use]
    pub fn received(&self, len: u32) -> Received {
        let mut peer = self.peer;
        peer.len = self.header.msg_namelen;
        let len = (len as usize).min(self.bytes.len());
        received(len, self.header.msg_flags, peer, &self.control.bytes[..used(&self.header)])
    }
}

/// What the kernel puts before a datagram in a provided buffer, at most, in bytes: its own head, the address, the control messages.
pub const HEAD: usize = 16 + Peer::SIZE as usize + Control::ROOM;

/// What is known of a datagram in a provided buffer, and where its bytes are. `None` where the kernel cannot have written it.
#[must_use]
pub fn open(buffer: &[u8], family: Family) -> Option<(Received, Range<usize>)> {
    let (mut slice, mut name, mut control) = (NOWHERE, Peer::NONE, Control::new());
    // Only the lengths are looked at: they are those that the operation was started with.
    let asked = header_for_receiving(&mut slice, &mut name, &mut control, family);
    let message = types::RecvMsgOut::parse(buffer, &asked).ok()?;
    let mut peer = Peer::NONE;
    let address = message.name_data();
    peer.bytes.get_mut(..address.len())?.copy_from_slice(address);
    peer.len = address.len() as u32;
    let flags = if message.is_payload_truncated() { libc::MSG_TRUNC } else { 0 };
    let bytes = message.payload_data();
    let start = bytes.as_ptr().addr() - buffer.as_ptr().addr();
    Some((received(bytes.len(), flags, peer, message.control_data()), start..start + bytes.len()))
}

/// A datagram on its way out.
pub struct Letter {
    what: Outgoing,
    route: Route,
    control: Control,
    slice: libc::iovec,
    header: libc::msghdr,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("what", &self.what).field("route", &self.route).finish_non_exhaustive()
    }
}

impl Letter {
    /// A letter with `what` in it, to be sent along `route`.
    #[must_use]
    pub fn new(what: Outgoing, route: Route) -> Box<Self> {
        let control = Control::of(&route, None);
        let header = header_for_sending(&[], &Route::CONNECTED, &Control::new());
        Box::new(Self { what, route, control, slice: NOWHERE, header })
    }

    /// Puts something else into it; gives back what was.
    pub fn change(&mut self, what: Outgoing, route: Route) -> Outgoing {
        self.control = Control::of(&route, None);
        self.route = route;
        std::mem::replace(&mut self.what, what)
    }

    /// The way it goes.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Sends it by a call of its own, without waiting for room.
    ///
    /// # Errors
    /// As [`send`](crate::datagram::send).
    pub fn send_now(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let (fd, flags) = (fd.as_raw_fd(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
        // SAFETY: the header points into this letter, which lives through the call and is borrowed for it; the kernel only reads it.
        let n = unsafe { libc::sendmsg(fd, self.message(), flags) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn message(&mut self) -> *const libc::msghdr {
        self.header = header_for_sending(&[] as &[IoSlice<'_>], &self.route, &self.control);
        let (slices, count) = match &mut self.what {
            Outgoing::Chunk(chunk, range) => {
                let bytes = &chunk[range.clone()];
                self.slice = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
                (&raw mut self.slice, 1)
            }
            Outgoing::Gather(gather) => gather.slices(),
        };
        self.header.msg_iov = slices;
        self.header.msg_iovlen = count as _;
        &raw const self.header
    }
}

impl Ring {
    /// Receives one datagram into `envelope`.
    ///
    /// # Errors
    /// Those of io_uring_enter(2), as for all operations.
    pub fn recv_datagram(
        &mut self,
        fd: BorrowedFd<'_>,
        family: Family,
        envelope: Box<Envelope>,
        key: u64,
    ) -> io::Result<OpId> {
        let fd = types::Fd(fd.as_raw_fd());
        self.start(key, Hold::Envelope(envelope), |hold| match hold {
            Hold::Envelope(envelope) => opcode::RecvMsg::new(fd, envelope.message(family)).build(),
            _ => opcode::Nop::new().build(),
        })
    }

    /// Receives one datagram after the other into provided buffers (io_uring_prep_recvmsg_multishot(3)), which [`open`] reads. A buffer
    /// needs [`HEAD`] bytes more than the longest datagram. Ends with ENOBUFS when there is none left, and with an empty datagram, which
    /// it brings.
    ///
    /// # Errors
    /// As [`recv_datagram`](Self::recv_datagram).
    pub fn recv_datagrams(&mut self, fd: BorrowedFd<'_>, family: Family, key: u64) -> io::Result<OpId> {
        let fd = types::Fd(fd.as_raw_fd());
        // Its lengths say how much room is left for address and control messages; it has no memory of its own for them.
        self.start(key, Hold::Envelope(Envelope::new(0)), |hold| match hold {
            Hold::Envelope(envelope) => {
                opcode::RecvMsgMulti::new(fd, envelope.message(family), GROUP).build()
            }
            _ => opcode::Nop::new().build(),
        })
    }

    /// Sends a datagram, without SIGPIPE and without waiting for room: EAGAIN where there is none.
    ///
    /// # Errors
    /// As [`recv_datagram`](Self::recv_datagram).
    pub fn send_datagram(&mut self, fd: BorrowedFd<'_>, letter: Box<Letter>, key: u64) -> io::Result<OpId> {
        let fd = types::Fd(fd.as_raw_fd());
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) as u32;
        self.start(key, Hold::Letter(letter), |hold| match hold {
            Hold::Letter(letter) => opcode::SendMsg::new(fd, letter.message()).flags(flags).build(),
            _ => opcode::Nop::new().build(),
        })
    }
}
