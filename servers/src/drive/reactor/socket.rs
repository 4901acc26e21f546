//! A connection's descriptor as the state machine sees it, plain and with the memory that edge-triggering asks for.
//! Not here: the state machine.

use crate::drive::conn::Io;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, OwnedFd};
use sys::socket::{self, Side};
use sys::{Event, Interest};

/// A non-blocking stream socket.
pub(crate) struct Socket<'a>(pub(crate) &'a OwnedFd);

impl Io for Socket<'_> {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        socket::recv(self.0.as_fd(), buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::send(self.0.as_fd(), bytes)
    }

    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::send_slices(self.0.as_fd(), slices)
    }

    fn finish(&mut self) -> io::Result<()> {
        socket::shutdown(self.0.as_fd(), Side::Write)
    }

    fn reset(&mut self) {
        // Without the option the close is a plain one; there is nobody to tell.
        let _ = socket::reset_on_close(self.0.as_fd());
    }
}

/// What edges have told and no call has used up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    read: bool,
    write: bool,
    hang_up: bool,
    /// An end stands behind the input: read until it comes, since it will cause no edge.
    ended: bool,
    /// An edge came before the last one was used up, and may have told of an end: a short read is to be followed by another.
    again: bool,
}

impl Ready {
    /// Takes note of an edge; one in which nothing is ready announces an end (see [`sys::epoll::EpollEdge`]).
    pub(super) fn note(&mut self, event: Event) {
        self.again |= self.read && event.read;
        self.ended |= !(event.read || event.write || event.hang_up);
        self.read |= event.read || self.ended;
        self.write |= event.write;
        self.hang_up |= event.hang_up;
    }

    /// The event that a level-triggered mechanism would report now.
    pub(super) fn due(self, key: u64, interest: Interest) -> Option<Event> {
        let (read, write) = (self.read && interest.read, self.write && interest.write);
        (read || write || self.hang_up).then_some(Event { key, read, write, hang_up: self.hang_up })
    }
}

/// A socket under edge-triggering: a call that finds nothing, or less than it asked for, uses the readiness up.
pub(super) struct EdgeSocket<'a> {
    pub(super) socket: Socket<'a>,
    pub(super) ready: &'a mut Ready,
    /// Bytes moved, either way.
    pub(super) moved: &'a mut usize,
}

impl EdgeSocket<'_> {
    fn sent(&mut self, sent: io::Result<usize>) -> io::Result<usize> {
        match &sent {
            Ok(n) => *self.moved += n,
            // Only this makes the kernel report room again (tcp(7) says nothing of it; SOCK_NOSPACE in net/ipv4/tcp.c).
            Err(error) => self.ready.write &= error.kind() != io::ErrorKind::WouldBlock,
        }
        sent
    }
}

impl Io for EdgeSocket<'_> {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = self.socket.recv(buffer);
        match &received {
            // A short read is a drained socket (epoll(7), question 9).
            Ok(n) => {
                *self.moved += n;
                if *n < buffer.len() {
                    self.ready.read = self.ready.ended || self.ready.again;
                    self.ready.again = false;
                }
            }
            Err(error) => self.ready.read &= error.kind() != io::ErrorKind::WouldBlock,
        }
        received
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.socket.send(bytes);
        self.sent(sent)
    }

    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = self.socket.send_slices(slices);
        self.sent(sent)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.socket.finish()
    }

    fn reset(&mut self) {
        self.socket.reset();
    }
}
