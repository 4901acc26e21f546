//! One connection as a task of the tokio runtime: the state machine of `conn`, woken by the runtime. Not here: the runtime.

use super::blocking::Watch as _;
use super::conn::{Conn, Io, Next};
use super::idle::Idle;
use super::limit::Ticket;
use super::roster::Entry;
use crate::counters::{self, Why};
use service::Protocol;
use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use sys::{Event, Interest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Bytes read at a time: one buffer a runtime thread, lent to whichever task it runs, so that a waiting task owns none.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; SCRATCH]);
}

/// A stream of the runtime, of any family.
pub trait Stream: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + AsFd + Unpin + Send + 'static> Stream for T {}

/// A connection being served; done when it is closed.
pub struct Task<P, S> {
    // First: its end is counted before the entry lets the server end.
    conn: Conn<P>,
    // Before the stream: the entry leaves the roster before the descriptor is closed.
    entry: Entry,
    stream: S,
    next: Option<Next>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Where it may not be silent for ever.
    silence: Option<Box<Silence>>,
    /// Given back when the descriptor is closed.
    _ticket: Ticket,
}

impl<P: Protocol, S: Stream> Task<P, S> {
    /// Serves `stream` with `protocol`, as long as it is not silent for longer than `idle`; `entry` is its place in the roster.
    pub fn new(stream: S, protocol: P, entry: Entry, idle: Idle, ticket: Ticket) -> Self {
        let conn = Conn::new(protocol);
        let silence = idle.time().map(|time| Box::new(Silence::begin(time)));
        Self { entry, stream, conn, next: None, timer: None, silence, _ticket: ticket }
    }

    /// Goes on until the runtime has been asked to wake us, or the connection is done.
    fn advance(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Poll<()> {
        loop {
            let mut io =
                Polled { stream: Pin::new(&mut self.stream), cx, blocked: Interest::NONE, moved: false };
            let next = match self.next {
                None => {
                    // Here, in the thread that serves it first: the one that accepts is none of the workers.
                    counters::accepted();
                    self.conn.on_open(&mut io)
                }
                Some(Next::WaitUntil(_, at)) if self.timer.is_some() && Instant::now() >= at => {
                    self.timer = None;
                    self.conn.on_time(Instant::now(), &mut io)
                }
                Some(Next::Wait(wanted) | Next::WaitUntil(wanted, _)) => {
                    let event = Event { key: 0, read: wanted.read, write: wanted.write, hang_up: false };
                    self.conn.on_event(event, &mut io, scratch)
                }
                Some(Next::Done) => Next::Done,
            };
            let blocked = io.blocked;
            if io.moved || matches!(next, Next::WaitUntil(..)) {
                self.silence.iter_mut().for_each(|silence| silence.interrupt());
            }
            self.next = Some(next);
            match next {
                Next::Done => {
                    self.conn.fate.while_stopping(self.entry.stopping());
                    return Poll::Ready(());
                }
                // The runtime wakes us for what was tried and not possible; anything else must be tried first.
                Next::Wait(wanted) if covered(wanted, blocked) => {
                    if self.entry.idle(self.conn.is_idle()) {
                        return Poll::Ready(());
                    }
                    if self.silence(cx).is_ready() {
                        self.conn.fate.is(Why::Idle);
                        return Poll::Ready(());
                    }
                    return Poll::Pending;
                }
                Next::Wait(_) => {}
                Next::WaitUntil(wanted, at) => {
                    let timer =
                        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
                    if timer.as_mut().poll(cx).is_pending() && covered(wanted, blocked) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl<P, S> Task<P, S> {
    /// Ready when nothing has moved for too long.
    fn silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.silence.as_mut().map_or(Poll::Pending, |silence| silence.poll_over(cx))
    }
}

/// Since when nothing has moved. The timer is not set anew for each byte: when it goes off it is looked at how long ago that was.
struct Silence {
    time: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn begin(time: Duration) -> Self {
        Self { time, since: Instant::now(), timer: Box::pin(tokio::time::sleep(time)) }
    }

    fn interrupt(&mut self) {
        self.since = Instant::now();
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let end = self.since + self.time;
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end.into());
        }
        Poll::Pending
    }
}

fn covered(wanted: Interest, blocked: Interest) -> bool {
    (!wanted.read || blocked.read) && (!wanted.write || blocked.write)
}

impl<P: Protocol + Unpin, S: Stream> Future for Task<P, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let task = self.get_mut();
        // Not idle while it runs: a stop waits for what is being answered.
        task.entry.idle(false);
        BUFFER.with_borrow_mut(|scratch| task.advance(cx, scratch))
    }
}

/// The stream, with the waker to be woken by and a note of what it would have blocked on.
struct Polled<'a, 'b, S> {
    stream: Pin<&'a mut S>,
    cx: &'a mut Context<'b>,
    blocked: Interest,
    /// Bytes have gone one way or the other.
    moved: bool,
}

impl<S: Stream> Io for Polled<'_, '_, S> {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match self.stream.as_mut().poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => {
                self.moved |= !buffer.filled().is_empty();
                result.map(|()| buffer.filled().len())
            }
            Poll::Pending => {
                self.blocked.read = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.stream.as_mut().poll_write(self.cx, bytes);
        self.sent(sent)
    }

    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = self.stream.as_mut().poll_write_vectored(self.cx, slices);
        self.sent(sent)
    }

    fn finish(&mut self) -> io::Result<()> {
        sys::socket::shutdown(self.stream.as_fd(), sys::socket::Side::Write)
    }

    fn reset(&mut self) {
        // Without the option the close is a plain one; there is nobody to tell.
        let _ = sys::socket::reset_on_close(self.stream.as_fd());
    }
}

impl<S: Stream> Polled<'_, '_, S> {
    fn sent(&mut self, sent: Poll<io::Result<usize>>) -> io::Result<usize> {
        match sent {
            Poll::Ready(result) => {
                self.moved |= result.is_ok();
                result
            }
            Poll::Pending => {
                self.blocked.write = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}
