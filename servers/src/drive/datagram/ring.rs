//! Datagrams as operations of io_uring(7): recvmsg and sendmsg by the ring, single-shot or multishot into provided buffers; an echo is
//! sent from the buffer that it was received into. Not here: the operations (see `sys::uring::datagrams`).

use super::desk::Desk;
use super::post::Post;
use super::{Both, Clerk};
use crate::counters;
use crate::drive::completion::Receive;
use crate::drive::loops::Team;
use crate::drive::reactor::Stop;
use crate::endpoint::{Endpoint, Options, announce};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};
use sys::Family;
use sys::datagram::{ROOM, Received};
use sys::signal::Signals;
use sys::uring::datagrams::{Envelope, HEAD, open};
use sys::uring::{Chunk, Completion, Load, OpId, Ring};

const STOP: u64 = u64::MAX;
const TIME: u64 = u64::MAX - 1;
const POSTED: u64 = u64::MAX - 2;
// Smaller keys are those of receives.

/// Submissions that fit the queue.
const ENTRIES: u32 = 128;

/// Single-shot receives under way at a time: those that are there are received in one turn.
const DEPTH: usize = 16;

/// Serves with one ring until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of io_uring(7) and of recvmsg(2) after which nothing more can be served.
pub fn run<S: Both>(service: S, endpoint: Endpoint, receive: Receive) -> io::Result<()> {
    let signals = Signals::new(false)?;
    let options = endpoint.options;
    options.counters.workers(1);
    options.counters.enter(0);
    let clerk = Clerk::new(service, endpoint.url.family);
    let url = endpoint.url.clone();
    let mut turns = Loop::new(endpoint.listener, Stop::Signals(signals), &options, clerk, receive)?;
    announce(&url);
    turns.serve(0)
}

/// Serves with a ring a worker, each over a socket of its own.
///
/// # Errors
/// As [`run`].
pub fn run_shared<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let signals = Signals::new(false)?;
    let Endpoint { listener, siblings, url, options, .. } = endpoint;
    let mut team = Team::new(options.counters, 1 + siblings.len())?;
    for (worker, socket) in std::iter::once(listener).chain(siblings).enumerate() {
        let stop = Stop::Bell(team.stop_bell());
        let clerk = Clerk::new(service.clone(), url.family);
        team.start(move |waiting| {
            // In the thread that uses it (SINGLE_ISSUER).
            let mut turns = Loop::new(socket, stop, &options, clerk, Receive::Multi)?;
            waiting.say();
            turns.serve(worker)
        })?;
    }
    team.open(&url, &signals)
}

struct Loop<S> {
    ring: Ring,
    socket: OwnedFd,
    family: Family,
    receive: Receive,
    /// Receives under way, by their keys.
    receiving: Vec<Option<OpId>>,
    /// No provided buffer was left: receiving goes on when one has come back.
    starved: bool,
    post: Post,
    stop: Stop,
    grace: Duration,
    stop_at: Option<Instant>,
    desk: Desk<S>,
    /// When the timeout that is under way ends.
    timer: Option<Instant>,
}

impl<S: Both> Loop<S> {
    fn new(
        socket: OwnedFd,
        stop: Stop,
        options: &Options,
        clerk: Clerk<S>,
        receive: Receive,
    ) -> io::Result<Self> {
        let family = clerk.family;
        let mut ring = Ring::new(ENTRIES)?;
        ring.poll_readable(stop.fd(), STOP)?;
        let count = match receive {
            Receive::Once => DEPTH,
            Receive::Multi => {
                ring.provide(options.buffers, (HEAD + ROOM) as u32)?;
                1
            }
        };
        let mut turns = Self {
            ring,
            socket,
            family,
            receive,
            receiving: vec![None; count],
            starved: false,
            post: Post::default(),
            stop,
            grace: options.grace,
            stop_at: None,
            desk: Desk::new(clerk, None),
            timer: None,
        };
        for key in 0..count {
            let envelope = (receive == Receive::Once).then(|| Envelope::new(ROOM));
            turns.start(key, envelope)?;
        }
        Ok(turns)
    }

