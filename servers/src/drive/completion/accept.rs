//! Accepting over a ring: by operations of the ring, or, where the number of connections is limited, by accept(2) when the listener is
//! ready. Not here: what becomes of a connection.

use super::{ACCEPT_BATCH, BACK, LISTENER, ROOM, Receive, Server};
use crate::drive::BACK_OFF;
use service::Service;
use std::io;
use std::os::fd::AsFd as _;
use std::task::Waker;
use sys::socket::{self, Accepted};
use sys::uring::{Completion, Load};

impl<S: Service> Server<S> {
    pub(super) fn start_accept(&mut self) -> io::Result<()> {
        if let Some(listener) = &self.listener
            && self.accept.is_none()
            && !self.backing_off
            && !self.shared.stopping
        {
            if self.limit.on() {
                let waker = self.room.clone().map(Waker::from);
                self.full = !self.limit.has_room(waker.as_ref());
                if !self.full {
                    self.accept = Some(self.shared.ring.poll_readable(listener.as_fd(), LISTENER)?);
                }
                return Ok(());
            }
            let multi = self.shared.receive == Receive::Multi;
            self.accept = Some(self.shared.ring.accept(listener.as_fd(), multi, LISTENER)?);
        }
        Ok(())
    }

    pub(super) fn on_accept(&mut self, done: Completion) -> io::Result<()> {
        if !done.more {
            self.accept = None;
        }
        match done.result {
            Ok(_) if self.limit.on() => self.accept_some(ACCEPT_BATCH)?,
            Ok(_) => {
                if let Load::Accepted(fd) = done.load {
                    self.open(fd, self.limit.adopt())?;
                }
            }
            Err(sys::errno::ECANCELED) => {}
            Err(error) => match socket::accept_error(io::Error::from_raw_os_error(error)) {
                Accepted::Exhausted(_) => self.back_off()?,
                Accepted::Failed(error) => return Err(error),
                _ => {}
            },
        }
        if self.shared.stopping && self.accept.is_none() { self.end_listener() } else { self.start_accept() }
    }

    pub(super) fn back_off(&mut self) -> io::Result<()> {
        if !self.shared.stopping {
            // Started again at once it would end at once, and again and again.
            self.backing_off = true;
            self.shared.ring.timeout(BACK_OFF, BACK)?;
        }
        Ok(())
    }

    /// Accepts what is queued while there is room. Not by operations of the ring: what those have accepted by the time that they are
    /// called back could be more than may be open.
    pub(super) fn accept_some(&mut self, most: usize) -> io::Result<()> {
        for _ in 0..most {
            let Some(listener) = &self.listener else { return Ok(()) };
            let Some(ticket) = self.limit.try_enter() else { return Ok(()) };
            match socket::accept(listener.as_fd(), false) {
                Accepted::Connection(fd) => self.open(fd, ticket)?,
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Empty => return Ok(()),
                Accepted::Exhausted(_) => return self.back_off(),
                Accepted::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Watches for room that other rings make; the end of each turn looks for it.
    pub(super) fn watch_room(&mut self) -> io::Result<()> {
        if let Some(room) = &self.room {
            room.hush()?;
            self.shared.ring.poll_readable(room.as_fd(), ROOM)?;
        }
        Ok(())
    }

    /// No accept is under way any more: takes what is still queued, and closes.
    pub(super) fn end_listener(&mut self) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        socket::set_nonblocking(listener.as_fd())?;
        self.accept_some(usize::MAX)?;
        self.listener = None;
        Ok(())
    }
}
