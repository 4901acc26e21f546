//! Many datagrams of a connected socket with one call, the bytes and nothing else: no addresses, no control messages. Not here: batches
//! of a server, which needs both (see `batch`).

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Buffers and headers for up to so many datagrams a call, for any number of sockets; belongs to the thread that made it.
pub struct Burst {
    bytes: Vec<u8>,
    size: usize,
    count: usize,
    lens: Vec<usize>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl std::fmt::Debug for Burst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Burst").field("count", &self.count).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Burst {
    /// Room for `count` datagrams of `size` bytes; both at least 1.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Self {
        let (count, size) = (count.max(1), size.max(1));
        Self {
            bytes: vec![0; count * size],
            size,
            count,
            lens: Vec::with_capacity(count),
            iovs: Vec::with_capacity(count),
            headers: Vec::with_capacity(count),
        }
    }

    /// Most datagrams of one call.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Receives as many as are there and have room, at most `want`, without waiting; [`get`](Self::get) shows them. Returns how many.
    ///
    /// One that is longer than there is room for is cut, and shown with all of the room.
    ///
    /// # Errors
    /// EAGAIN, EINTR; ECONNREFUSED and its like for what was sent before. Only when there is no datagram to return.
    pub fn recv(&mut self, fd: BorrowedFd<'_>, want: usize) -> io::Result<usize> {
        self.lens.clear();
        if want <= 1 {
            // A call less deep, which is most of them where little is out at a time.
            let (len, _) =
                rustix::net::recv(fd, &mut self.bytes[..self.size], rustix::net::RecvFlags::DONTWAIT)?;
            self.lens.push(len);
            return Ok(1);
        }
        self.iovs.clear();
        for part in self.bytes.chunks_exact_mut(self.size).take(want) {
            self.iovs.push(libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
        }
        let n = self.call(|headers, count| {
            let null = std::ptr::null_mut();
            // SAFETY: there are `count` headers, each of which points to one iovec and that to its own part of `self.bytes`; none of the
            // lists grows before the call is over.
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _, null) }
        })?;
        self.lens.extend(self.headers.iter().take(n).map(|header| (header.msg_len as usize).min(self.size)));
        self.headers.clear();
        Ok(n)
    }

    /// Datagram `at` of the last [`recv`](Self::recv).
    #[must_use]
    pub fn get(&self, at: usize) -> &[u8] {
        let len = self.lens.get(at).copied().unwrap_or(0);
        self.bytes.get(at * self.size..at * self.size + len).unwrap_or_default()
    }

    /// Sends the first of `messages`, each as one datagram, in order, without waiting. Returns how many; the next one may be what stopped
    /// it, which a second call says.
    ///
    /// # Errors
    /// Of the first message: EAGAIN, EINTR, EMSGSIZE, ENOBUFS; ECONNREFUSED and its like, on UDP about an earlier one.
    pub fn send(&mut self, fd: BorrowedFd<'_>, messages: &[Vec<u8>]) -> io::Result<usize> {
        if let [message] = messages {
            let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
            rustix::net::send(fd, message, flags)?;
            return Ok(1);
        }
        self.iovs.clear();
        for message in messages.iter().take(self.count) {
            self.iovs
                .push(libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() });
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let n = self.call(|headers, count| {
            // SAFETY: as many headers are there, each points to one iovec and that to a message, which the kernel only reads; all live
            // through the call.
            unsafe { libc::sendmmsg(fd.as_raw_fd(), headers, count, flags as _) }
        });
        self.headers.clear();
        n
    }

    /// Makes a header for each iovec, and the call over them.
    fn call(
        &mut self,
        call: impl FnOnce(*mut libc::mmsghdr, libc::c_uint) -> libc::c_int,
    ) -> io::Result<usize> {
        self.headers.clear();
        for iov in &mut self.iovs {
            let mut msg_hdr = super::message::empty();
            msg_hdr.msg_iov = iov;
            msg_hdr.msg_iovlen = 1;
            self.headers.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        let n = call(self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}