    /// Starts to receive: into an envelope, or again and again into provided buffers.
    fn start(&mut self, key: usize, envelope: Option<Box<Envelope>>) -> io::Result<()> {
        if self.stop_at.is_some() {
            return Ok(());
        }
        let fd = self.socket.as_fd();
        self.receiving[key] = Some(match envelope {
            Some(envelope) => self.ring.recv_datagram(fd, self.family, envelope, key as u64)?,
            None => self.ring.recv_datagrams(fd, self.family, key as u64)?,
        });
        Ok(())
    }

    fn serve(&mut self, worker: usize) -> io::Result<()> {
        loop {
            self.set_timer()?;
            self.ring.wait(true)?;
            let mut useful = false;
            while let Some(done) = self.ring.completed() {
                match done.key {
                    POSTED => self.post.on_posted(self.socket.as_fd(), done, &mut self.desk),
                    TIME => self.timer = None,
                    STOP => self.on_stop()?,
                    _ => {
                        useful |= done.result.is_ok();
                        self.on_received(done)?;
                    }
                }
            }
            counters::woken(useful);
            if self.starved && self.ring.available() > 0 {
                self.starved = false;
                self.start(0, None)?;
            }
            self.desk.on_time(self.socket.as_fd());
            if let Some(at) = self.stop_at
                && self.is_over(at)?
            {
                self.desk.figures().report(worker);
                return Ok(());
            }
        }
    }

    fn on_stop(&mut self) -> io::Result<()> {
        if !self.stop.told()? {
            // A signal that is no order to stop.
            return self.ring.poll_readable(self.stop.fd(), STOP).map(drop);
        }
        self.stop_at = Some(Instant::now() + self.grace);
        self.receiving.iter().flatten().try_for_each(|operation| self.ring.cancel(*operation))
    }

    /// Told to stop: what is queued when the last receive has ended is still answered.
    fn is_over(&mut self, at: Instant) -> io::Result<bool> {
        if Instant::now() >= at {
            return Ok(true);
        }
        if self.receiving.iter().any(Option::is_some) {
            return Ok(false);
        }
        while self.desk.turn(self.socket.as_fd())? && Instant::now() < at {}
        Ok(self.desk.is_empty() && self.post.is_empty())
    }

    fn on_received(&mut self, done: Completion) -> io::Result<()> {
        let key = done.key as usize;
        if !done.more {
            self.receiving[key] = None;
        }
        let next = match (self.receive, done.load) {
            (Receive::Once, Load::Datagram(mut envelope)) => {
                if let Ok(len) = done.result {
                    let received = envelope.received(len);
                    let buffer = std::mem::take(&mut envelope.bytes);
                    let range = 0..received.len;
                    envelope.bytes = match self.answer(Chunk::Own(buffer, received.len), range, &received)? {
                        Some(Chunk::Own(buffer, _)) => buffer,
                        _ => self.post.buffer(),
                    };
                }
                Some(envelope)
            }
            (_, Load::Received(chunk)) => {
                if let Some((received, range)) = open(&chunk, self.family) {
                    self.answer(chunk, range, &received)?;
                }
                None
            }
            _ => None,
        };
        match done.result {
            // What an earlier answer came to, and what comes of stopping, says nothing about the socket.
            Err(error) if !sys::errno::is_of_no_consequence(error) => {
                return Err(io::Error::from_raw_os_error(error));
            }
            Err(_) if self.receive == Receive::Multi && self.ring.available() == 0 => self.starved = true,
            _ if !done.more => self.start(key, next)?,
            _ => {}
        }
        Ok(())
    }

    /// Answers what lies in a stretch of `chunk`, which is given back where it is not sent.
    fn answer(
        &mut self,
        chunk: Chunk,
        range: std::ops::Range<usize>,
        received: &Received,
    ) -> io::Result<Option<Chunk>> {
        let Some(reply) = self.desk.consider(&chunk[range.clone()], received) else { return Ok(Some(chunk)) };
        let (what, rest) = self.post.outgoing(reply, chunk, range);
        self.post.send(&mut self.ring, self.socket.as_fd(), what, received.route, POSTED)?;
        Ok(rest)
    }

    /// Has the ring wake us when the first answer is due, or the grace is over.
    fn set_timer(&mut self) -> io::Result<()> {
        let first = [self.desk.next_time(), self.stop_at].into_iter().flatten().min();
        let Some(at) = first.filter(|at| self.timer.is_none_or(|timer| *at < timer)) else { return Ok(()) };
        self.timer = Some(at);
        self.ring.timeout(at.saturating_duration_since(Instant::now()), TIME).map(drop)
    }
}
