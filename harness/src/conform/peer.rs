//! The probing client: one connection, every step of which has a deadline and an outcome of its own. Not here: verdicts.

use super::fault::{Fault, What};
pub use super::pending::Pending;
use super::target::Target;
use super::wire::Act;
use service::Output;
use service::client::{AnyClient, Ask, Client as _, Mismatch, Progress};
use service::raw::RawClient;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::epoll::Epoll;
use sys::socket::{self, Side, TcpState};
use sys::{Interest, Poller};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// FIN.
    Closed,
    /// RST.
    Reset,
    /// Not within the time.
    Open,
}

/// One connection to the subject.
pub struct Peer {
    fd: OwnedFd,
    target: Target,
    number: u64,
    sequence: u64,
    /// Received and not yet used by a check.
    unused: Vec<u8>,
    /// Received in all.
    received: u64,
    /// Its number in the log of the case.
    line: u64,
}

impl Peer {
    /// Connects; `number` makes the payloads of this connection its own.
    ///
    /// # Errors
    /// Refused, silent, reset.
    pub fn connect(target: &Target, number: u64) -> Result<Self, Fault> {
        Self::connect_with(target, number, None)
    }

    /// As [`Self::connect`], with a receive buffer of `buffer` bytes.
    ///
    /// # Errors
    /// Refused, silent, reset.
    pub fn connect_with(target: &Target, number: u64, buffer: Option<usize>) -> Result<Self, Fault> {
        if let Some(gate) = &target.gate {
            gate.pass();
        }
        let peer = Self::start(target, number, buffer)?;
        if peer.connected(target.reply)? {
            Ok(peer)
        } else {
            Err(peer.silent(target.reply).during("connect"))
        }
    }

    /// Begins to connect, and does not wait.
    ///
    /// # Errors
    /// Refused at once; the harness has no descriptor.
    pub fn start(target: &Target, number: u64, buffer: Option<usize>) -> Result<Self, Fault> {
        let line = target.wire.connect();
        let fd = connect_start(target, buffer).map_err(|e| unconnected(target, line, &e))?;
        Ok(Self { fd, target: target.clone(), number, sequence: 0, unused: Vec::new(), received: 0, line })
    }

    /// Waits until it is connected, at most `time`; says whether it is.
    ///
    /// # Errors
    /// Refused.
    pub fn connected(&self, time: Duration) -> Result<bool, Fault> {
        if !socket::wait_writable(self.fd(), Some(time)).map_err(Fault::harness)? {
            return Ok(false);
        }
        socket::take_error(self.fd()).map_err(|e| unconnected(&self.target, self.line, &e))?;
        Ok(true)
    }

    /// The socket.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Waits longer, or shorter, from now on.
    pub fn patience(&mut self, reply: Duration) {
        self.target.reply = reply;
    }

    fn silent(&self, time: Duration) -> Fault {
        What::Silent(time.as_millis(), self.received).into()
    }

    /// A request for (echo: of) `bytes` bytes, not yet sent.
    pub fn prepare(&mut self, bytes: u64) -> Pending {
        let target = &self.target;
        let ask = Ask {
            kind: target.kind,
            size: bytes,
            work: None,
            path: target.path.clone(),
            host: target.host.clone(),
            close: false,
            seed: target.seed,
        };
        let mut client = match &target.dialogue {
            Some(dialogue) => AnyClient::Raw(RawClient::new(Arc::clone(dialogue), self.number)),
            None => AnyClient::new(&ask, self.number),
        };
        let mut out = Output::new();
        client.request(self.sequence, &mut out);
        self.sequence += 1;
        Pending { client, out, time: target.time_for(bytes), stall: target.reply }
    }

    /// Asks for `bytes` bytes and checks the answer; says whether the connection can be used again.
    ///
    /// # Errors
    /// What went wrong.
    pub fn exchange(&mut self, bytes: u64) -> Result<bool, Fault> {
        let mut pending = self.prepare(bytes);
        self.complete(&mut pending)
    }

    /// Sends what is left of a request while it reads and checks the answer, to its end.
    ///
    /// # Errors
    /// What went wrong.
    pub fn complete(&mut self, pending: &mut Pending) -> Result<bool, Fault> {
        let end = Instant::now() + pending.time;
        // A large answer may take long, but not stand still.
        let stall = pending.stall.max(self.target.reply).min(pending.time);
        let mut moved = Instant::now();
        let mut epoll = Epoll::new().map_err(Fault::harness)?;
        let mut interest = Interest { read: true, write: !pending.out.is_empty() };
        epoll.add(self.fd(), 0, interest).map_err(Fault::harness)?;
        let mut events = Vec::new();
        loop {
            let before = (pending.out.len(), self.received);
            // A failed send is not the end: the answer, or the reason, may have come before it.
            let broken = self.send_now(&mut pending.out).is_err();
            if let Some(reusable) = self.check_now(pending)? {
                return Ok(reusable);
            }
            let wanted = Interest { read: true, write: !pending.out.is_empty() && !broken };
            if wanted != interest {
                interest = wanted;
                epoll.modify(self.fd(), 0, interest).map_err(Fault::harness)?;
            }
            let now = Instant::now();
            if (pending.out.len(), self.received) != before {
                moved = now;
            }
            let left = end.min(moved + stall).saturating_duration_since(now);
            if left.is_zero() {
                return Err(self.silent(now.duration_since(moved)));
            }
            epoll.wait(&mut events, Some(left)).map_err(Fault::harness)?;
        }
    }

