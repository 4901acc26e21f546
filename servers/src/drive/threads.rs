//! A pool of threads: starts the workers, tells them to stop. Not here: where a worker's connections come from, which is the
//! model's.
//!
//! The main thread waits for signals and serves nobody: it is the one that can never be held up by a client. A worker has a seat of
//! its own for the connection in hand, so that no lock is shared between workers (`roster` would be).

use super::acceptor;
use super::blocking::{Buffers, Watch, serve as converse};
use super::idle::Idle;
use super::limit::{Limit, Ticket};
use crate::counters::Counters;
use crate::endpoint::{Endpoint, announce};
use service::Service;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use sys::path::Claim;
use sys::signal::Signals;
use sys::socket::{Accepted, Side, set_nonblocking, shutdown, shutdown_number, wait_readable};
use sys::{Url, wake};

/// Stack of a worker, of a connection's thread and of a coroutine, in bytes. The buffers are on the heap; a debug build needs the most of
/// this.
pub const STACK: usize = 256 * 1024;

/// How long past the grace threads may take, once their connections are shut.
const SLACK: Duration = Duration::from_millis(100);

/// What a thread says to the main thread, a byte each.
const UP: u8 = b'u';
const ENDED: u8 = b'e';

/// A pool that is being made: hire its threads, then [`run`](Crew::run).
#[derive(Debug)]
pub struct Crew<S> {
    service: S,
    url: Url,
    grace: Duration,
    counters: Counters,
    idle: Idle,
    listener: Arc<OwnedFd>,
    /// Kept until the pool has drained.
    _claim: Option<Claim>,
    signals: Signals,
    seats: Vec<Arc<Seat>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    said: PipeReader,
    says: Arc<PipeWriter>,
}

impl<S: Service> Crew<S> {
    /// A pool without threads. Call it before any thread exists: that SIGTERM is for the main thread alone is inherited.
    ///
    /// # Errors
    /// Those of signalfd(2), sigaction(2) and pipe(2).
    pub fn new(service: S, endpoint: Endpoint) -> io::Result<Self> {
        let signals = Signals::new(false)?;
        wake::install()?;
        let (said, says) = io::pipe()?;
        Ok(Self {
            service,
            url: endpoint.url,
            grace: endpoint.options.grace,
            counters: endpoint.options.counters,
            idle: endpoint.options.idle,
            listener: Arc::new(endpoint.listener),
            _claim: endpoint.claim,
            signals,
            seats: Vec::new(),
            stopping: Arc::default(),
            threads: Vec::new(),
            said,
            says: Arc::new(says),
        })
    }

    /// Starts a thread that serves one connection after the other of those that `next` brings, until it brings none.
    ///
    /// A panic ends the connection and not the worker: a thread that died would have to be replaced by one that is the same.
    ///
    /// # Errors
    /// Those of clone(2).
    pub fn hire(
        &mut self,
        mut next: impl FnMut(BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, Ticket)>> + Send + 'static,
    ) -> io::Result<()> {
        let seat = Arc::new(Seat { stopping: self.stopping.clone(), ..Seat::default() });
        let (place, counters, idle) = (self.seats.len(), self.counters, self.idle);
        self.seats.push(seat.clone());
        let service = self.service.clone();
        self.spawn("worker", move |listener| {
            counters.enter(place);
            let mut buffers = Buffers::default();
            while let Some((connection, _ticket)) = next(listener)? {
                let taken = seat.take(connection.as_fd());
                let talk =
                    AssertUnwindSafe(|| converse(connection, service.open(), &mut buffers, idle, taken));
                if catch_unwind(talk).is_err() {
                    buffers = Buffers::default();
                }
            }
            Ok(())
        })
    }

