//! One connection as plain async code over completions: buffers are lent to the kernel for as long as an operation takes. Not here:
//! the runtime; readiness (see `tasks` and `waits`).
//!
//! The conversation is that of `blocking`, with awaits in the place of waiting. A connection that waits for input owns the buffer that
//! the input will be in, as completions have it; output is gathered in one that is lent by the thread, which costs a copy, since
//! [`Output`] refers to the input and the kernel must own what it sends.

use super::LINGER;
use super::appetite::{Appetite, SMALL};
use super::blocking::Watch;
use super::idle::Idle;
use super::limit::Ticket;
use super::roster::Entry;
use crate::counters::{self, Fate, Why};
use compio::BufResult;
use compio::buf::{IntoInner as _, IoBuf as _};
use compio::io::{AsyncRead, AsyncWrite};
use compio::time::{sleep, timeout_at};
use service::{MAX_HEAD, Output, Protocol, Step, Work};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::time::Instant;
use sys::socket::{self, Side};

/// Bytes read at a time. Room for an unfinished request and as much again.
const BUFFER: usize = 2 * MAX_HEAD;

/// Bytes sent at a time.
const STAGE: usize = 64 * 1024;

/// Buffers gathered per turn.
const SLICES: usize = 16;

/// Buffers for output that a thread keeps for its next use.
const KEPT: usize = 64;

