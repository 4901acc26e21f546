//! Many datagrams with one call: recvmmsg(2) and sendmmsg(2) over buffers that are made once. Not here: what is answered.

use super::message::{header_for_receiving, header_for_sending, received, used};
use super::{Control, Peer, Received, Route, Wait};
use crate::Family;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Buffers for datagrams that come in; belongs to the thread that made it.
pub struct Inbound {
    bytes: Vec<u8>,
    size: usize,
    iovs: Vec<libc::iovec>,
    peers: Vec<Peer>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").field("filled", &self.headers.len()).finish_non_exhaustive()
    }
}

impl Inbound {
    /// Room for `count` datagrams of `size` bytes.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        Self {
            bytes: vec![0; count * size],
            size,
            iovs: Vec::with_capacity(count),
            peers: vec![Peer::NONE; count],
            controls: vec![Control::new(); count],
            headers: Vec::with_capacity(count),
        }
    }

    /// Receives as many as are there and have room; the first is waited for where `wait` says so (MSG_WAITFORONE). Returns how many.
    ///
    /// # Errors
    /// As [`recv`](super::recv), and only when there is no datagram to return.
    pub fn recv(&mut self, fd: BorrowedFd<'_>, family: Family, wait: Wait) -> io::Result<usize> {
        self.headers.clear();
        self.iovs.clear();
        let count = self.peers.len();
        for part in self.bytes.chunks_exact_mut(self.size) {
            self.iovs.push(libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
        }
        for ((iov, peer), control) in self.iovs.iter_mut().zip(&mut self.peers).zip(&mut self.controls) {
            // Anew for each call: the kernel has overwritten the lengths with those of the last one.
            let msg_hdr = header_for_receiving(iov, peer, control, family);
            self.headers.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        let flags = libc::MSG_WAITFORONE | wait.flags();
        // SAFETY: there are `count` headers, each of which points to its own buffer, name and control buffer; all live in `self`, and
        // none of the lists grows here or during the call.
        let n = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as libc::c_uint,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        let result = usize::try_from(n).map_err(|_| io::Error::last_os_error());
        self.headers.truncate(result.as_ref().copied().unwrap_or(0));
        result
    }

    /// The datagrams that the last call brought.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Received, &[u8])> {
        self.headers.iter().enumerate().map(|(at, header)| {
            let mut peer = self.peers[at];
            peer.len = header.msg_hdr.msg_namelen;
            let control = &self.controls[at].bytes[..used(&header.msg_hdr)];
            let start = at * self.size;
            let len = (header.msg_len as usize).min(self.size);
            (received(len, header.msg_hdr.msg_flags, peer, control), &self.bytes[start..start + len])
        })
    }
}

/// Pieces of one datagram that goes out.
const PIECES: usize = 3;

/// Headers for datagrams that go out; belongs to the thread that made it.
pub struct Outbound {
    iovs: Vec<[libc::iovec; PIECES]>,
    routes: Vec<Route>,
    controls: Vec<Control>,
    headers: Vec<libc::mmsghdr>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("room", &self.headers.capacity()).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Room for `count` datagrams; more make it grow.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            iovs: Vec::with_capacity(count),
            routes: Vec::with_capacity(count),
            controls: Vec::with_capacity(count),
            headers: Vec::with_capacity(count),
        }
    }

    /// Sends each of `datagrams`, in order and in as few calls as it takes; those that cannot be sent are passed over, and `failed` is
    /// told which and why. It may send that one by itself, at leisure; it returns the error that ends it all, if any.
    ///
    /// # Errors
    /// That of `failed`.
    pub fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (Route, [&'a [u8]; PIECES])>,
        wait: Wait,
        mut failed: impl FnMut(usize, io::Error) -> io::Result<()>,
    ) -> io::Result<()> {
        self.clear();
        for (route, pieces) in datagrams {
            self.controls.push(Control::of(&route, None));
            self.routes.push(route);
            self.iovs.push(pieces.map(|piece| libc::iovec {
                iov_base: piece.as_ptr().cast_mut().cast(),
                iov_len: piece.len(),
            }));
        }
        // Only now that the lists do not grow any more may they be pointed to.
        for ((iovs, route), control) in self.iovs.iter().zip(&self.routes).zip(&self.controls) {
            let mut msg_hdr = header_for_sending(&[] as &[IoSlice<'_>], route, control);
            msg_hdr.msg_iov = iovs.as_ptr().cast_mut();
            msg_hdr.msg_iovlen = PIECES as _;
            self.headers.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        let mut from = 0;
        while from < self.headers.len() {
            let rest = &mut self.headers[from..];
            let flags = libc::MSG_NOSIGNAL | wait.flags();
            // SAFETY: as many headers are there; what they point to is in `self`, or the caller's for as long as `'a` lasts, and the
            // kernel only reads it.
            let n = unsafe {
                libc::sendmmsg(fd.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, flags as _)
            };
            match usize::try_from(n) {
                // It stops short before a datagram that it cannot send, and says why only when that is the first.
                Ok(sent) if sent > 0 => from += sent,
                _ => {
                    let error = io::Error::last_os_error();
                    if error.raw_os_error() != Some(libc::EINTR) {
                        failed(from, error)?;
                        from += 1;
                    }
                }
            }
        }
        self.clear();
        Ok(())
    }

    /// What was pointed to is not the caller's any more.
    fn clear(&mut self) {
        self.headers.clear();
        self.iovs.clear();
        self.routes.clear();
        self.controls.clear();
    }
}
