//! Accepting on a blocking listener, for models that wait in accept(2). Not here: event loops (see `reactor`).

use super::BACK_OFF;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::socket::{Accepted, accept, is_nonblocking};
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

/// The next connection of a listener that several workers wait on; `None` when the server has been told to stop and the queue is
/// empty. `accept` is accept(2), with a lock round it where the model has one: it is not held while descriptors are short.
///
/// How workers stop, threads and processes alike. O_NONBLOCK on the listener is the order: it belongs to the open file, so one
/// fcntl(2) reaches all workers, and no accept that starts afterwards can block. Those that block already are woken by a signal
/// whose handler does nothing. Nobody can sleep through it: a worker that is not in accept yet finds the flag, one that is within
/// finds the signal pending before it sleeps. An empty queue is then the end. A worker to which the signal comes alone (its
/// process was told, the server was not) leaves the queue to the others.
///
/// # Errors
/// Those of accept(2) after which the listener is of no more use.
pub fn shared(
    listener: BorrowedFd<'_>,
    mut accept: impl FnMut(BorrowedFd<'_>) -> Accepted,
) -> io::Result<Option<OwnedFd>> {
    loop {
        let accepted = accept(listener);
        match accepted {
            Accepted::Connection(connection) => return Ok(Some(connection)),
            Accepted::Empty => return Ok(None),
            Accepted::Aborted => {}
            Accepted::Interrupted if !stop::stopping() || is_nonblocking(listener)? => {}
            Accepted::Interrupted => return Ok(None),
            // The supervisor shuts a listener whose queue was found empty.
            Accepted::Exhausted(_) | Accepted::Failed(_) if is_nonblocking(listener)? => return Ok(None),
            Accepted::Exhausted(_) => sys::clock::pause(BACK_OFF),
            Accepted::Failed(error) => return Err(error),
        }
    }
}
