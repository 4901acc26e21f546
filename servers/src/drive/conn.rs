//! One non-blocking connection as a state machine: told what is ready, it says what to wait for. Not here: the waiting (`reactor`
//! for select and epoll, `tasks` for a runtime), so that the rules of non-blocking I/O live once.
//!
//! Rules: read once and write at once on each event, ask for writability only after a short write; while output is unsent, do
//! not read (back-pressure); input that cannot be used yet is kept, bounded by what one read brings and one unfinished request;
//! half-close drops nothing; an idle connection owns no buffer.

use super::{LINGER, SLICES};
use crate::counters::{self, Fate, Why};
use service::{Output, Protocol, Step, Work};
use std::io::{self, IoSlice};
use std::time::Instant;
use sys::{Event, Interest};

/// Bytes written on one event before others get their turn.
const WRITE_BUDGET: usize = 1024 * 1024;

/// A non-blocking stream.
pub trait Io {
    /// Reads; `Ok(0)` is the end, `WouldBlock` means later.
    ///
    /// # Errors
    /// Those of recv(2).
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes from one buffer.
    ///
    /// # Errors
    /// Those of send(2).
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes from several buffers.
    ///
    /// # Errors
    /// Those of sendmsg(2).
    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Sends FIN.
    ///
    /// # Errors
    /// Those of shutdown(2).
    fn finish(&mut self) -> io::Result<()>;
    /// Makes the close that follows a reset.
    fn reset(&mut self);
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event.
    Wait(Interest),
    /// A moment; then [`Conn::on_time`]. An event that is an error ends it earlier.
    WaitUntil(Interest, Instant),
    /// Nothing: drop it, which closes it.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Requests and replies.
    Talking,
    /// A handler sleeps until then.
    Sleeping(Instant),
    /// A helper does the handler's work.
    Working,
    /// The last words are being sent; then close, lingering or not.
    Leaving { linger: bool },
    /// FIN is sent; what still comes is dropped, until then at most.
    Lingering(Instant),
}

/// A connection without its socket.
#[derive(Debug)]
pub struct Conn<P> {
    protocol: P,
    out: Output,
    /// Input that was read and not consumed.
    held: Vec<u8>,
    phase: Phase,
    /// The peer has said its last word.
    over: bool,
    /// The protocol has been told so.
    told: bool,
    /// Work goes to helpers.
    offload: bool,
    /// Work that no helper has taken yet.
    work: Option<Work>,
    /// How it will have ended.
    pub fate: Fate,
}

/// How far the sending came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    All,
    Blocked,
}

impl<P: Protocol> Conn<P> {
    /// A connection that has just been accepted.
    pub fn new(protocol: P) -> Self {
        Self {
            protocol,
            out: Output::new(),
            held: Vec::new(),
            phase: Phase::Talking,
            over: false,
            told: false,
            offload: false,
            work: None,
            fate: Fate::default(),
        }
    }

    /// As [`new`](Self::new), for a caller with helpers: after each call it asks for [`take_work`](Self::take_work).
    pub fn offloading(protocol: P) -> Self {
        Self { offload: true, ..Self::new(protocol) }
    }

    /// Work for a helper; [`on_done`](Self::on_done) says that it is done.
    pub fn take_work(&mut self) -> Option<Work> {
        self.work.take()
    }

    /// The first step: a server that speaks first does so here.
    pub fn on_open(&mut self, io: &mut impl Io) -> Next {
        let step = self.protocol.on_open(&mut self.out);
        let held = std::mem::take(&mut self.held);
        self.go_on(io, step, &held, 0)
    }

