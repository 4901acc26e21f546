//! `prefork-mutex`: a pool of processes of which one at a time, the holder of a mutex in shared memory, is in accept. Not here: the
//! supervision (see `drive::processes`), the mutex (see `sys::lock`).

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::datagram::{Both, Clerk, pools};
use crate::drive::processes;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::os::fd::BorrowedFd;
use sys::datagram::Wait;
use sys::lock::SharedMutex;
use sys::socket::{accept, accept_error};

/// What it is.
pub static MODEL: Model = Model {
    name: "prefork-mutex",
    summary: "prefork with a robust mutex in shared memory round accept: a lock without a system call when it is free",
    origin: "UNP chapter 30, server 4; Apache httpd's AcceptMutex pthread",
    axes: Axes {
        accept: "shared listener, process-shared mutex round a blocking accept",
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
/// Those of fork(2) and of making the mutex at the start.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let mutex = SharedMutex::new()?;
    processes::listening(service, endpoint, || {
        Ok(|listener: BorrowedFd<'_>| {
            // No signal ends this wait, and none has to: whoever holds the mutex is woken, finds nothing and passes it on.
            let _guard = match mutex.lock() {
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
/// Those of fork(2) and of making the mutex at the start.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let mutex = SharedMutex::new()?;
    pools::processes(service, endpoint, || {
        Ok(|clerk: &mut Clerk<S>, socket: BorrowedFd<'_>| {
            let _guard = mutex.lock()?;
            clerk.take(socket, Wait::Socket)
        })
    })
}
