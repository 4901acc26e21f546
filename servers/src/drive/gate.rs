//! Accepting in an event loop: a non-blocking listener that leaves the poller while descriptors are short. Not here: models that
//! block in accept(2) (see `acceptor`).

use super::BACK_OFF;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
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
}

impl Gate {
    /// Watches `listener`, which is non-blocking and may be other loops' too.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn open(listener: Arc<OwnedFd>, key: u64, poller: &mut impl Poller) -> io::Result<Self> {
        poller.add_listener(listener.as_fd(), key)?;
        Ok(Self { listener, key, resume_at: None })
    }

    /// The next connection; `None` when the queue is empty or nothing can be had for now.
    ///
    /// # Errors
    /// Those of accept(2) after which the listener is of no more use.
    pub fn next(&mut self, poller: &mut impl Poller) -> io::Result<Option<OwnedFd>> {
        loop {
            match accept(self.listener.as_fd(), true) {
                Accepted::Connection(fd) => return Ok(Some(fd)),
                Accepted::Empty => return Ok(None),
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) => {
                    // Level-triggered: the listener stays readable, and watching it would spin.
                    if self.resume_at.is_none() {
                        poller.remove(self.listener.as_fd())?;
                    }
                    self.resume_at = Some(Instant::now() + BACK_OFF);
                    return Ok(None);
                }
                Accepted::Failed(error) => return Err(error),
            }
        }
    }

    /// Watches a one-shot listener for the next connection.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn rearm(&self, poller: &mut impl Poller) -> io::Result<()> {
        poller.modify(self.listener.as_fd(), self.key, Interest::READ)
    }

    /// When to [`resume`](Self::resume), if it backs off.
    #[must_use]
    pub fn resume_at(&self) -> Option<Instant> {
        self.resume_at
    }

    /// Watches the listener again when its time has come.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn resume(&mut self, now: Instant, poller: &mut impl Poller) -> io::Result<()> {
        if self.resume_at.is_some_and(|at| now >= at) {
            self.resume_at = None;
            poller.add_listener(self.listener.as_fd(), self.key)?;
        }
        Ok(())
    }

    /// Stops accepting; the listener is closed where no other loop has it.
    ///
    /// # Errors
    /// Those of the poller.
    pub fn close(self, poller: &mut impl Poller) -> io::Result<()> {
        if self.resume_at.is_none() {
            poller.remove(self.listener.as_fd())?;
        }
        Ok(())
    }
}