    /// True between requests: nothing read, nothing unsent, nothing being done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Talking && self.held.is_empty() && self.out.is_empty() && self.protocol.is_idle()
    }

    /// True while only the peer can bring it on: by sending, or by reading what is sent.
    #[must_use]
    pub fn waits_for_peer(&self) -> bool {
        matches!(self.phase, Phase::Talking | Phase::Leaving { .. })
    }

    /// Something is ready. `scratch` is lent for the call: a loop needs one for all its connections.
    pub fn on_event(&mut self, event: Event, io: &mut impl Io, scratch: &mut [u8]) -> Next {
        match self.phase {
            Phase::Lingering(_) => self.drop_input(io, scratch),
            // An error while the handler sleeps: the reply can reach nobody. Waiting on would spin, the event stays.
            Phase::Sleeping(_) | Phase::Working if event.hang_up => self.done(Why::Reset),
            Phase::Sleeping(_) | Phase::Working => self.next(Flush::All),
            Phase::Leaving { .. } => self.go_on(io, Step::Read, &[], 0),
            Phase::Talking if !self.out.is_empty() => {
                let held = std::mem::take(&mut self.held);
                self.go_on(io, Step::Read, &held, 0)
            }
            Phase::Talking if event.read || event.hang_up => self.read(io, scratch),
            Phase::Talking => self.next(Flush::All),
        }
    }

    /// The moment of [`Next::WaitUntil`] has come.
    pub fn on_time(&mut self, now: Instant, io: &mut impl Io) -> Next {
        match self.phase {
            Phase::Sleeping(until) if now >= until => self.reply(io),
            Phase::Lingering(until) if now >= until => Next::Done,
            _ => self.next(if self.out.is_empty() { Flush::All } else { Flush::Blocked }),
        }
    }

    /// A helper has done the work.
    pub fn on_done(&mut self, io: &mut impl Io) -> Next {
        if self.phase == Phase::Working { self.reply(io) } else { self.next(Flush::All) }
    }

    fn reply(&mut self, io: &mut impl Io) -> Next {
        self.phase = Phase::Talking;
        let step = self.protocol.on_work_done(&mut self.out);
        let held = std::mem::take(&mut self.held);
        self.go_on(io, step, &held, 0)
    }

    fn read(&mut self, io: &mut impl Io, scratch: &mut [u8]) -> Next {
        let received = match io.recv(scratch) {
            Ok(n) => n,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return self.next(Flush::All);
            }
            Err(error) => return self.done(Why::of_recv(&error)),
        };
        counters::received(received);
        self.over = received == 0;
        if self.held.is_empty() {
            return self.answer(io, &scratch[..received]);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(&scratch[..received]);
        self.go_on(io, Step::Read, &held, 0)
    }

    /// What mostly happens, by the shortest way: the input is one request, and its reply is sent. Whatever else it is, is gone on with.
    fn answer(&mut self, io: &mut impl Io, input: &[u8]) -> Next {
        if input.is_empty() {
            return self.go_on(io, Step::Read, input, 0);
        }
        self.out.set_base(0);
        let (consumed, step) = self.protocol.on_input(input, &mut self.out);
        if consumed < input.len() || step != Step::Read {
            return self.go_on(io, step, input, consumed);
        }
        match self.flush(io, input) {
            Ok(Flush::All) => Next::Wait(Interest::READ),
            Ok(Flush::Blocked) => {
                self.out.detach(input);
                Next::Wait(Interest::WRITE)
            }
            Err(error) => self.done(Why::of_send(&error)),
        }
    }

    /// Shows `input` from `at` on to the protocol and sends what it says until one of them must wait; keeps what was not consumed.
    fn go_on(&mut self, io: &mut impl Io, first: Step, input: &[u8], mut at: usize) -> Next {
        let next = self.steps(io, first, input, &mut at);
        if next == Next::Done {
            return next;
        }
        if !self.out.is_empty() {
            self.out.detach(input);
        }
        if at < input.len() && self.phase != (Phase::Leaving { linger: false }) {
            self.held.extend_from_slice(&input[at..]);
        }
        next
    }

    fn steps(&mut self, io: &mut impl Io, first: Step, input: &[u8], at: &mut usize) -> Next {
        let mut step = first;
        loop {
            match step {
                Step::Read => {}
                Step::Work(work) if self.offload => {
                    if let Err(error) = self.flush(io, input) {
                        return self.done(Why::of_send(&error));
                    }
                    self.phase = Phase::Working;
                    self.work = Some(work);
                    return self.next(Flush::All);
                }
                Step::Work(Work::Spin(time)) => {
                    // What was asked before does not wait for this work; an error shows at the next write.
                    let _ = self.flush(io, input);
                    sys::clock::spin(time);
                    step = self.protocol.on_work_done(&mut self.out);
                    continue;
                }
                Step::Work(Work::Sleep(time)) => {
                    if let Err(error) = self.flush(io, input) {
                        return self.done(Why::of_send(&error));
                    }
                    self.phase = Phase::Sleeping(Instant::now() + time);
                    return self.next(Flush::All);
                }
                Step::Abort => {
                    io.reset();
                    return self.done(Why::Service);
                }
                Step::Close => self.phase = Phase::Leaving { linger: false },
                Step::Linger => self.phase = Phase::Leaving { linger: true },
            }
            step = Step::Read;
            if self.phase == Phase::Talking && *at < input.len() && !self.out.is_full() {
                self.out.set_base(*at);
                let (consumed, then) = self.protocol.on_input(&input[*at..], &mut self.out);
                *at += consumed;
                step = then;
                if consumed > 0 || step != Step::Read {
                    continue;
                }
            }
            let was_full = self.out.is_full();
            match self.flush(io, input) {
                Ok(Flush::All) => {}
                Ok(Flush::Blocked) => return self.next(Flush::Blocked),
                Err(error) => return self.done(Why::of_send(&error)),
            }
            if let Phase::Leaving { linger } = self.phase {
                return self.leave(io, linger || *at < input.len());
            }
            if was_full && *at < input.len() {
                continue;
            }
            if self.over && !self.told {
                self.told = true;
                step = match self.protocol.on_eof(&input[*at..], &mut self.out) {
                    Step::Read => Step::Close,
                    other => other,
                };
                *at = input.len();
                continue;
            }
            return self.next(Flush::All);
        }
    }

    #[inline]
    fn flush(&mut self, io: &mut impl Io, input: &[u8]) -> io::Result<Flush> {
        let mut budget = WRITE_BUDGET;
        while !self.out.is_empty() {
            let first = self.out.first(input);
            let sent = if first.len() as u64 == self.out.len() {
                io.send(first)
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let n = self.out.slices(input, &mut slices);
                io.send_slices(&slices[..n])
            };
            match sent {
                Ok(n) => {
                    counters::sent(n);
                    self.out.advance(n);
                    if n >= budget && !self.out.is_empty() {
                        return Ok(Flush::Blocked);
                    }
                    budget = budget.saturating_sub(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flush::Blocked),
                Err(error) => return Err(error),
            }
        }
        Ok(Flush::All)
    }

    /// Everything is sent. A close with unread input would be a reset, which can destroy the reply in flight.
    fn leave(&mut self, io: &mut impl Io, linger: bool) -> Next {
        self.fate.is(if self.over { Why::Finished } else { Why::Service });
        if self.over {
            return Next::Done;
        }
        let mut scrap = [0; 512];
        if !linger {
            match io.recv(&mut scrap) {
                Ok(n) if n > 0 => counters::received(n),
                _ => return Next::Done,
            }
        }
        if io.finish().is_err() {
            return Next::Done;
        }
        self.phase = Phase::Lingering(Instant::now() + LINGER);
        self.held = Vec::new();
        self.next(Flush::All)
    }

    fn drop_input(&self, io: &mut impl Io, scratch: &mut [u8]) -> Next {
        match io.recv(scratch) {
            Ok(n) if n > 0 => {
                counters::received(n);
                self.next(Flush::All)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                self.next(Flush::All)
            }
            _ => Next::Done,
        }
    }

    fn done(&mut self, why: Why) -> Next {
        self.fate.is(why);
        Next::Done
    }

    fn next(&self, flush: Flush) -> Next {
        match self.phase {
            Phase::Sleeping(until) => Next::WaitUntil(Interest::NONE, until),
            Phase::Working => Next::Wait(Interest::NONE),
            Phase::Lingering(until) => Next::WaitUntil(Interest::READ, until),
            _ if flush == Flush::Blocked => Next::Wait(Interest::WRITE),
            _ => Next::Wait(Interest::READ),
        }
    }
}

#[cfg(test)]
#[path = "conn_tests.rs"]
mod tests;
