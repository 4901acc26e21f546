//! Accepting in an event loop: a non-blocking listener that leaves the poller while descriptors are short or as many
//! connections are open as may be. Not here: models that block in accept(2) (see `acceptor`).

use super::BACK_OFF;
use super::limit::{Limit, Ticket};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;
use sys::socket::{Accepted, accept};
use sys::{Interest, Poller};

/// A listener in a loop's poller.
#[derive(Debug)]
pub struct Gate {
    listener: Arc<OwnedFd>,
    key: u64,
    /// When to watch the listener again after descriptors ran out.
    resume_at: Option<Instant>,
    limit: Limit,
    /// Wakes the loop when there is room; none where only the loop itself makes room.
    room: Option<Waker>,
    /// There was no room.
    full: bool,
    watched: bool,
}

impl Gate {
    /// Watches `listener`, which is non-blocking and may be other loops' too.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn open(
        listener: Arc<OwnedFd>,
        key: u64,
        (limit, room): (Limit, Option<Waker>),
        poller: &mut impl Poller,
    ) -> io::Result<Self> {
        poller.add_listener(listener.as_fd(), key)?;
        Ok(Self { listener, key, resume_at: None, limit, room, full: false, watched: true })
    }

    /// The next connection; `None` when the queue is empty, nothing can be had for now, or there is no room.
    ///
    /// # Errors
    /// Those of accept(2) after which the listener is of no more use.
    pub fn next(&mut self, poller: &mut impl Poller) -> io::Result<Option<(OwnedFd, Ticket)>> {
        loop {
            let Some(ticket) = self.limit.try_enter() else {
                if self.limit.has_room(self.room.as_ref()) {
                    continue;
                }
                self.full = true;
                self.unwatch(poller)?;
                return Ok(None);
            };
            match accept(self.listener.as_fd(), true) {
                Accepted::Connection(fd) => return Ok(Some((fd, ticket))),
                Accepted::Empty => return Ok(None),
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) => {
                    self.unwatch(poller)?;
                    self.resume_at = Some(Instant::now() + BACK_OFF);
                    return Ok(None);
                }
                Accepted::Failed(error) => return Err(error),
            }
        }
    }

    fn unwatch(&mut self, poller: &mut impl Poller) -> io::Result<()> {
        // Level-triggered: the listener stays readable, and watching it would spin.
        if self.watched {
            self.watched = false;
            poller.remove(self.listener.as_fd())?;
        }
        Ok(())
    }

    /// True while it is not watched.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        !self.watched
    }

    /// Watches a one-shot listener for the next connection.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn rearm(&self, poller: &mut impl Poller) -> io::Result<()> {
        if self.watched { poller.modify(self.listener.as_fd(), self.key, Interest::READ) } else { Ok(()) }
    }

    /// When to [`resume`](Self::resume), if it backs off.
    #[must_use]
    pub fn resume_at(&self) -> Option<Instant> {
        self.resume_at
    }

    /// Watches the listener again when its time has come and there is room.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn resume(&mut self, now: Instant, poller: &mut impl Poller) -> io::Result<()> {
        if self.watched {
            return Ok(());
        }
        self.resume_at = self.resume_at.filter(|at| now < *at);
        self.full = self.full && !self.limit.has_room(self.room.as_ref());
        if self.resume_at.is_none() && !self.full {
            self.watched = true;
            poller.add_listener(self.listener.as_fd(), self.key)?;
        }
        Ok(())
    }

    /// Stops accepting; the listener is closed where no other loop has it.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn close(self, poller: &mut impl Poller) -> io::Result<()> {
        if self.watched { poller.remove(self.listener.as_fd()) } else { Ok(()) }
    }
}
