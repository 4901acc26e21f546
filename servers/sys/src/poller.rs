//! What a readiness mechanism must supply, and nothing more (after redis' `ae`). Not here: any one mechanism.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Input, or the end of it.
    pub read: bool,
    /// Room for output.
    pub write: bool,
}

impl Interest {
    /// Errors and hang-ups only.
    pub const NONE: Self = Self { read: false, write: false };
    /// Input.
    pub const READ: Self = Self { read: true, write: false };
    /// Room for output.
    pub const WRITE: Self = Self { read: false, write: true };
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The key it was added with.
    pub key: u64,
    /// Reading will not block: there is input, an end or an error.
    pub read: bool,
    /// Writing will not block: there is room or an error.
    pub write: bool,
    /// An error is pending or both directions are shut; reported even where nothing is watched.
    pub hang_up: bool,
}

/// A readiness mechanism; level-triggered unless it says [`EDGE`](Self::EDGE).
pub trait Poller {
    /// Readiness is told once, when it begins: the caller remembers it, and drains. What is watched for is fixed by
    /// [`add`](Self::add), and [`modify`](Self::modify) does nothing.
    const EDGE: bool = false;

    /// Starts to watch `fd`. The caller removes it, or has it forgotten, before it closes it.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM; EMFILE-like when [`limit`](Self::limit) is passed.
    fn add(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()>;

    /// Starts to watch a listener for connections, level-triggered in every mechanism. [`remove`](Self::remove) ends it.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn add_listener(&mut self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.add(fd, key, Interest::READ)
    }

    /// Takes a connection that another thread has handed over. It is watched already, for nothing: [`modify`](Self::modify) it.
    fn take_arrival(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Watches a descriptor that is already watched for something else.
    ///
    /// # Errors
    /// ENOENT when it is not watched.
    fn modify(&mut self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()>;

    /// Stops to watch `fd`.
    ///
    /// # Errors
    /// ENOENT when it is not watched.
    fn remove(&mut self, fd: BorrowedFd<'_>) -> io::Result<()>;

    /// As [`remove`](Self::remove), of a descriptor that is closed next and that nobody else holds: where the kernel then forgets it by
    /// itself, no call is made.
    ///
    /// # Errors
    /// As [`remove`](Self::remove).
    fn forget(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.remove(fd)
    }

    /// Waits until something is ready or `timeout` has passed (`None`: for ever); replaces the content of `events`.
    ///
    /// # Errors
    /// Those of the mechanism; EINTR is returned as no events.
    fn wait(&mut self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<()>;

    /// The first descriptor number that cannot be watched, if there is one.
    fn limit(&self) -> Option<RawFd>;
}

pub(crate) fn timespec(time: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