    /// As [`hire`](Self::hire), `count` times, with workers that accept for themselves; `accept` is accept(2), with what the model
    /// puts round it.
    ///
    /// # Errors
    /// As [`hire`](Self::hire).
    pub fn hire_acceptors(
        &mut self,
        count: usize,
        accept: impl Fn(BorrowedFd<'_>) -> Accepted + Send + Sync + 'static,
    ) -> io::Result<()> {
        let accept = Arc::new(accept);
        for _ in 0..count {
            let accept = accept.clone();
            // As many connections as workers: the workers are the limit.
            self.hire(move |listener| {
                let connection = acceptor::shared(listener, &*accept)?;
                Ok(connection.map(|connection| (connection, Limit::NONE.adopt())))
            })?;
        }
        Ok(())
    }

    /// Starts a thread of the pool; `work` must end when the listener is non-blocking and its queue is empty.
    ///
    /// # Errors
    /// Those of clone(2).
    pub fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce(BorrowedFd<'_>) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (listener, voice) = (self.listener.clone(), Voice(self.says.clone()));
        let thread = Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
            voice.say(UP);
            // Without an order to stop any end is a failure, and after one none is.
            let _ = work(listener.as_fd());
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Serves until SIGTERM or SIGINT, then drains.
    ///
    /// # Errors
    /// When a thread ended although nothing said so.
    pub fn run(mut self) -> io::Result<()> {
        self.counters.workers(self.seats.len());
        let mut up = vec![0; self.threads.len()];
        self.said.read_exact(&mut up)?;
        let mut ended = up.contains(&ENDED);
        if !ended {
            announce(&self.url);
        }
        while !ended && self.signals.next()?.is_none() {
            ended = wait_readable(&[self.signals.as_fd(), self.said.as_fd()], None)?[1];
        }
        if ended { Err(io::Error::other("a worker cannot accept any more")) } else { self.drain() }
    }

    /// See [`acceptor::shared`] for why no thread sleeps through this.
    fn drain(&mut self) -> io::Result<()> {
        set_nonblocking(self.listener.as_fd())?;
        self.threads.iter().for_each(wake::wake);
        // Order matters: the flag, then who is idle; a worker says that it is idle, then looks at the flag.
        self.stopping.store(true, SeqCst);
        self.seats.iter().filter(|seat| seat.idle.load(SeqCst)).for_each(|seat| seat.shut(Side::Read));
        let mut left = self.threads.len();
        self.wait_ended(&mut left, self.grace)?;
        self.seats.iter().for_each(|seat| seat.shut(Side::Both));
        self.wait_ended(&mut left, SLACK)
    }

    fn wait_ended(&mut self, left: &mut usize, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while *left > 0 {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            if wait_readable(&[self.said.as_fd()], Some(rest))? == [true] {
                let mut said = [0; 64];
                *left = left.saturating_sub(self.said.read(&mut said)?);
                // It has found the queue empty: whoever comes now is refused, and does not wait for those that are busy. Fails
                // where it was done before.
                let _ = shutdown(self.listener.as_fd(), Side::Read);
            }
        }
        Ok(())
    }
}

/// A thread's end of the pipe: says that the thread has ended, however it did.
struct Voice(Arc<PipeWriter>);

impl Voice {
    fn say(&self, word: u8) {
        // The pipe holds more than all threads ever say, and the main thread keeps its other end.
        let _ = (&*self.0).write(&[word]);
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.say(ENDED);
    }
}

/// A worker's connection in hand, as the main thread sees it.
#[derive(Debug, Default)]
struct Seat {
    connection: Mutex<Option<RawFd>>,
    idle: AtomicBool,
    stopping: Arc<AtomicBool>,
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Option<RawFd>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, connection: BorrowedFd<'_>) -> Taken<'_> {
        *self.lock() = Some(connection.as_raw_fd());
        Taken(self)
    }

    fn shut(&self, side: Side) {
        if let Some(fd) = *self.lock() {
            // The seat is left before the descriptor is closed, so the number is still its own. A peer that has gone already
            // makes the call fail, which is as good.
            let _ = shutdown_number(fd, side);
        }
    }
}

/// A seat that is taken, until dropped: before the descriptor is closed (see `blocking::serve`).
struct Taken<'a>(&'a Seat);

impl Watch for Taken<'_> {
    fn idle(&self, idle: bool) -> bool {
        self.0.idle.store(idle, SeqCst);
        idle && self.stopping()
    }

    fn stopping(&self) -> bool {
        self.0.stopping.load(SeqCst)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.idle.store(false, SeqCst);
        *self.0.lock() = None;
    }
}
