//! `prefork-flock`: a pool of processes of which one at a time, the holder of a file lock, is in accept. Not here: the supervision
//! (see `drive::processes`), the lock (see `sys::lock`).

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::datagram::{Both, Clerk, Taken, pools};
use crate::drive::processes;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::os::fd::BorrowedFd;
use sys::datagram::Wait;
use sys::lock::LockFile;
use sys::socket::{accept, accept_error};

/// What it is.
pub static MODEL: Model = Model {
    name: "prefork-flock",
    summary: "prefork with a file lock round accept: what servers did where the kernel woke every waiter",
    origin: "UNP chapter 30, server 3; Apache httpd's AcceptMutex flock",
    axes: Axes {
        accept: "shared listener, flock(2) round a blocking accept",
        isolation: "process",
        lifetime: "static pool",
        multiplexing: "none: one connection a process at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of fork(2) and of making the file at the start.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let file = LockFile::new()?;
    processes::listening(service, endpoint, || {
        let own = file.reopen()?;
        Ok(move |listener: BorrowedFd<'_>| {
            // A signal ends this wait as it ends one in accept.
            let _guard = match own.lock() {
                Ok(guard) => guard,
                Err(error) => return accept_error(error),
            };
            accept(listener, false)
        })
    })
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of fork(2) and of making the file at the start.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let file = LockFile::new()?;
    pools::processes(service, endpoint, || {
        let own = file.reopen()?;
        Ok(move |clerk: &mut Clerk<S>, socket: BorrowedFd<'_>| {
            // A signal ends this wait as it ends one in recv.
            match own.lock() {
                Ok(_guard) => clerk.take(socket, Wait::Socket),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Taken::Interrupted),
                Err(error) => Err(error),
            }
        })
    })
}
