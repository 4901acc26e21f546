//! Many datagrams of a connected socket with one call, the bytes and nothing else: no addresses. Not here: batches of a server, which
//! needs them (see `batch`).

use super::{Control, Local, Peer, Route, message};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Buffers and headers for up to so many datagrams a call, for any number of sockets; belongs to the thread that made it.
///
/// With [`Segments::Joined`] those of one length that go out together are one send, which the kernel cuts (UDP_SEGMENT), and what comes
/// in may be several in one buffer (UDP_GRO, which the socket must have been told, see [`take_segments`](super::take_segments)): for
/// UDP, where the way through the kernel costs more than all else.
pub struct Burst {
    bytes: Vec<u8>,
    /// Of one buffer.
    size: usize,
    count: usize,
    joined: bool,
    /// Where the datagrams of the last receive lie, and their lengths.
    spans: Vec<(usize, usize)>,
    iovs: Vec<libc::iovec>,
    /// How many of the iovecs each header has.
    groups: Vec<usize>,
    headers: Vec<libc::mmsghdr>,
    controls: Vec<Control>,
}

/// How datagrams go through the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// Each by itself.
    Single,
    /// Several in one piece, where they can be.
    Joined,
}

/// Buffers of [`super::ROOM`] bytes for what comes in joined, at most.
const JOINED_BUFFERS: usize = 8;

/// Most bytes of one send: what one UDP datagram can carry (udp(7)).
const MOST_BYTES: usize = 65_507;

