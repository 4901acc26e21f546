//! `--max-connections`: how many connections may be open over the whole server, counted once for all of its threads. Not here: pools,
//! which bound themselves by making no more workers (see `cli`), and servers that make a process a connection, which count those.
//!
//! Who wants to accept takes a ticket first and keeps it until the connection is closed. Without one nothing is accepted: clients wait in
//! the kernel's queue, and the listener is not watched meanwhile. Whoever gives a ticket back wakes those who found none. When the order
//! to stop comes, what waits is served as far as there is room at that moment.
//!
//! **Without the option** a ticket is a null pointer, and nothing is counted.

use super::acceptor;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use sys::socket::wait_readable;
use sys::{Bell, stop};

/// The limit of a server, or none. A copy is the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit(Option<&'static Room>);

#[derive(Debug)]
struct Room {
    most: usize,
    taken: AtomicUsize,
    /// There is somebody in `waiting`.
    wanted: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// Leave to have one connection open, given back when dropped: after the descriptor is closed.
#[derive(Debug)]
#[must_use]
pub struct Ticket(Option<&'static Room>);

impl Limit {
    /// No limit but the system's.
    pub const NONE: Self = Self(None);

    /// At most `most` connections. Lives as long as the process.
    #[must_use]
    pub fn of(most: usize) -> Self {
        let room = Room {
            most,
            taken: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
            waiting: Mutex::default(),
        };
        Self(Some(Box::leak(Box::new(room))))
    }

    /// Whether there is a limit.
    #[must_use]
    pub fn on(self) -> bool {
        self.0.is_some()
    }

    /// A ticket, if there is one.
    pub fn try_enter(self) -> Option<Ticket> {
        if let Some(room) = self.0 {
            room.taken.fetch_update(SeqCst, SeqCst, |taken| (taken < room.most).then_some(taken + 1)).ok()?;
        }
        Some(Ticket(self.0))
    }

    /// Whether there is a ticket. Where there is none, `waker` is woken when there may be.
    #[must_use]
    pub fn has_room(self, waker: Option<&Waker>) -> bool {
        let Some(room) = self.0 else { return true };
        if let Some(waker) = waker.filter(|_| !room.has_some()) {
            let mut waiting = room.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if !waiting.iter().any(|other| other.will_wake(waker)) {
                waiting.push(waker.clone());
            }
            // Order matters: the wish, then a second look; a ticket comes back, then the wishes are looked at.
            room.wanted.store(true, SeqCst);
        }
        room.has_some()
    }

    /// As [`try_enter`](Self::try_enter) in a task, which is woken.
    pub fn poll_enter(self, cx: &Context<'_>) -> Poll<Ticket> {
        loop {
            if let Some(ticket) = self.try_enter() {
                return Poll::Ready(ticket);
            }
            if !self.has_room(Some(cx.waker())) {
                return Poll::Pending;
            }
        }
    }

    /// The ticket of a connection that came from another thread without it ([`Ticket::leave_with`]).
    pub fn adopt(self) -> Ticket {
        Ticket(self.0)
    }
}

impl Room {
    fn has_some(&self) -> bool {
        self.taken.load(SeqCst) < self.most
    }
}

impl Ticket {
    /// The connection goes to another thread, which [`adopt`](Limit::adopt)s its ticket.
    pub fn leave_with(mut self) {
        self.0 = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(room) = self.0 else { return };
        room.taken.fetch_sub(1, SeqCst);
        if room.wanted.swap(false, SeqCst) {
            let mut waiting = room.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let woken = std::mem::take(&mut *waiting);
            drop(waiting);
            // All of them: with listeners of their own, one may have clients while another has none.
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

/// Where a thread that blocks in accept(2) waits for a ticket.
#[derive(Debug)]
pub struct Entrance {
    limit: Limit,
    bell: Option<Arc<Bell>>,
}

impl Entrance {
    /// Of a process that is stopped by `sys::stop`: the order to stop ends the waiting too.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub fn new(limit: Limit) -> io::Result<Self> {
        let entrance = Self::in_crew(limit)?;
        if let Some(bell) = &entrance.bell {
            // The process keeps one bell open for the signal handler, whatever becomes of ours.
            stop::ring_at_stop(bell.as_fd().try_clone_to_owned()?);
        }
        Ok(entrance)
    }

    /// Of a thread that is told to stop by its listener: it waits until a connection has ended, which a drain brings about.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub fn in_crew(limit: Limit) -> io::Result<Self> {
        let bell = if limit.on() { Some(Arc::new(Bell::new()?)) } else { None };
        Ok(Self { limit, bell })
    }

    /// Waits for a ticket; `None` when the server has been told to stop before there was one.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn pass(&self) -> io::Result<Option<Ticket>> {
        loop {
            if let Some(ticket) = self.limit.try_enter() {
                return Ok(Some(ticket));
            }
            if stop::stopping() {
                return Ok(None);
            }
            let Some(bell) = &self.bell else { continue };
            if !self.limit.has_room(Some(&Waker::from(Arc::clone(bell)))) {
                wait_readable(&[bell.as_fd()], None)?;
                bell.hush()?;
            }
        }
    }

    /// The next connection with its ticket; `None` as [`acceptor::next`] has it, and at a stop while there is no room.
    ///
    /// # Errors
    /// As [`acceptor::next`].
    pub fn next_as(
        &self,
        listener: BorrowedFd<'_>,
        nonblocking: bool,
    ) -> io::Result<Option<(OwnedFd, Ticket)>> {
        let Some(ticket) = self.pass()? else { return Ok(None) };
        Ok(acceptor::next_as(listener, nonblocking)?.map(|connection| (connection, ticket)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_tickets_as_asked_for_and_whoever_found_none_is_woken() {
        let limit = Limit::of(2);
        let bell = Arc::new(Bell::new().unwrap());
        let waker = Waker::from(Arc::clone(&bell));
        let first = limit.try_enter().unwrap();
        assert!(limit.has_room(Some(&waker)));
        let second = limit.try_enter().unwrap();
        assert!(limit.try_enter().is_none() && !limit.has_room(Some(&waker)) && !bell.hush().unwrap());
        // Handed over: it is not back yet.
        first.leave_with();
        assert!(limit.try_enter().is_none());
        drop(limit.adopt());
        assert!(bell.hush().unwrap() && limit.try_enter().is_some());
        drop(second);
        assert!(!bell.hush().unwrap(), "nobody has asked again");
    }

    #[test]
    fn nobody_sleeps_through_a_ticket_that_comes_back() {
        let limit = Limit::of(3);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(move || {
                    let entrance = Entrance::in_crew(limit).unwrap();
                    for _ in 0..2_000 {
                        drop(entrance.pass().unwrap().unwrap());
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!((0..3).map(|_| limit.try_enter()).collect::<Vec<_>>().iter().all(Option::is_some));
    }
}
