//! One place for a connection, and the calls on it. Not here: when to make them, and what a result counts as.

use super::source::Arrival;
use crate::abort::{Kind, Phase};
use crate::tally::{self, Failure};
use service::Output;
use service::client::{AnyClient, Client as _, Progress};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use sys::socket;

/// Buffers given to one sendmsg(2). A message of 1 MiB of the payload text has 17 stretches.
const SLICES: usize = 16;

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Waiting for a request, with a connection or without.
    Free,
    /// No request until the back-off is over.
    Resting,
    /// connect(2) is under way, or was turned away by a full queue and is tried again by the timer.
    Dialling,
    /// A request is out.
    Busy,
    /// Its connection has ended and none follows.
    Gone,
    /// Waits for its moment to close: see `leave`.
    Leaving,
    /// Shut for writing by plan, and waiting for the server to end the connection.
    Ending,
}

/// A request that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) arrival: Arrival,
    /// When it began: the connect, where it needs one, else the send.
    pub(super) begun_ns: u64,
    /// When the first byte of its reply was read; 0 before.
    pub(super) first_ns: u64,
    /// How and where it is to be given up.
    pub(super) abort: Option<(Phase, Kind)>,
}

impl Request {
    /// When the first byte of its reply was read; `now` for a pipelined reply that came in one read with the one before it.
    pub(super) fn first_or(&self, now: u64) -> u64 {
        if self.first_ns == 0 { now } else { self.first_ns }
    }
}

/// A place for one connection at a time. Its number outlives the connection; `generation` tells the connections apart.
pub(super) struct Slot {
    pub(super) index: u32,
    pub(super) generation: u32,
    pub(super) state: State,
    pub(super) fd: Option<OwnedFd>,
    pub(super) client: AnyClient,
    pub(super) request: Option<Request>,
    /// Requests written behind it, whose replies come in their order (pipelining).
    pub(super) behind: VecDeque<Request>,
    /// It stands among the slots that can take a request.
    pub(super) offered: bool,
    /// What is not sent yet.
    pub(super) out: Output,
    /// The poller watches for room to write.
    pub(super) wants_room: bool,
    /// The poller knows the connection.
    pub(super) watched: bool,
    /// Its place on the ring, where it is on one.
    pub(super) line: Option<usize>,
    /// What arrived and the client could not use yet.
    leftover: Vec<u8>,
    /// Replies on this connection.
    pub(super) replies: u64,
    /// Replies after which it is closed, and when it is too old.
    pub(super) limit: Option<u64>,
    pub(super) ends_ns: u64,
    /// There has been a connection.
    pub(super) lived: bool,
    /// Connections in a row that ended without a reply.
    pub(super) barren: u32,
    /// Connects that failed since the last one that did not.
    pub(super) refusals: u32,
    /// When it became free.
    pub(super) free_since_ns: u64,
    /// Rest that follows the request that is out, and when the rest that goes on ends.
    pub(super) think_ns: u64,
    pub(super) thinks_until_ns: u64,
    /// When the connect began.
    pub(super) dialled_ns: u64,
    /// Times that this connect was turned away by a full queue.
    pub(super) turned_away: u32,
    /// When to stop waiting, where it is leaving or ending.
    pub(super) leave_by_ns: u64,
    /// It is shut for writing, by a plan of kind `half`.
    pub(super) halved: bool,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing, for now.
    Nothing,
    /// So many bytes lie in the buffer, those that were kept first; `filled`: there may be more.
    Bytes { count: usize, filled: bool },
    /// The server has closed its side.
    End,
}

impl Slot {
    /// A place for `depth` requests at a time.
    pub(super) fn new(index: u32, client: AnyClient, depth: usize) -> Self {
        Self {
            index,
            generation: 0,
            state: State::Free,
            fd: None,
            client,
            request: None,
            behind: VecDeque::with_capacity(depth.saturating_sub(1)),
            offered: true,
            out: Output::new(),
            wants_room: false,
            watched: false,
            line: None,
            leftover: Vec::new(),
            replies: 0,
            limit: None,
            ends_ns: u64::MAX,
            lived: false,
            barren: 0,
            refusals: 0,
            free_since_ns: 0,
            think_ns: 0,
            thinks_until_ns: 0,
            dialled_ns: 0,
            turned_away: 0,
            leave_by_ns: 0,
            halved: false,
        }
    }

