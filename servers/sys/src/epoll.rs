//! epoll(7), level-triggered, with nanosecond timeouts (epoll_pwait2(2)). Not here: what to do with an event.

use crate::poller::{Event, Interest, Poller, timespec};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// Events taken per call. More would only delay the first of them.
const BATCH: usize = 256;

/// An epoll instance.
pub struct Epoll {
    fd: OwnedFd,
    batch: Vec<epoll::Event>,
}

impl Epoll {
    /// Makes one.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: epoll::create(epoll::CreateFlags::CLOEXEC)?, batch: Vec::with_capacity(BATCH) })
    }
}

impl std::os::fd::AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    let mut flags = epoll::EventFlags::empty();
    if interest.read {
        flags |= epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
    }
    if interest.write {
        flags |= epoll::EventFlags::OUT;
    }
    flags
}

impl Poller for Epoll {
    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.fd, fd, epoll::EventData::new_u64(key), flags(interest))?)
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.fd, fd, epoll::EventData::new_u64(key), flags(interest))?)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, fd)?)
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.batch.clear();
        let timeout = timeout.map(timespec);
        match epoll::wait(&self.fd, spare_capacity(&mut self.batch), timeout.as_ref()) {
            Ok(_) => {}
            // SIGSTOP and SIGCONT interrupt epoll_wait even where no handler is set (signal(7)).
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        events.extend(self.batch.iter().map(|event| {
            let flags = event.flags;
            let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            Event {
                key: event.data.u64(),
                read: broken || flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::RDHUP),
                write: broken || flags.contains(epoll::EventFlags::OUT),
                hang_up: broken,
            }
        }));
        Ok(())
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}
