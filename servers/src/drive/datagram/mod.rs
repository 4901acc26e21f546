//! Datagram drivers: one datagram in, at most one out, where it is decided once what becomes of those that are cut, cannot be answered
//! or have to wait. Not here: which thread or process does it, which is what a model is.
//!
//! A client that does not read (a Unix socket holds a sender back then, unix(7)) must hold up nobody else, and one that was only busy for
//! a moment must lose nothing: so the first is waited for, a hundredth of a second, and then not again for a second; its answers are
//! dropped and counted. A server on all addresses answers from the one that was asked.
//!
//! In the counters of a worker a datagram stands as a connection of one exchange: come, and ended when it is answered.

pub mod batch;
pub mod connected;
pub mod desk;
pub mod forking;
pub mod later;
pub mod loops;
pub mod oneshot;
mod patience;
pub mod polled;
pub mod pools;
mod post;
pub mod reactors;
pub mod ring;
pub mod tasks;
pub mod threads;
pub mod waits;

use crate::counters::{self, Why};
use service::datagram::{DatagramService, PIECES, Reply};
use service::{Service, Work};
use std::io::{self, IoSlice, Write as _};
use std::os::fd::BorrowedFd;
use sys::Family;
use sys::datagram::{self, ROOM, Received, Route, Wait};

/// A service that is said both on connections and in datagrams: so every process and thread pool can serve either.
pub trait Both: Service + DatagramService {}

impl<S: Service + DatagramService> Both for S {}

/// Datagrams that a loop takes on one event before it looks at anything else.
pub const BUDGET: usize = 64;

/// What one worker has done; each has its own, and says it at its end where that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Datagrams received.
    pub received: u64,
    /// Answers sent.
    pub answered: u64,
    /// Received cut, and so not answered (D1).
    pub truncated: u64,
    /// Answers that could not be sent: the peer is gone, has no name, or does not read.
    pub unsendable: u64,
    /// Datagrams that the kernel dropped for want of room before this worker could receive them (SO_RXQ_OVFL).
    pub dropped: u64,
}

impl Figures {
    /// Says on standard error what was lost, where anything was. A closed one is not an error.
    pub fn report(&self, worker: usize) {
        let Self { received, answered, truncated, unsendable, dropped } = self;
        if truncated + unsendable + dropped > 0 {
            let _ = writeln!(
                io::stderr(),
                "server: worker {worker}: {received} datagrams received, {answered} answered; {dropped} dropped by the kernel for want of room, {truncated} cut and not answered, {unsendable} answers not sent"
            );
        }
    }

    /// Adds those of another worker; what the kernel dropped is the socket's, and so the larger number.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.answered += other.answered;
        self.truncated += other.truncated;
        self.unsendable += other.unsendable;
        self.dropped = self.dropped.max(other.dropped);
    }

    /// Notes what was received; true where it may be answered.
    pub fn note(&mut self, received: &Received) -> bool {
        self.received += 1;
        counters::accepted();
        counters::received(received.len);
        // A running total of the socket.
        self.dropped = self.dropped.max(u64::from(received.dropped));
        self.truncated += u64::from(received.truncated);
        !received.truncated
    }

    /// Notes what came of an answer.
    pub fn sent(&mut self, result: &io::Result<()>) {
        match result {
            Ok(()) => {
                self.answered += 1;
                counters::ended(Why::Service);
            }
            Err(_) => {
                self.unsendable += 1;
                counters::ended(Why::Unsent);
            }
        }
    }
}

/// Handler work, done where it is called.
pub fn work_here(work: Option<Work>) {
    match work {
        Some(Work::Spin(time)) => sys::clock::spin(time),
        Some(Work::Sleep(time)) => sys::clock::sleep(time),
        None => {}
    }
}

