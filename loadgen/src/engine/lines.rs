//! Connections on io_uring(7): input comes by itself, into buffers that the kernel chooses, and output leaves as operations, all in
//! one system call a turn of the loop. Not here: what the bytes mean, and connections whose single calls matter (connects, planned
//! aborts): those stay on epoll, whose descriptor the ring watches.

use service::Output;
use service::output::Stretch;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::clock::monotonic_ns as clock;
use sys::uring::{Chunk, Completion, Gather, Load, OpId, Outgoing, Ring};

/// Submissions between two system calls; more of them make a call of their own.
const ENTRIES: u32 = 256;

/// Size of a buffer that the kernel receives into, in bytes, and how many there are: as many as connections, within these bounds.
const SIZE: u32 = 16 * 1024;
const FEWEST: usize = 64;
const MOST: usize = 1024;

/// A send of up to this many bytes is copied into one piece, which takes its own length of memory; a larger one is gathered from where
/// it lies. Requests are short, and there may be as many sends under way as connections.
const SHORT: u64 = 1024;

/// Bytes of memory that a gathered send keeps for the next one.
const KEEP: usize = 4096;

/// What the ring calls the epoll descriptor; a connection has two numbers below it.
const EPOLL: u64 = u64::MAX;

/// How long the end of a run waits for the last operations, in nanoseconds. They were told to, and nothing can hold them up.
const LAST_WAIT_NS: u64 = 1_000_000_000;

/// One connection's operations.
struct Line {
    /// What the engine calls the connection.
    key: u64,
    receive: Option<OpId>,
    send: Option<OpId>,
    /// What a send did not take.
    rest: Option<Outgoing>,
    /// The engine has let go of the connection: nobody is told any more.
    gone: bool,
    /// The descriptor of a connection that is gone. An operation holds the socket open, so the close counts once the last is over.
    fd: Option<OwnedFd>,
}

/// What came of an operation.
pub(super) enum Came {
    /// Epoll has events.
    Readiness,
    /// Something on the connection with this key.
    On(u64, Event),
}

pub(super) enum Event {
    /// Bytes, and whether the receive must be started again (see [`Lines::receive`]).
    Bytes(Chunk, bool),
    /// Nothing, and the receive must be started again.
    Stopped,
    /// The server has closed its side.
    End,
    /// Receiving failed.
    ReceiveFailed(io::Error),
    /// That many bytes were sent; see [`Lines::send`] for what follows.
    Sent(u64),
    /// Sending failed.
    SendFailed(io::Error),
}

/// All connections of a thread that are on its ring.
pub(super) struct Lines {
    ring: Ring,
    lines: Slab<Line>,
    /// The operation that watches epoll.
    epoll: Option<OpId>,
    /// What came for others while a connection was taken off.
    put_off: VecDeque<Completion>,
    /// For use again.
    pieces: Vec<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "the kernel reads a send's memory where it is")]
    spare: Vec<Box<Gather>>,
}

impl Lines {
    /// A ring for so many connections.
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub(super) fn new(connections: usize) -> io::Result<Self> {
        let mut ring = Ring::new(ENTRIES)?;
        let buffers = connections.clamp(FEWEST, MOST).next_power_of_two();
        ring.provide(buffers as u16, SIZE)?;
        Ok(Self {
            ring,
            lines: Slab::with_capacity(connections),
            epoll: None,
            put_off: VecDeque::new(),
            pieces: Vec::new(),
            spare: Vec::new(),
        })
    }