    /// Sends without waiting until all is sent or nothing more is taken.
    fn send_now(&self, out: &mut Output) -> io::Result<()> {
        while !out.is_empty() {
            match self.give(out.first(&[])) {
                Ok(n) => out.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads and checks what has come; `Some` when the answer is complete.
    fn check_now(&mut self, pending: &mut Pending) -> Result<Option<bool>, Fault> {
        let mut buffer = [0; 65_536];
        loop {
            if let Some(reusable) = self.check_unused(pending)? {
                return Ok(Some(reusable));
            }
            match self.take(&mut buffer) {
                Ok(0) => {
                    return match pending.client.on_end() {
                        Ok(Progress::Done { reusable }) => Ok(Some(reusable)),
                        Ok(Progress::More) => Err(Mismatch::EarlyEnd { received: self.received }.into()),
                        Err(mismatch) => Err(mismatch.into()),
                    };
                }
                Ok(n) => {
                    self.received += n as u64;
                    self.unused.extend_from_slice(&buffer[..n]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io(&error, self.received)),
            }
        }
    }

    fn check_unused(&mut self, pending: &mut Pending) -> Result<Option<bool>, Fault> {
        let mut used = 0;
        let mut done = None;
        while done.is_none() && used < self.unused.len() {
            let (n, progress) = pending.client.on_reply(&self.unused[used..])?;
            used += n;
            if let Progress::Done { reusable } = progress {
                done = Some(reusable);
            } else if n == 0 {
                break;
            }
        }
        self.unused.drain(..used);
        Ok(done)
    }

    /// Sends all of `bytes`, waiting for room at most the reply time.
    ///
    /// # Errors
    /// Reset, silent (no room).
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let end = Instant::now() + self.target.time_for(bytes.len() as u64);
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.give(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(self.silent(self.target.reply).during("send"));
                    }
                    socket::wait_writable(self.fd(), Some(left)).map_err(Fault::harness)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io(&error, self.received).during("send")),
            }
        }
        Ok(())
    }

    /// Sends a request that fits the socket's buffer, and FIN in the same segment.
    ///
    /// # Errors
    /// Reset, or the buffer did not take it.
    pub fn send_and_finish(&mut self, pending: &mut Pending) -> Result<(), Fault> {
        while !pending.out.is_empty() {
            let n = socket::send_more(self.fd(), pending.out.first(&[]))
                .map_err(|e| Fault::io(&e, self.received).during("send"))?;
            self.target.wire.sent(self.line, &pending.out.first(&[])[..n]);
            pending.out.advance(n);
        }
        self.finish()
    }