impl std::fmt::Debug for Burst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Burst").field("count", &self.count).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Burst {
    /// Room for `count` datagrams of `size` bytes; both at least 1.
    #[must_use]
    pub fn new(count: usize, size: usize, segments: Segments) -> Self {
        let (count, joined) = (count.max(1), segments == Segments::Joined);
        let (size, buffers) =
            if joined { (super::ROOM, count.min(JOINED_BUFFERS)) } else { (size.max(1), count) };
        Self {
            bytes: vec![0; buffers * size],
            size,
            count,
            joined,
            spans: Vec::with_capacity(count),
            iovs: Vec::with_capacity(count),
            groups: Vec::with_capacity(count),
            headers: Vec::with_capacity(count),
            controls: Vec::with_capacity(count),
        }
    }

    /// Most datagrams of one call.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Receives as many as are there and have room, without waiting: at most `want`, but for those that come joined; [`get`](Self::get)
    /// shows them. Returns how many.
    ///
    /// One that is longer than there is room for is cut, and shown with all of the room.
    ///
    /// # Errors
    /// EAGAIN, EINTR; ECONNREFUSED and its like for what was sent before. Only when there is no datagram to return.
    pub fn recv(&mut self, fd: BorrowedFd<'_>, want: usize) -> io::Result<usize> {
        self.spans.clear();
        if want <= 1 && !self.joined {
            // A call less deep, which is most of them where little is out at a time.
            let (len, _) =
                rustix::net::recv(fd, &mut self.bytes[..self.size], rustix::net::RecvFlags::DONTWAIT)?;
            self.spans.push((0, len));
            return Ok(1);
        }
        self.forget();
        for part in self.bytes.chunks_exact_mut(self.size).take(want) {
            self.iovs.push(libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
            self.groups.push(1);
            if self.joined {
                self.controls.push(Control { len: Control::ROOM, ..Control::new() });
            }
        }
        let n = self.call(|headers, count| {
            let null = std::ptr::null_mut();
            // SAFETY: there are `count` headers, each of which points to one iovec and that to its own part of `self.bytes`, and to its
            // own control buffer or none; none of the lists grows before the call is over.
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _, null) }
        })?;
        for (at, header) in self.headers.iter().take(n).enumerate() {
            let len = (header.msg_len as usize).min(self.size);
            let segment = self.controls.get(at).and_then(|control| control.segment(&header.msg_hdr));
            let (start, step) = (at * self.size, segment.map_or(len, usize::from).max(1));
            // An empty datagram is one too.
            let pieces = len.div_ceil(step).max(1);
            self.spans.extend((0..pieces).map(|i| (start + i * step, step.min(len - i * step))));
        }
        self.forget();
        Ok(self.spans.len())
    }

    /// Datagram `at` of the last [`recv`](Self::recv).
    #[must_use]
    pub fn get(&self, at: usize) -> &[u8] {
        let (start, len) = self.spans.get(at).copied().unwrap_or((0, 0));
        self.bytes.get(start..start + len).unwrap_or_default()
    }

    /// Sends the first of `messages`, each as one datagram, in order, without waiting. Returns how many; the next one may be what stopped
    /// it, which a second call says.
    ///
    /// Where the kernel or the route refuses to cut (EIO, EINVAL), they go one by one from then on.
    ///
    /// # Errors
    /// Of the first message: EAGAIN, EINTR, EMSGSIZE, ENOBUFS; ECONNREFUSED and its like, on UDP about an earlier one.
    pub fn send(&mut self, fd: BorrowedFd<'_>, messages: &[Vec<u8>]) -> io::Result<usize> {
        if let [message] = messages {
            let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
            rustix::net::send(fd, message, flags)?;
            return Ok(1);
        }
        self.forget();
        let messages = &messages[..messages.len().min(self.count)];
        for message in messages {
            self.iovs
                .push(libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() });
        }
        self.group();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let sent = self.call(|headers, count| {
            // SAFETY: as many headers are there, each points to its iovecs, those to messages, which the kernel only reads, and to its
            // control message or none; all live through the call.
            unsafe { libc::sendmmsg(fd.as_raw_fd(), headers, count, flags as _) }
        });
        let sent = sent.map(|n| self.groups.iter().take(n).sum());
        let cut = self.groups.first().is_some_and(|group| *group > 1);
        self.forget();
        match sent {
            Err(error) if cut && matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                self.joined = false;
                self.send(fd, messages)
            }
            other => other,
        }
    }

    /// Puts messages that may go as one send into one group: of one length, but for the last, which may be shorter.
    fn group(&mut self) {
        let mut at = 0;
        while let Some(first) = self.iovs.get(at) {
            let segment = first.iov_len;
            let (mut taken, mut bytes) = (1, segment);
            let joins = self.joined && segment > 0 && u16::try_from(segment).is_ok();
            for next in self.iovs[at + 1..].iter().take_while(|_| joins) {
                let fits = taken < super::SEGMENTS && bytes + next.iov_len <= MOST_BYTES;
                if !fits || next.iov_len > segment || next.iov_len == 0 {
                    break;
                }
                (taken, bytes) = (taken + 1, bytes + next.iov_len);
                if next.iov_len < segment {
                    break;
                }
            }
            let none = Route { peer: Peer::NONE, local: Local::Bound };
            let segment = u16::try_from(segment).ok().filter(|_| taken > 1);
            self.controls.push(Control::of(&none, segment));
            self.groups.push(taken);
            at += taken;
        }
    }

    /// What points into buffers is gone when a call is over.
    fn forget(&mut self) {
        self.iovs.clear();
        self.groups.clear();
        self.headers.clear();
        self.controls.clear();
    }

    /// Makes a header for each group of iovecs, and the call over them.
    fn call(
        &mut self,
        call: impl FnOnce(*mut libc::mmsghdr, libc::c_uint) -> libc::c_int,
    ) -> io::Result<usize> {
        self.headers.clear();
        let mut iovs = self.iovs.as_mut_slice();
        let mut controls = self.controls.iter_mut();
        for &group in &self.groups {
            let (own, others) = iovs.split_at_mut(group);
            iovs = others;
            let mut msg_hdr = message::empty();
            msg_hdr.msg_iov = own.as_mut_ptr();
            msg_hdr.msg_iovlen = group as _;
            if let Some(control) = controls.next().filter(|control| control.len > 0) {
                msg_hdr.msg_control = control.bytes.as_mut_ptr().cast();
                msg_hdr.msg_controllen = control.len as _;
            }
            self.headers.push(libc::mmsghdr { msg_hdr, msg_len: 0 });
        }
        let n = call(self.headers.as_mut_ptr(), self.headers.len() as libc::c_uint);
        usize::try_from(n).map_err(|_| io::Error::last_os_error())
    }
}