/// Sends `reply` to `message` along `route`; waits a little for a peer that does not read (see `patience`).
///
/// # Errors
/// Why it could not be sent, which says nothing about the next one.
pub fn send(fd: BorrowedFd<'_>, reply: &Reply, message: &[u8], route: &Route) -> io::Result<()> {
    let pieces: [&[u8]; PIECES] = reply.pieces(message);
    // One slice for what lies in one piece: the kernel copies it without a loop.
    let used = if pieces[1].is_empty() { 1 } else { PIECES };
    let mut slices = [IoSlice::new(&[]); PIECES];
    for (slice, piece) in slices.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
    }
    let once = || {
        datagram::send(fd, &slices[..used], route, Wait::No)?;
        counters::sent(pieces.iter().map(|piece| piece.len()).sum());
        Ok(())
    };
    loop {
        match once() {
            Err(error) => match io::Error::kind(&error) {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return patience::wait(&route.peer, once),
                // A UDP socket tells of an earlier datagram's fate, once: this one was not sent yet. A Unix socket tells of this one's.
                io::ErrorKind::ConnectionRefused if !route.peer.is_named() || route.peer.ip().is_some() => {
                    return once();
                }
                _ => return Err(error),
            },
            Ok(()) => return Ok(()),
        }
    }
}

/// What came of one try to receive.
#[derive(Debug)]
pub enum Taken {
    /// A datagram; its bytes are at the start of the buffer.
    Datagram(Received),
    /// There is none.
    Empty,
    /// A signal came first.
    Interrupted,
}

/// Receives one datagram into `buffer`.
///
/// # Errors
/// Those of recvmsg(2) after which the socket is of no more use. The fate of an earlier answer is none (udp(7)).
pub fn take(fd: BorrowedFd<'_>, family: Family, buffer: &mut [u8], wait: Wait) -> io::Result<Taken> {
    loop {
        match datagram::recv(fd, family, buffer, wait) {
            Ok(received) => return Ok(Taken::Datagram(received)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(Taken::Empty),
                io::ErrorKind::Interrupted => return Ok(Taken::Interrupted),
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable => {}
                _ => return Err(error),
            },
        }
    }
}

/// One worker that answers as it receives: the service, the socket's family, a buffer.
#[derive(Debug)]
pub struct Clerk<S> {
    service: S,
    family: Family,
    buffer: Vec<u8>,
    /// What it has done.
    pub figures: Figures,
}

impl<S: DatagramService> Clerk<S> {
    /// One with a buffer of its own.
    #[must_use]
    pub fn new(service: S, family: Family) -> Self {
        Self { service, family, buffer: vec![0; ROOM], figures: Figures::default() }
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// As [`take`].
    pub fn take(&mut self, fd: BorrowedFd<'_>, wait: Wait) -> io::Result<Taken> {
        take(fd, self.family, &mut self.buffer, wait)
    }

    /// Answers what was just received, with the handler work done here.
    pub fn answer(&mut self, fd: BorrowedFd<'_>, received: &Received) {
        if !self.figures.note(received) {
            return;
        }
        let message = &self.buffer[..received.len];
        let answer = self.service.answer(message);
        work_here(answer.work);
        self.figures.sent(&send(fd, &answer.reply, message, &received.route));
    }

    /// Answers what was just received, where that takes no handler work; else gives back what is owed.
    pub fn answer_or_owe(&mut self, fd: BorrowedFd<'_>, received: &Received) -> Option<tasks::Owed> {
        if !self.figures.note(received) {
            return None;
        }
        let message = &self.buffer[..received.len];
        let answer = self.service.answer(message);
        let Some(work) = answer.work else {
            self.figures.sent(&send(fd, &answer.reply, message, &received.route));
            return None;
        };
        Some(tasks::Owed { work, message: message.to_vec(), answer, route: received.route })
    }

    /// What was just received, where it may be answered by somebody else: a copy of it in `copy`, whose content goes.
    pub fn hand_over(&mut self, received: &Received, mut copy: Vec<u8>) -> Option<Vec<u8>> {
        self.figures.note(received).then(|| {
            copy.clear();
            copy.extend_from_slice(&self.buffer[..received.len]);
            copy
        })
    }
}
