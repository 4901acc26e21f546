//! One connection served with blocking calls, from its first byte to its close. Not here: how it came to be accepted, and calls that
//! only look as if they blocked (see `coroutines`).

use super::idle::Idle;
use super::{LINGER, SLICES};
use crate::counters::{self, Fate, Why};
use service::{MAX_HEAD, Output, Protocol, Step, Work};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;
use sys::socket::{self, Side};

/// Bytes read at a time. Room for an unfinished request and as much again.
const BUFFER: usize = 2 * MAX_HEAD;

/// What a connection reports to whoever may want to stop it.
pub trait Watch {
    /// Says whether the connection is between requests; returns true when it should end now.
    fn idle(&self, idle: bool) -> bool;

    /// Whether the server has been told to stop: an end of input may then be its own doing.
    fn stopping(&self) -> bool;
}

/// The calls of a conversation that may have to wait. Who waits meanwhile is what tells a thread from a coroutine.
pub trait Calls {
    /// Receives into the room that `input` has left, and appends; `Ok(0)` is the end of input.
    ///
    /// # Errors
    /// Those of recv(2).
    fn recv(&self, fd: BorrowedFd<'_>, input: &mut Vec<u8>) -> io::Result<usize>;

    /// Sends what is queued first; returns the bytes taken.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    fn send(&self, fd: BorrowedFd<'_>, out: &Output, input: &[u8]) -> io::Result<usize>;

    /// Does handler work.
    fn perform(&self, work: Work);

    /// Waits until there is input, or `end` has come; may return earlier.
    ///
    /// # Errors
    /// Those of poll(2).
    fn readable(&self, fd: BorrowedFd<'_>, end: Instant) -> io::Result<bool>;
}

/// The calling thread waits, in the kernel.
#[derive(Clone, Copy, Debug)]
struct Thread;

impl Calls for Thread {
    fn recv(&self, fd: BorrowedFd<'_>, input: &mut Vec<u8>) -> io::Result<usize> {
        let received = socket::recv_more(fd, input)?;
        counters::woken(true);
        Ok(received)
    }

    fn send(&self, fd: BorrowedFd<'_>, out: &Output, input: &[u8]) -> io::Result<usize> {
        send(fd, out, input)
    }

    fn perform(&self, work: Work) {
        perform(work);
    }

    fn readable(&self, fd: BorrowedFd<'_>, end: Instant) -> io::Result<bool> {
        let left = end.saturating_duration_since(Instant::now());
        Ok(socket::wait_readable(&[fd], Some(left))?.contains(&true))
    }
}

/// Buffers that a thread or process uses for one connection after the other.
#[derive(Debug)]
pub struct Buffers {
    /// What was read. Its capacity is what is read at a time; it is not filled beforehand, so that a thread that serves small
    /// requests touches one page of it.
    input: Vec<u8>,
    out: Output,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { input: Vec::with_capacity(BUFFER), out: Output::new() }
    }
}

/// Serves `connection` until it is closed, or has been silent for longer than it may. An error of the connection ends the connection
/// and nothing else.
///
/// `watch` is dropped before the descriptor is closed: whoever stops connections by number never meets one that is another's.
pub fn serve<P: Protocol>(
    connection: OwnedFd,
    protocol: P,
    buffers: &mut Buffers,
    idle: Idle,
    watch: impl Watch,
) {
    idle.watch(connection.as_fd());
    counters::accepted();
    counters::woken(true);
    let mut fate = Fate::default();
    fate.is(converse(&Thread, connection.as_fd(), protocol, buffers, &watch));
    fate.while_stopping(watch.stopping());
    // Counted before the watch lets the server end.
    drop(fate);
    drop(watch);
    drop(connection);
}

/// Says and hears all that there is on a connection, until nothing is left to do but close it; returns why it ended.
pub fn converse<P: Protocol>(
    calls: &impl Calls,
    fd: BorrowedFd<'_>,
    protocol: P,
    buffers: &mut Buffers,
    watch: &impl Watch,
) -> Why {
    // What the connection before could not send is nobody's.
    let unsent = buffers.out.len();
    buffers.out.advance(unsent as usize);
    buffers.input.clear();
    let mut talk = Talk { calls, fd, protocol, buffers, start: 0, why: Why::Stopped };
    let how = talk.run(watch);
    part(calls, fd, how);
    talk.why
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Everything is said on both sides, or the peer is gone.
    Over,
    /// Said by us; the peer is not expected to be sending.
    Close,
    /// Said by us; the peer may still be sending.
    Linger,
    /// To be reset.
    Abort,
}

struct Talk<'a, C, P> {
    calls: &'a C,
    fd: BorrowedFd<'a>,
    protocol: P,
    buffers: &'a mut Buffers,
    /// The unconsumed input begins here.
    start: usize,
    why: Why,
}

