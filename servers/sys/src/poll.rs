//! poll(2): the list of descriptors is copied in and scanned on every call, however many are ready. Not here: the loop over it.

use crate::poller::{Event, Interest, Poller, timespec};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Not in the list.
const ABSENT: usize = usize::MAX;

/// The list, kept dense, and where in it each descriptor stands.
#[derive(Default)]
pub struct Poll {
    list: Vec<libc::pollfd>,
    /// Beside `list`: the key of each.
    keys: Vec<u64>,
    /// By descriptor number.
    place: Vec<usize>,
}

impl Poll {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn find(&self, fd: RawFd) -> io::Result<usize> {
        match self.place.get(fd as usize) {
            Some(&at) if at != ABSENT => Ok(at),
            _ => Err(io::Error::from_raw_os_error(libc::ENOENT)),
        }
    }
}

pub(crate) fn flags(interest: Interest) -> libc::c_short {
    let mut flags = 0;
    if interest.read {
        flags |= libc::POLLIN | libc::POLLRDHUP;
    }
    if interest.write {
        flags |= libc::POLLOUT;
    }
    flags
}

pub(crate) fn event(key: u64, revents: libc::c_short) -> Event {
    let broken = revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0;
    Event {
        key,
        read: broken || revents & (libc::POLLIN | libc::POLLRDHUP) != 0,
        write: broken || revents & libc::POLLOUT != 0,
        hang_up: broken,
    }
}

/// Waits; returns how many are ready. A signal ends the wait early, and then none is.
pub(crate) fn ppoll(list: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout = timeout.map(timespec).map(|t| libc::timespec { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: list and timeout live through the call, and the length is the list's. A number that is not open is POLLNVAL.
    let ready =
        unsafe { libc::ppoll(list.as_mut_ptr(), list.len() as libc::nfds_t, timeout, std::ptr::null()) };
    if ready >= 0 {
        return Ok(ready as usize);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
}

impl Poller for Poll {
    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        if self.find(fd).is_ok() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        if self.place.len() <= fd as usize {
            self.place.resize(fd as usize + 1, ABSENT);
        }
        self.place[fd as usize] = self.list.len();
        self.list.push(libc::pollfd { fd, events: flags(interest), revents: 0 });
        self.keys.push(key);
        Ok(())
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let at = self.find(fd.as_raw_fd())?;
        self.list[at].events = flags(interest);
        self.keys[at] = key;
        Ok(())
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let at = self.find(fd.as_raw_fd())?;
        self.place[fd.as_raw_fd() as usize] = ABSENT;
        self.list.swap_remove(at);
        self.keys.swap_remove(at);
        if let Some(moved) = self.list.get(at) {
            self.place[moved.fd as usize] = at;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        let mut left = ppoll(&mut self.list, timeout)?;
        // The kernel says how many there are: the scan ends with the last of them.
        for (polled, &key) in self.list.iter().zip(&self.keys) {
            if left == 0 {
                break;
            }
            if polled.revents == 0 {
                continue;
            }
            left -= 1;
            events.push(event(key, polled.revents));
        }
        Ok(())
    }

    fn limit(&self) -> Option<RawFd> {
        None
    }
}