thread_local! {
    static STAGES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A stream of the runtime, of any family.
pub trait Stream: AsyncRead + AsyncWrite + AsFd + 'static {}

impl<T: AsyncRead + AsyncWrite + AsFd + 'static> Stream for T {}

/// Serves a blocking `stream` until it is closed, or has been silent for longer than it may. An error of the connection ends the
/// connection and nothing else. `_ticket` is given back when it is closed.
pub async fn converse<P: Protocol>(
    stream: impl Stream,
    protocol: P,
    entry: Entry,
    idle: Idle,
    _ticket: Ticket,
) {
    counters::accepted();
    let (input, out, fate) = (Vec::with_capacity(SMALL), Output::new(), Fate::default());
    let appetite = Appetite::default();
    let mut talk = Talk { stream, protocol, entry, idle, appetite, input, start: 0, out, fate };
    let how = talk.run().await;
    talk.fate.while_stopping(talk.entry.stopping());
    talk.part(how).await;
    // The entry leaves the roster before the descriptor is closed.
    // It is counted before that.
    drop(talk.fate);
    drop(talk.entry);
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

/// What `moving` brings; `None` when nothing has moved for too long.
async fn in_time<T>(idle: Idle, moving: impl Future<Output = T>) -> Option<T> {
    match idle.end() {
        None => Some(moving.await),
        Some(end) => timeout_at(end, moving).await.ok(),
    }
}

struct Talk<P, S> {
    entry: Entry,
    idle: Idle,
    stream: S,
    protocol: P,
    appetite: Appetite,
    /// What was read.
    input: Vec<u8>,
    /// The unconsumed input begins here.
    start: usize,
    out: Output,
    fate: Fate,
}

impl<P: Protocol, S: Stream> Talk<P, S> {
    async fn run(&mut self) -> Ended {
        let mut step = self.protocol.on_open(&mut self.out);
        let mut over = false;
        loop {
            match step {
                Step::Read => {}
                Step::Work(work) => {
                    // What was asked before does not wait for this work.
                    if let Err(error) = self.flush().await {
                        return self.over(Why::of_send(&error));
                    }
                    match work {
                        Work::Spin(time) => sys::clock::spin(time),
                        Work::Sleep(time) => sleep(time).await,
                    }
                    step = self.protocol.on_work_done(&mut self.out);
                    continue;
                }
                Step::Abort => {
                    self.fate.is(Why::Service);
                    return Ended::Abort;
                }
                Step::Close | Step::Linger => {
                    self.fate.is(if over { Why::Finished } else { Why::Service });
                    return match self.flush().await {
                        Ok(()) if over => Ended::Over,
                        // What was not consumed shows that the peer is sending, whatever the service expected.
                        Ok(()) if step == Step::Linger || self.has_input() => Ended::Linger,
                        Ok(()) => Ended::Close,
                        Err(error) => self.over(Why::of_send(&error)),
                    };
                }
            }
            if self.has_input() && !self.out.is_full() {
                self.out.set_base(self.start);
                let (consumed, then) = self.protocol.on_input(&self.input[self.start..], &mut self.out);
                self.start += consumed;
                step = then;
                if consumed > 0 || step != Step::Read {
                    continue;
                }
            }
            let was_full = self.out.is_full();
            if let Err(error) = self.flush().await {
                return self.over(Why::of_send(&error));
            }
            if was_full && self.has_input() {
                continue;
            }
            if over {
                step = self.protocol.on_eof(&self.input[self.start..], &mut self.out);
                if step == Step::Read {
                    step = Step::Close;
                }
                self.start = self.input.len();
                continue;
            }
            match self.receive().await {
                Ok(more) => over = !more,
                Err(error) => return self.over(Why::of_recv(&error)),
            }
        }
    }

    fn over(&mut self, why: Why) -> Ended {
        self.fate.is(why);
        Ended::Over
    }

    fn has_input(&self) -> bool {
        self.start < self.input.len()
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let mut stage = STAGES.with_borrow_mut(Vec::pop).unwrap_or_default();
        let mut sent = Ok(());
        while sent.is_ok() && !self.out.is_empty() {
            stage.clear();
            self.gather(&mut stage);
            (sent, stage) = self.send(stage).await;
        }
        STAGES.with_borrow_mut(|stages| {
            if stages.len() < KEPT {
                stages.push(stage);
            }
        });
        sent
    }

    /// Sends all of `stage`, which comes back unless it was given up.
    async fn send(&mut self, mut stage: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut at = 0;
        while at < stage.len() {
            let Some(BufResult(sent, rest)) = in_time(self.idle, self.stream.write(stage.slice(at..))).await
            else {
                return (Err(io::ErrorKind::WouldBlock.into()), Vec::new());
            };
            stage = rest.into_inner();
            match sent {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), stage),
                Ok(n) => {
                    counters::sent(n);
                    at += n;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (Err(error), stage),
            }
        }
        (Ok(()), stage)
    }

    /// Moves output into `stage`, up to its measure.
    fn gather(&mut self, stage: &mut Vec<u8>) {
        while !self.out.is_empty() && stage.len() < STAGE {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let n = self.out.slices(&self.input, &mut slices);
            let before = stage.len();
            for slice in &slices[..n] {
                let room = STAGE - stage.len();
                stage.extend_from_slice(&slice[..slice.len().min(room)]);
            }
            let taken = stage.len() - before;
            self.out.advance(taken);
        }
    }

    /// Reads once; false at the end of input.
    async fn receive(&mut self) -> io::Result<bool> {
        // What was consumed makes room; mostly that is all of it, and nothing moves.
        self.input.drain(..self.start);
        self.start = 0;
        let held = self.input.len();
        if held == 0 && self.appetite.is_large() != (self.input.capacity() > SMALL) {
            self.input = Vec::with_capacity(if self.appetite.is_large() { BUFFER } else { SMALL });
        }
        if held == self.input.capacity() && held < BUFFER {
            self.appetite.grow();
            self.input.reserve_exact(BUFFER - held);
        }
        if held == self.input.capacity() {
            // A protocol leaves at most MAX_HEAD bytes; more would be read for ever.
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.entry.idle(held == 0 && self.protocol.is_idle()) {
            // Told to stop: what has arrived is still read, then comes an end. A connection that is reset cannot be shut, and ends.
            let _ = socket::shutdown(self.stream.as_fd(), Side::Read);
        }
        let input = std::mem::take(&mut self.input);
        // Behind what is held.
        let read = in_time(self.idle, self.stream.read(input.slice(held..))).await;
        self.entry.idle(false);
        let Some(BufResult(received, slice)) = read else { return Err(io::ErrorKind::WouldBlock.into()) };
        self.input = slice.into_inner();
        let received = received?;
        self.appetite.note(received);
        counters::received(received);
        Ok(received > 0)
    }

    /// Gets the connection ready to be closed so that the reply arrives (see `blocking`).
    async fn part(&mut self, how: Ended) {
        let fd = self.stream.as_fd();
        let linger = match how {
            Ended::Over => false,
            Ended::Abort => {
                // Without the option the close is a plain one; there is nobody to tell.
                let _ = socket::reset_on_close(fd);
                false
            }
            Ended::Linger => true,
            Ended::Close => matches!(socket::recv_now(fd, &mut [0; 512]), Ok(n) if n > 0),
        };
        if !linger || socket::shutdown(fd, Side::Write).is_err() {
            return;
        }
        let end = Instant::now() + LINGER;
        let mut scrap = std::mem::take(&mut self.input);
        loop {
            scrap.clear();
            match timeout_at(end, self.stream.read(scrap)).await {
                Ok(BufResult(Ok(n), back)) if n > 0 => {
                    counters::received(n);
                    scrap = back;
                }
                _ => return,
            }
        }
    }
}
