//! Connections handed from one thread to another's epoll instance: the acceptor's epoll_ctl(2) is the whole message, no queue and
//! no lock. Not here: which thread is chosen.

use crate::epoll::Epoll;
use crate::poller::{Event, Interest, Poller};
use rustix::event::epoll::{self, EventFlags};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// The lower half of the key of a connection on its way; the upper half is its descriptor. No caller may use such a key.
const ON_ITS_WAY: u64 = 0xFFFF_FFF0;
const LOWER: u64 = 0xFFFF_FFFF;

/// The key of an event that announces [`Poller::take_arrival`].
pub const ARRIVAL: u64 = ON_ITS_WAY;

/// An epoll instance, level-triggered, that other threads can put connections into.
pub struct Inbox {
    epoll: Epoll,
    arrived: VecDeque<OwnedFd>,
}

/// Where another thread puts them.
#[derive(Clone, Debug)]
pub struct Door(Arc<OwnedFd>);

impl Inbox {
    /// Makes one.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new()?, arrived: VecDeque::new() })
    }

    /// The way in.
    #[must_use]
    pub fn door(&self) -> Door {
        Door(Arc::clone(&self.epoll.fd))
    }
}

impl Door {
    /// Gives `connection` away. A stream socket that is connected is writable at once, so the other thread is woken at once; one
    /// that has failed is an event too. On an error it is closed.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM.
    pub fn hand_over(&self, connection: OwnedFd) -> io::Result<()> {
        let key = (connection.as_raw_fd() as u64) << 32 | ON_ITS_WAY;
        let flags = EventFlags::OUT | EventFlags::ONESHOT;
        epoll::add(&*self.0, &connection, epoll::EventData::new_u64(key), flags)?;
        // From here on the kernel holds it, until the one event takes it out.
        let _ = connection.into_raw_fd();
        Ok(())
    }
}

fn check(key: u64) -> io::Result<()> {
    if key & LOWER == ON_ITS_WAY { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
}

impl Poller for Inbox {
    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        check(key)?;
        self.epoll.add(fd, key, interest)
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        check(key)?;
        self.epoll.modify(fd, key, interest)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.remove(fd)
    }

    fn forget(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.forget(fd)
    }

    fn take_arrival(&mut self) -> Option<OwnedFd> {
        self.arrived.pop_front()
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        self.epoll.wait(events, timeout)?;
        for event in events {
            if event.key & LOWER == ON_ITS_WAY {
                let fd = (event.key >> 32) as RawFd;
                // SAFETY: only `hand_over` makes such a key (`check`), it gave up this open descriptor, and EPOLLONESHOT reports
                // it once: nobody else owns it.
                self.arrived.push_back(unsafe { OwnedFd::from_raw_fd(fd) });
                event.key = ARRIVAL;
            }
        }
        Ok(())
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}
