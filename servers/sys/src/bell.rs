//! A bell between threads that event loops can watch (eventfd(2)). Not here: what it means.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Readable from the first ring on, for everybody who watches it.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// Makes one.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
        Ok(Self(rustix::event::eventfd(0, flags)?))
    }

    /// Rings it, for good.
    pub fn ring(&self) {
        // It fails only where the count is at its greatest: then it has rung.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::wait_readable;
    use std::time::Duration;

    #[test]
    fn stays_readable_once_it_has_rung() {
        let bell = Bell::new().unwrap();
        assert_eq!(wait_readable(&[bell.as_fd()], Some(Duration::ZERO)).unwrap(), [false]);
        bell.ring();
        bell.ring();
        for _ in 0..2 {
            assert_eq!(wait_readable(&[bell.as_fd()], None).unwrap(), [true]);
        }
    }
}
