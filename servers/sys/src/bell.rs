//! One thread wakes another that waits for descriptors: eventfd(2). Not here: what the ringing means.

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Wake;

/// Readable from the first [`ring`](Self::ring) to the next [`hush`](Self::hush), for every thread that watches it.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that is silent.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Rings. Never blocks: a counter that is full (EAGAIN) is a bell that rings already.
    pub fn ring(&self) {
        let _ = rustix::io::retry_on_intr(|| rustix::io::write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// Silences it; true where it was ringing.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn hush(&self) -> io::Result<bool> {
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut [0_u8; 8])) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// As a waker it rings: for a thread that waits for descriptors among tasks.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