    /// What the poller calls the connection.
    pub(super) fn key(&self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The descriptor; `None` where there is no connection.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// Shuts the connection for writing, once. Where that fails, the server was first, and reading tells how.
    pub(super) fn halve(&mut self) {
        if let Some(fd) = self.fd.as_ref().filter(|_| !self.halved) {
            let _ = socket::shutdown(fd.as_fd(), socket::Side::Write);
            self.halved = true;
        }
    }

    /// Takes the oldest request that is out.
    pub(super) fn next_open(&mut self) -> Option<Request> {
        self.request.take().or_else(|| self.behind.pop_front())
    }

    /// True where the request that is out is to be given up in this phase.
    pub(super) fn aborts_in(&self, phase: Phase) -> bool {
        self.request.is_some_and(|r| r.abort.is_some_and(|(p, _)| p == phase))
    }

    /// True where it is to be given up in this way.
    pub(super) fn aborts_by(&self, kind: Kind) -> bool {
        self.request.is_some_and(|r| r.abort.is_some_and(|(_, k)| k == kind))
    }

    /// True where the plan leaves the reply, or most of it, unread.
    pub(super) fn leaves_reply(&self) -> bool {
        (self.aborts_in(Phase::AfterRequest) || self.aborts_in(Phase::MidResponse))
            && !self.aborts_by(Kind::Half)
    }

    /// Sends what is queued; true when all of it is sent. `held`: the kernel keeps the end back for what follows (MSG_MORE).
    pub(super) fn flush(&mut self, held: bool, sent: &mut u64) -> io::Result<bool> {
        let Some(fd) = self.fd.as_ref().map(|fd| fd.as_fd()) else { return Ok(true) };
        while !self.out.is_empty() {
            let first = self.out.first(&[]);
            let result = if held {
                socket::send_more(fd, first)
            } else if first.len() as u64 == self.out.len() {
                socket::send(fd, first)
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = self.out.slices(&[], &mut slices);
                socket::send_slices(fd, &slices[..filled])
            };
            match result {
                Ok(n) => {
                    *sent += n as u64;
                    self.out.advance(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads once into `buffer`, behind what was kept.
    pub(super) fn read(&mut self, buffer: &mut [u8], received: &mut u64) -> Result<Read, Failure> {
        let Some(fd) = self.fd.as_ref().map(|fd| fd.as_fd()) else { return Ok(Read::Nothing) };
        let kept = self.leftover.len();
        buffer[..kept].copy_from_slice(&self.leftover);
        match socket::recv(fd, &mut buffer[kept..]) {
            Ok(0) => Ok(Read::End),
            Ok(n) => {
                *received += n as u64;
                self.leftover.clear();
                Ok(Read::Bytes { count: kept + n, filled: kept + n == buffer.len() })
            }
            Err(error) if sys::errno::is_retry(&error) => Ok(Read::Nothing),
            Err(error) => Err(Failure::system(tally::Phase::Receive, &error)),
        }
    }

    /// Shows the client what came; how much of it was used, and whether that completes a reply and leaves the connection usable.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<(usize, Option<bool>), Failure> {
        if self.request.is_none() {
            return Ok((self.client.on_idle(input).map_err(Failure::mismatch)?, None));
        }
        match self.client.on_reply(input).map_err(Failure::mismatch)? {
            (used, Progress::Done { reusable }) => Ok((used, Some(reusable))),
            (used, Progress::More) => {
                self.client.say(&mut self.out);
                Ok((used, None))
            }
        }
    }

    /// Bytes of a reply have come.
    pub(super) fn saw_bytes(&mut self, now: u64) {
        if let Some(request) = &mut self.request
            && request.first_ns == 0
        {
            request.first_ns = now;
        }
    }

    /// What was kept with `bytes` behind it; `None` where nothing was kept, and `bytes` are all there is.
    pub(super) fn behind_leftover(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.leftover.is_empty() {
            return None;
        }
        let mut all = std::mem::take(&mut self.leftover);
        all.extend_from_slice(bytes);
        Some(all)
    }

    /// Bytes that were kept, to be shown again.
    pub(super) fn kept(&self) -> usize {
        self.leftover.len()
    }

    /// Keeps what the client could not use, to be shown again.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.leftover.extend_from_slice(rest);
    }

    /// The server has closed its side: an error, unless that completes a reply.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        if self.request.is_none() {
            return Err(Failure::named(tally::Phase::Idle, "eof"));
        }
        self.client.on_end().map(|_| ()).map_err(Failure::mismatch)
    }

    /// True where a request can go on it, now or after a connect.
    pub(super) fn usable(&self) -> bool {
        match self.state {
            State::Free => self.in_flight() == 0,
            State::Busy => self.fd.is_some(),
            _ => false,
        }
    }

    /// Requests that are out.
    pub(super) fn in_flight(&self) -> usize {
        usize::from(self.request.is_some()) + self.behind.len()
    }

    /// The request whose reply is complete; the one behind it is next.
    pub(super) fn next_reply(&mut self) -> Option<Request> {
        let next = self.behind.pop_front();
        if let Some(next) = &next {
            self.client.expect(next.arrival.k);
        }
        std::mem::replace(&mut self.request, next)
    }

    /// Lets the connection go, in the way that is set on the socket. The poller forgets a descriptor that is closed (epoll(7)).
    pub(super) fn disconnect(&mut self) {
        self.fd = None;
        self.generation = self.generation.wrapping_add(1);
        self.wants_room = false;
        self.watched = false;
        self.halved = false;
        self.leftover.clear();
        self.replies = 0;
        self.ends_ns = u64::MAX;
        if !self.out.is_empty() {
            self.out = Output::new();
        }
    }
}