    /// Takes a connection, which must not be non-blocking: its input is told from now on, under `key`.
    ///
    /// # Errors
    /// Those of io_uring_enter(2), as for all that follow.
    pub(super) fn add(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<usize> {
        let line =
            self.lines.insert(Line { key, receive: None, send: None, rest: None, gone: false, fd: None });
        match self.receive(line, fd) {
            Ok(()) => Ok(line),
            Err(error) => {
                self.lines.remove(line);
                Err(error)
            }
        }
    }

    /// Starts to receive, again and again, until told otherwise.
    pub(super) fn receive(&mut self, line: usize, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.lines[line].receive = Some(self.ring.recv_multi(fd, receive_key(line))?);
        Ok(())
    }

    /// Starts to send `out`, or as much of it as one operation takes. While a send is under way nothing happens: this is called again
    /// at every [`Event::Sent`].
    pub(super) fn send(&mut self, line: usize, fd: BorrowedFd<'_>, out: &mut Output) -> io::Result<()> {
        let place = &mut self.lines[line];
        if place.send.is_some() {
            return Ok(());
        }
        let what = match place.rest.take() {
            Some(rest) => rest,
            None if out.is_empty() => return Ok(()),
            None if out.len() <= SHORT => {
                let mut bytes = self.pieces.pop().unwrap_or_default();
                out.hand_over(&[], |stretch| {
                    let (Stretch::Fixed(more) | Stretch::Brief(more)) = stretch;
                    bytes.extend_from_slice(more);
                    true
                });
                let len = bytes.len();
                Outgoing::Chunk(Chunk::Own(bytes, len), 0..len)
            }
            None => {
                let mut gather = self.spare.pop().unwrap_or_default();
                out.hand_over(&[], |stretch| match stretch {
                    Stretch::Fixed(bytes) => gather.fixed(bytes),
                    Stretch::Brief(bytes) => gather.copy(bytes),
                });
                Outgoing::Gather(gather)
            }
        };
        place.send = Some(self.ring.send(fd, what, send_key(line))?);
        Ok(())
    }

    /// True while a send is under way.
    pub(super) fn is_sending(&self, line: usize) -> bool {
        self.lines[line].send.is_some()
    }

    /// Lets a connection go: no more is told of it. `fd`, where given, is closed once its operations are over.
    pub(super) fn let_go(&mut self, line: usize, fd: Option<OwnedFd>) {
        let place = &mut self.lines[line];
        (place.gone, place.fd) = (true, fd);
        let under_way = [place.receive, place.send];
        if under_way == [None, None] {
            self.lines.remove(line);
        }
        for op in under_way.into_iter().flatten() {
            // The ring is broken where this fails, and the next wait says so.
            let _ = self.ring.cancel(op);
        }
    }

    /// Lets a connection go that lives on, and waits until no operation on it is left: a receive that is still under way would take the
    /// next bytes that come, and nobody would be told.
    ///
    /// # Errors
    /// As all; one of our own where the last operation does not end.
    pub(super) fn release(&mut self, line: usize) -> io::Result<()> {
        self.let_go(line, None);
        let deadline = clock() + LAST_WAIT_NS;
        while self.lines.contains(line) {
            if clock() > deadline {
                return Err(io::Error::other("an operation that was cancelled does not end"));
            }
            self.ring.wait_for(Duration::from_millis(10))?;
            while let Some(done) = self.ring.completed() {
                if done.key >> 1 == line as u64 {
                    self.tell(done);
                } else {
                    self.put_off.push_back(done);
                }
            }
        }
        Ok(())
    }

    /// Hands over what was asked for and waits until something has come, for at most `timeout`.
    ///
    /// # Errors
    /// Those of io_uring_enter(2).
    pub(super) fn wait(&mut self, epoll: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
        if self.epoll.is_none() {
            self.epoll = Some(self.ring.poll_readable(epoll, EPOLL)?);
        }
        self.ring.wait_for(if self.put_off.is_empty() { timeout } else { Duration::ZERO })
    }

    /// The next thing that came.
    pub(super) fn next(&mut self) -> Option<Came> {
        loop {
            let done = self.put_off.pop_front().or_else(|| self.ring.completed())?;
            if done.key == EPOLL {
                self.epoll = None;
                return Some(Came::Readiness);
            }
            if let Some(came) = self.tell(done) {
                return Some(came);
            }
        }
    }

    /// What a completion means for its connection; nothing where that is gone.
    fn tell(&mut self, done: Completion) -> Option<Came> {
        let index = (done.key >> 1) as usize;
        let line = self.lines.get_mut(index)?;
        let event = match done.load {
            Load::Sent(what) => {
                line.send = None;
                self.sent(index, what, done.result)
            }
            load => {
                if !done.more {
                    line.receive = None;
                }
                received(load, done.result, done.more)
            }
        };
        let line = &self.lines[index];
        if !line.gone {
            return Some(Came::On(line.key, event));
        }
        if line.receive.is_none() && line.send.is_none() {
            self.lines.remove(index);
        }
        None
    }

    /// A send is over: keeps what it did not take, or its memory.
    fn sent(&mut self, index: usize, mut what: Outgoing, result: Result<u32, i32>) -> Event {
        let event = match result {
            Ok(n) => {
                what.advance(n as usize);
                Event::Sent(u64::from(n))
            }
            Err(number) => Event::SendFailed(io::Error::from_raw_os_error(number)),
        };
        match what {
            rest if result.is_ok() && !rest.is_empty() => self.lines[index].rest = Some(rest),
            Outgoing::Gather(mut gather) => {
                gather.clear(KEEP);
                self.spare.push(gather);
            }
            Outgoing::Chunk(Chunk::Own(mut bytes, _), _) => {
                bytes.clear();
                self.pieces.push(bytes);
            }
            Outgoing::Chunk(Chunk::Provided(_), _) => {}
        }
        event
    }

    /// Waits until every operation on a connection that was let go is over, so that the connections are closed and the memory of the
    /// ring is free.
    pub(super) fn finish(&mut self) {
        let deadline = clock() + LAST_WAIT_NS;
        if let Some(op) = self.epoll {
            let _ = self.ring.cancel(op);
        }
        while (self.epoll.is_some() || !self.lines.is_empty()) && clock() < deadline {
            if self.ring.wait_for(Duration::from_millis(10)).is_err() {
                return;
            }
            while self.next().is_some() {}
        }
    }
}

/// What the end or one result of a receive means.
fn received(load: Load, result: Result<u32, i32>, more: bool) -> Event {
    match (result, load) {
        (Ok(1..), Load::Received(bytes)) => Event::Bytes(bytes, !more),
        (Ok(_), _) => Event::End,
        (Err(number), _) if sys::errno::is_over_for_now(number) => Event::Stopped,
        (Err(number), _) => Event::ReceiveFailed(io::Error::from_raw_os_error(number)),
    }
}

/// The two names of a connection's operations.
fn receive_key(line: usize) -> u64 {
    (line as u64) << 1
}

fn send_key(line: usize) -> u64 {
    receive_key(line) | 1
}
