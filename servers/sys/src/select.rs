//! select(2): the set of descriptors is copied in and scanned on every call. Not here: poll, which has no limit but scans too.
//!
//! The kernel takes longer bitmaps; this wrapper keeps FD_SETSIZE (1,024), since the limit is part of what the model shows.

use crate::poller::{Event, Interest, Poller, timespec};
use rustix::event::{FdSetElement, FdSetIter, fd_set_insert, fd_set_num_elements, fd_set_remove, select};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Descriptors from this number on do not fit in an fd_set (select(2), BUGS).
pub const FD_SETSIZE: RawFd = 1024;

/// The master sets, and the copies that the kernel overwrites.
pub struct Select {
    read: Vec<FdSetElement>,
    write: Vec<FdSetElement>,
    read_ready: Vec<FdSetElement>,
    write_ready: Vec<FdSetElement>,
    keys: Vec<Option<u64>>,
    /// Where the descriptor's event stands in the list that is being built.
    place: Vec<usize>,
    /// One more than the highest descriptor watched: kept tight, since the kernel scans up to it.
    bound: RawFd,
}

impl Default for Select {
    fn default() -> Self {
        Self::new()
    }
}

impl Select {
    /// Empty sets.
    #[must_use]
    pub fn new() -> Self {
        let set = vec![FdSetElement::default(); fd_set_num_elements(FD_SETSIZE as usize, FD_SETSIZE)];
        Self {
            read: set.clone(),
            write: set.clone(),
            read_ready: set.clone(),
            write_ready: set,
            keys: vec![None; FD_SETSIZE as usize],
            place: vec![0; FD_SETSIZE as usize],
            bound: 0,
        }
    }

    fn set(&mut self, fd: RawFd, interest: Interest) {
        for (set, wanted) in [(&mut self.read, interest.read), (&mut self.write, interest.write)] {
            if wanted {
                fd_set_insert(set, fd);
            } else {
                fd_set_remove(set, fd);
            }
        }
    }
}

impl Poller for Select {
    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        if fd >= FD_SETSIZE {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        self.keys[fd as usize] = Some(key);
        self.bound = self.bound.max(fd + 1);
        self.set(fd, interest);
        Ok(())
    }

    fn modify(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        if self.keys.get(fd as usize).copied().flatten().is_none() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        self.keys[fd as usize] = Some(key);
        self.set(fd, interest);
        Ok(())
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let fd = fd.as_raw_fd();
        if self.keys.get(fd as usize).copied().flatten().is_none() {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        self.keys[fd as usize] = None;
        self.set(fd, Interest::NONE);
        while self.bound > 0 && self.keys[self.bound as usize - 1].is_none() {
            self.bound -= 1;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.read_ready.copy_from_slice(&self.read);
        self.write_ready.copy_from_slice(&self.write);
        let timeout = timeout.map(timespec);
        // SAFETY: every descriptor in the sets is open: `add` and `remove` bracket its life, as the trait demands of the caller.
        let ready = unsafe {
            select(
                self.bound,
                Some(&mut self.read_ready),
                Some(&mut self.write_ready),
                None,
                timeout.as_ref(),
            )
        };
        match ready {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        for fd in FdSetIter::new(&self.read_ready) {
            if let Some(key) = self.keys[fd as usize] {
                self.place[fd as usize] = events.len();
                events.push(Event { key, read: true, write: false, hang_up: false });
            }
        }
        for fd in FdSetIter::new(&self.write_ready) {
            if let Some(key) = self.keys[fd as usize] {
                match events.get_mut(self.place[fd as usize]) {
                    Some(event) if event.key == key => event.write = true,
                    _ => events.push(Event { key, read: false, write: true, hang_up: false }),
                }
            }
        }
        Ok(())
    }

    fn limit(&self) -> Option<RawFd> {
        Some(FD_SETSIZE)
    }
}