    /// Sends from `out` without reading, until it is empty, `most` bytes are sent or no byte is taken for `quiet`; returns the count.
    ///
    /// # Errors
    /// Reset.
    pub fn fill(&mut self, out: &mut Output, most: u64, quiet: Duration) -> Result<u64, Fault> {
        let before = out.len();
        while !out.is_empty() && before - out.len() < most {
            let room = most - (before - out.len());
            let first = out.first(&[]);
            let first = &first[..first.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
            match self.give(first) {
                Ok(n) => out.advance(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !socket::wait_writable(self.fd(), Some(quiet)).map_err(Fault::harness)? {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io(&error, self.received).during("send")),
            }
        }
        Ok(before - out.len())
    }

    /// Sends FIN and stays to read.
    ///
    /// # Errors
    /// Reset.
    pub fn finish(&self) -> Result<(), Fault> {
        self.target.wire.add(self.line, Act::Finished);
        socket::shutdown(self.fd(), Side::Write).map_err(|e| Fault::io(&e, self.received).during("shutdown"))
    }

    /// Waits until some input has come and takes at most `buffer.len()` bytes of it; 0 at the end.
    ///
    /// # Errors
    /// Silent, reset.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let time = self.target.reply;
        socket::wait_readable(&[self.fd()], Some(time)).map_err(Fault::harness)?;
        match self.take(buffer) {
            Ok(n) => {
                self.received += n as u64;
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(self.silent(time)),
            Err(error) => Err(Fault::io(&error, self.received)),
        }
    }

    /// Waits for the subject's end of the connection, at most `time`; what it sends meanwhile is dropped. Returns how, and how much.
    ///
    /// # Errors
    /// Of the harness only.
    pub fn drain(&mut self, time: Duration) -> Result<(End, u64), Fault> {
        let mut dropped = 0;
        let end = self.until_end(time, |bytes| dropped += bytes.len() as u64)?;
        Ok((end, dropped))
    }

    /// As [`Self::drain`], with what it sends; no more than 1 MiB of it.
    ///
    /// # Errors
    /// Of the harness only.
    pub fn rest(&mut self, time: Duration) -> Result<(End, Vec<u8>), Fault> {
        let mut all = Vec::new();
        let end = self.until_end(time, |bytes| {
            let room = (1_usize << 20).saturating_sub(all.len());
            all.extend_from_slice(&bytes[..bytes.len().min(room)]);
        })?;
        Ok((end, all))
    }

    fn until_end(&mut self, time: Duration, mut take: impl FnMut(&[u8])) -> Result<End, Fault> {
        let end = Instant::now() + time;
        let mut buffer = [0; 65_536];
        take(&self.unused);
        self.unused.clear();
        loop {
            match self.take(&mut buffer) {
                Ok(0) => return Ok(End::Closed),
                Ok(n) => take(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(End::Open);
                    }
                    socket::wait_readable(&[self.fd()], Some(left)).map_err(Fault::harness)?;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(End::Reset),
                Err(error) => return Err(Fault::io(&error, self.received)),
            }
        }
    }

    /// Waits until the peer's kernel has acknowledged our FIN (TCP_INFO), at most `time`; says whether it has.
    #[must_use]
    pub fn fin_arrived(&self, time: Duration) -> bool {
        if self.target.url.ip().is_none() {
            // A Unix socket has nothing on the way: its peer sees the end as soon as the call returns.
            return true;
        }
        let end = Instant::now() + time;
        loop {
            match socket::tcp_state(self.fd()) {
                Ok(TcpState::FIN_WAIT2 | TcpState::TIME_WAIT) => return true,
                Ok(TcpState::FIN_WAIT1) if Instant::now() < end => {
                    sys::clock::pause(Duration::from_micros(200));
                }
                _ => return false,
            }
        }
    }

    /// True when the subject has closed or reset the connection and has said nothing on it.
    #[must_use]
    pub fn closed_unanswered(&self) -> bool {
        let mut buffer = [0; 1];
        self.received == 0
            && self.unread() == 0
            && match self.take(&mut buffer) {
                Ok(n) => n == 0,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            }
    }

    /// This side's address and port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        socket::local_address(self.fd()).ok()
    }

    /// Bytes sent that the subject's kernel has not acknowledged; on a Unix socket, that the subject has not read.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        socket::unsent(self.fd()).unwrap_or(0)
    }

    /// Bytes that have arrived and were not read.
    #[must_use]
    pub fn unread(&self) -> u64 {
        socket::unread(self.fd()).unwrap_or(0)
    }

    /// Closes with RST.
    pub fn reset(self) {
        // Without the option the close would still be one, with FIN: the case's own proof then fails.
        let _ = socket::reset_on_close(self.fd());
        self.target.wire.add(self.line, Act::Reset);
    }

    /// One send(2) that does not wait, written down.
    fn give(&self, bytes: &[u8]) -> io::Result<usize> {
        let sent = socket::send(self.fd(), bytes);
        match &sent {
            Ok(n) => self.target.wire.sent(self.line, &bytes[..*n]),
            Err(error) => self.trouble("send", error),
        }
        sent
    }

    /// One recv(2) that does not wait, written down.
    fn take(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let received = socket::recv_now(self.fd(), buffer);
        match &received {
            Ok(0) => self.target.wire.add(self.line, Act::Ended),
            Ok(n) => self.target.wire.received(self.line, &buffer[..*n]),
            Err(error) => self.trouble("receive", error),
        }
        received
    }

    fn trouble(&self, call: &str, error: &io::Error) {
        if !sys::errno::is_retry(error) {
            self.target.wire.add(self.line, Act::Error(format!("{call}: {error}")));
        }
    }
}

/// Begins to connect. A Unix socket whose queue is full says so at once, where TCP would go on trying (unix(7)): so it is tried again
/// until the time of an answer has passed.
fn connect_start(target: &Target, buffer: Option<usize>) -> io::Result<OwnedFd> {
    let end = Instant::now() + target.reply;
    loop {
        match socket::connect_start(&target.url.address, buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                sys::clock::pause(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// A connect that failed, written down.
fn unconnected(target: &Target, line: u64, error: &io::Error) -> Fault {
    target.wire.add(line, Act::Error(format!("connect: {error}")));
    if error.kind() == io::ErrorKind::WouldBlock {
        // The queue of a Unix socket was full all the while.
        return Fault::from(What::Silent(target.reply.as_millis(), 0)).during("connect");
    }
    Fault::io(error, 0).during("connect")
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.target.wire.add(self.line, Act::Closed);
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("number", &self.number)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
