//! epoll(7), with nanosecond timeouts (epoll_pwait2(2)): level-triggered, one-shot and edge-triggered. Not here: what to do with
//! an event, and connections that come from another thread (see `inbox`).

use crate::poller::{Event, Interest, Poller, timespec};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Events taken per call. More would only delay the first of them.
const BATCH: usize = 256;

/// An epoll instance, or one thread's share of it.
pub struct Epoll {
    pub(crate) fd: Arc<OwnedFd>,
    batch: Vec<epoll::Event>,
    /// Beside what each descriptor is watched for: EPOLLONESHOT or nothing.
    extra: EventFlags,
    /// For listeners: EPOLLEXCLUSIVE or nothing.
    listener: EventFlags,
}

// SAFETY: only `batch` is not Send by itself, since an event's data may be a pointer; here it is a number, always (`new_u64`).
unsafe impl Send for Epoll {}

impl Epoll {
    /// Makes one, level-triggered.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        Self::with(EventFlags::empty(), EventFlags::empty(), BATCH)
    }

    /// Makes one whose listeners wake one waiting thread instead of all (EPOLLEXCLUSIVE, Linux 4.5).
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn exclusive() -> io::Result<Self> {
        Self::with(EventFlags::empty(), EventFlags::EXCLUSIVE, BATCH)
    }

    /// Makes one that tells each readiness to one thread, once, until the descriptor is modified (EPOLLONESHOT), `batch` at a time.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn oneshot(batch: usize) -> io::Result<Self> {
        Self::with(EventFlags::ONESHOT, EventFlags::empty(), batch)
    }

    fn with(extra: EventFlags, listener: EventFlags, batch: usize) -> io::Result<Self> {
        let fd = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        Ok(Self { fd, batch: Vec::with_capacity(batch), extra, listener })
    }

    /// The same instance for another thread.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { fd: Arc::clone(&self.fd), batch: Vec::with_capacity(self.batch.capacity()), ..*self }
    }

    /// Watches `fd` for input, level-triggered also where the others are one-shot: what is to be seen by every thread.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM, EEXIST.
    pub fn add_for_all(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.control_add(fd, key, EventFlags::IN)
    }

    pub(crate) fn control_add(&self, fd: BorrowedFd<'_>, key: u64, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(self.fd.as_fd(), fd, epoll::EventData::new_u64(key), flags)?)
    }

    /// Waits; shows each event's key and flags.
    fn wait_raw(
        &mut self,
        timeout: Option<Duration>,
        mut show: impl FnMut(u64, EventFlags),
    ) -> io::Result<()> {
        self.batch.clear();
        let timeout = timeout.map(timespec);
        match epoll::wait(self.fd.as_fd(), spare_capacity(&mut self.batch), timeout.as_ref()) {
            Ok(_) => {}
            // SIGSTOP and SIGCONT interrupt epoll_wait even where no handler is set (signal(7)).
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        for event in &self.batch {
            show(event.data.u64(), event.flags);
        }
        Ok(())
    }
}

fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    if interest.read {
        flags |= EventFlags::IN | EventFlags::RDHUP;
    }
    if interest.write {
        flags |= EventFlags::OUT;
    }
    flags
}

fn event(key: u64, flags: EventFlags) -> Event {
    let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
    Event {
        key,
        read: broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
        write: broken || flags.contains(EventFlags::OUT),
        hang_up: broken,
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().as_fd()
    }
}

impl Poller for Epoll {
    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        self.control_add(fd, key, flags(interest) | self.extra)
    }

    fn add_listener(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        // EPOLLEXCLUSIVE goes with EPOLLIN and not with EPOLLRDHUP, which a listener never has (epoll_ctl(2)).
        self.control_add(fd, key, EventFlags::IN | self.listener | self.extra)
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let flags = flags(interest) | self.extra;
        Ok(epoll::modify(self.fd.as_fd(), fd, epoll::EventData::new_u64(key), flags)?)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(self.fd.as_fd(), fd)?)
    }

    /// The set holds no open file for itself (epoll(7), question 6).
    fn forget(&mut self, _fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.wait_raw(timeout, |key, flags| events.push(event(key, flags)))
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}

/// An edge-triggered epoll instance: one epoll_ctl(2) for the whole life of a connection.
///
/// A short read means "drained" to the caller, and an end that stands behind that input will cause no edge of its own. So an end
/// (EPOLLRDHUP) is told beside the input that is before it: by an event in which nothing is ready. So is urgent data (EPOLLPRI): a
/// read stops short at its mark, with more behind it (tcp(7)).
pub struct EpollEdge(Epoll);

impl EpollEdge {
    /// Makes one.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        Epoll::new().map(Self)
    }
}

impl Poller for EpollEdge {
    const EDGE: bool = true;

    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, _interest: Interest) -> io::Result<()> {
        let all = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET;
        self.0.control_add(fd, key, all)
    }

    fn add_listener(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.0.add_listener(fd, key)
    }

    fn modify(&mut self, _fd: BorrowedFd<'_>, _key: u64, _interest: Interest) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.0.remove(fd)
    }

    fn forget(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.0.forget(fd)
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.0.wait_raw(timeout, |key, flags| {
            events.push(event(key, flags));
            if flags.intersects(EventFlags::RDHUP | EventFlags::PRI) {
                events.push(Event { key, read: false, write: false, hang_up: false });
            }
        })
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}
