//! One thread receives and hands each datagram to one of several loops, by its peer: what one peer sends stays in order. Not here: loops
//! that receive for themselves (see `loops`).
//!
//! A queue a loop, bounded: where one is full, receiving waits, and the socket's own queue is what the kernel bounds. Buffers go round:
//! none is made while as many datagrams are under way as have been before.

use super::desk::Desk;
use super::{BUDGET, Both, Clerk, Taken, send, take};
use crate::counters;
use crate::drive::loops::Team;
use crate::endpoint::{Endpoint, announce};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::datagram::{ROOM, Received, Wait};
use sys::epoll::Epoll;
use sys::signal::{Received as Signal, Signals};
use sys::{Bell, Family, Interest, Poller as _};

/// Datagrams that may wait for a loop.
const QUEUE: usize = 256;

const SOCKET: u64 = 0;
const SIGNALS: u64 = 1;
const ENDED: u64 = 2;

/// A datagram on its way to a loop.
type Parcel = (Vec<u8>, Received);

/// The way to a loop.
struct Hatch {
    into: Sender<Parcel>,
    bell: Arc<Bell>,
}

/// Serves with a loop a worker until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of epoll(7) and of recvmsg(2) after which nothing more can be served.
pub fn serve<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let socket = Arc::new(listener);
    let (back, free) = bounded(QUEUE * options.workers);
    let (mut team, mut hatches) =
        (Team::new(options.counters, options.workers)?, Vec::with_capacity(options.workers));
    for worker in 0..options.workers {
        let (into, from) = bounded(QUEUE);
        let bell = Arc::new(Bell::new()?);
        hatches.push(Hatch { into, bell: Arc::clone(&bell) });
        let desk = Desk::new(Clerk::new(service.clone(), url.family), None);
        let (socket, back) = (Arc::clone(&socket), back.clone());
        team.start(move |waiting| {
            let mut epoll = Epoll::new()?;
            epoll.add(bell.as_fd(), SOCKET, Interest::READ)?;
            waiting.say();
            Loop { desk, socket, from, back, bell, epoll }.serve(worker, options.grace)
        })?;
    }
    drop(back);
    team.await_ready()?;
    announce(&url);
    let received =
        Front { socket, family: url.family, hatches, buffer: vec![0; ROOM], free }.run(&signals, &team);
    received.and(team.end())
}

/// The thread that receives, and has the signals.
struct Front {
    socket: Arc<OwnedFd>,
    family: Family,
    hatches: Vec<Hatch>,
    /// What is received into next, and what has come back.
    buffer: Vec<u8>,
    free: Receiver<Vec<u8>>,
}

impl Front {
    /// Receives until it is told to stop, or no loop is left; hands on what is queued then.
    fn run(mut self, signals: &Signals, team: &Team) -> io::Result<()> {
        let mut epoll = Epoll::new()?;
        epoll.add(self.socket.as_fd(), SOCKET, Interest::READ)?;
        epoll.add(signals.as_fd(), SIGNALS, Interest::READ)?;
        epoll.add(team.ended_bell().as_fd(), ENDED, Interest::READ)?;
        let (mut events, mut stop) = (Vec::with_capacity(4), false);
        while !stop {
            epoll.wait(&mut events, None)?;
            for event in &events {
                match event.key {
                    SOCKET => drop(self.turn()?),
                    SIGNALS => {
                        while let Some(signal) = signals.next()? {
                            stop |= signal == Signal::Stop;
                        }
                    }
                    _ => {
                        team.ended_bell().hush()?;
                        stop |= team.is_gone();
                    }
                }
            }
        }
        while self.turn()? {}
        // The queues end here, and the loops look whether they do.
        for Hatch { into, bell } in self.hatches {
            drop(into);
            bell.ring();
        }
        Ok(())
    }

    /// Hands on what is there, at most [`BUDGET`]; true where more may be there.
    fn turn(&mut self) -> io::Result<bool> {
        for _ in 0..BUDGET {
            match take(self.socket.as_fd(), self.family, &mut self.buffer, Wait::No)? {
                Taken::Datagram(received) => {
                    let next = self.free.try_recv().unwrap_or_else(|_| vec![0; ROOM]);
                    let buffer = std::mem::replace(&mut self.buffer, next);
                    self.hand_on((buffer, received));
                }
                Taken::Interrupted => {}
                Taken::Empty => return Ok(false),
            }
        }
        Ok(true)
    }

    fn hand_on(&self, parcel: Parcel) {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(parcel.1.route.peer);
        let hatch = &self.hatches[(hash % self.hatches.len() as u64) as usize];
        // A loop that has ended by a panic takes nothing any more: that datagram is lost, as datagrams are.
        if hatch.into.send(parcel).is_ok() && hatch.into.len() == 1 {
            // Behind others it needs no ringing: the loop goes on until it finds nothing.
            hatch.bell.ring();
        }
    }
}

struct Loop<S> {
    desk: Desk<S>,
    socket: Arc<OwnedFd>,
    from: Receiver<Parcel>,
    back: Sender<Vec<u8>>,
    bell: Arc<Bell>,
    epoll: Epoll,
}

impl<S: Both> Loop<S> {
    fn serve(mut self, worker: usize, grace: Duration) -> io::Result<()> {
        let mut events = Vec::with_capacity(1);
        let mut stop_at = None;
        loop {
            let first = [self.desk.next_time(), stop_at].into_iter().flatten().min();
            self.epoll.wait(&mut events, first.map(|at| at.saturating_duration_since(Instant::now())))?;
            // Silence first: what comes after the look at the queue rings again.
            self.bell.hush()?;
            let ended = self.answer_all();
            counters::woken(!events.is_empty());
            self.desk.on_time(self.socket.as_fd());
            if ended {
                let at = *stop_at.get_or_insert_with(|| Instant::now() + grace);
                if self.desk.is_empty() || Instant::now() >= at {
                    self.desk.figures().report(worker);
                    return Ok(());
                }
            }
        }
    }

    /// Answers what is in the queue; true where no more will come.
    fn answer_all(&mut self) -> bool {
        loop {
            match self.from.try_recv() {
                Ok((buffer, received)) => {
                    let message = &buffer[..received.len];
                    if let Some(reply) = self.desk.consider(message, &received) {
                        let sent = send(self.socket.as_fd(), &reply, message, &received.route);
                        self.desk.sent(&sent);
                    }
                    // No room: more are under way than ever wait, and this one goes.
                    let _ = self.back.try_send(buffer);
                }
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }
}
