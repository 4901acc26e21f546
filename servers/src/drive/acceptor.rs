//! Accepting on a blocking listener, for models that wait in accept(2). Not here: event loops (see `reactor`).

use super::BACK_OFF;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::socket::{Accepted, accept};
use sys::stop;

/// The next connection; `None` when the server has been told to stop and the queue is empty.
///
/// # Errors
/// Those of accept(2) after which the listener is of no more use.
pub fn next(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    next_as(listener, false)
}

/// As [`next`]; the connection, not the listener, is non-blocking where asked.
///
/// # Errors
/// As [`next`].
pub fn next_as(listener: BorrowedFd<'_>, nonblocking: bool) -> io::Result<Option<OwnedFd>> {
    loop {
        match accept(listener, nonblocking) {
            Accepted::Connection(connection) => return Ok(Some(connection)),
            // After SIGTERM the listener is non-blocking (see `sys::stop`): what was queued is served, then it ends.
            Accepted::Empty if stop::stopping() => return Ok(None),
            Accepted::Empty => {
                sys::socket::wait_readable(&[listener.as_fd()], None)?;
            }
            Accepted::Interrupted | Accepted::Aborted => {}
            Accepted::Exhausted(_) if stop::stopping() => return Ok(None),
            Accepted::Exhausted(_) => sys::clock::pause(BACK_OFF),
            Accepted::Failed(error) => return Err(error),
        }
    }
}