impl<C: Calls, P: Protocol> Talk<'_, C, P> {
    fn run(&mut self, watch: &impl Watch) -> Ended {
        let mut step = self.protocol.on_open(&mut self.buffers.out);
        let mut over = false;
        loop {
            match step {
                Step::Read => {}
                Step::Work(work) => {
                    // What was asked before does not wait for this work.
                    if let Err(error) = self.flush() {
                        return self.over(Why::of_send(&error));
                    }
                    self.calls.perform(work);
                    step = self.protocol.on_work_done(&mut self.buffers.out);
                    continue;
                }
                Step::Abort => {
                    self.why = Why::Service;
                    return Ended::Abort;
                }
                Step::Close | Step::Linger => {
                    self.why = if over { Why::Finished } else { Why::Service };
                    return match self.flush() {
                        Ok(()) if over => Ended::Over,
                        // What was not consumed shows that the peer is sending, whatever the service expected.
                        Ok(()) if step == Step::Linger || self.has_input() => Ended::Linger,
                        Ok(()) => Ended::Close,
                        Err(error) => self.over(Why::of_send(&error)),
                    };
                }
            }
            if self.has_input() && !self.buffers.out.is_full() {
                let consumed;
                (consumed, step) = self.offer();
                if consumed > 0 || step != Step::Read {
                    continue;
                }
            }
            let was_full = self.buffers.out.is_full();
            if let Err(error) = self.flush() {
                return self.over(Why::of_send(&error));
            }
            if was_full && self.has_input() {
                continue;
            }
            if over {
                step = self.protocol.on_eof(&self.buffers.input[self.start..], &mut self.buffers.out);
                if step == Step::Read {
                    step = Step::Close;
                }
                self.start = self.buffers.input.len();
                continue;
            }
            match self.receive(watch) {
                Ok(more) => over = !more,
                Err(error) => return self.over(Why::of_recv(&error)),
            }
        }
    }

    fn over(&mut self, why: Why) -> Ended {
        self.why = why;
        Ended::Over
    }

    fn has_input(&self) -> bool {
        self.start < self.buffers.input.len()
    }

    fn offer(&mut self) -> (usize, Step) {
        let Buffers { input, out } = &mut *self.buffers;
        out.set_base(self.start);
        let (consumed, step) = self.protocol.on_input(&input[self.start..], out);
        self.start += consumed;
        (consumed, step)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Buffers { input, out } = &mut *self.buffers;
        while !out.is_empty() {
            let sent = self.calls.send(self.fd, out, input);
            match sent {
                Ok(n) => {
                    counters::sent(n);
                    out.advance(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once; false at the end of input.
    fn receive(&mut self, watch: &impl Watch) -> io::Result<bool> {
        let input = &mut self.buffers.input;
        // What was consumed makes room; mostly that is all of it, and nothing moves.
        input.drain(..self.start);
        self.start = 0;
        if input.len() == input.capacity() {
            // A protocol leaves at most MAX_HEAD bytes; more would be read for ever.
            return Err(io::ErrorKind::InvalidData.into());
        }
        if watch.idle(input.is_empty() && self.protocol.is_idle()) {
            return Ok(false);
        }
        let received = loop {
            match self.calls.recv(self.fd, input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        watch.idle(false);
        let received = received?;
        counters::received(received);
        Ok(received > 0)
    }
}

/// Sends what is queued first, in one call; returns the bytes taken.
pub(super) fn send(fd: BorrowedFd<'_>, out: &Output, input: &[u8]) -> io::Result<usize> {
    let first = out.first(input);
    if first.len() as u64 == out.len() {
        return socket::send(fd, first);
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    let n = out.slices(input, &mut slices);
    socket::send_slices(fd, &slices[..n])
}

/// Does handler work in the calling thread.
pub(super) fn perform(work: Work) {
    match work {
        Work::Spin(time) => sys::clock::spin(time),
        Work::Sleep(time) => sys::clock::sleep(time),
    }
}

/// Gets the connection ready to be closed so that the reply arrives: a close with unread input sends RST, which can destroy what
/// is in flight (RFC 9293, 3.6.1).
fn part(calls: &impl Calls, fd: BorrowedFd<'_>, how: Ended) {
    let linger = match how {
        Ended::Over => false,
        Ended::Abort => {
            // Without the option the close is a plain one; there is nobody to tell.
            let _ = socket::reset_on_close(fd);
            false
        }
        Ended::Linger => true,
        // Few bytes: a process that serves one connection would pay for every page of its stack that it touches.
        Ended::Close => matches!(socket::recv_now(fd, &mut [0; 64]), Ok(n) if n > 0),
    };
    if linger && socket::shutdown(fd, Side::Write).is_ok() {
        drop_input(calls, fd);
    }
}

/// Reads and drops what still comes, until the end of it or of our patience.
fn drop_input(calls: &impl Calls, fd: BorrowedFd<'_>) {
    let mut scrap = [0; 4096];
    let end = Instant::now() + LINGER;
    while Instant::now() < end {
        match calls.readable(fd, end) {
            Ok(true) => {}
            // A signal, or the time is over: the loop tells them apart.
            Ok(false) => continue,
            Err(_) => break,
        }
        match socket::recv_now(fd, &mut scrap) {
            Ok(n) if n > 0 => counters::received(n),
            _ => break,
        }
    }
}
