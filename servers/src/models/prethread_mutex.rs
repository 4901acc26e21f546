//! `prethread-mutex`: a pool of threads of which one at a time, the holder of a mutex, is in accept. Not here: the pool (see
//! `drive::threads`).

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::datagram::{Both, pools};
use crate::drive::threads::Crew;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::sync::{Mutex, PoisonError};
use sys::datagram::Wait;
use sys::socket::accept;

/// What it is.
pub static MODEL: Model = Model {
    name: "prethread-mutex",
    summary: "prethread with a mutex round accept: what it costs to do in user space what the kernel does too",
    origin: "UNP chapter 30, server 7",
    axes: Axes {
        accept: "shared listener, mutex round a blocking accept",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "none: one connection a thread at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start, and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let workers = endpoint.options.workers;
    let mut crew = Crew::new(service, endpoint)?;
    let mutex = Mutex::new(());
    crew.hire_acceptors(workers, move |listener| {
        // Nothing is guarded but the call itself, so a holder that panicked has left nothing half-done.
        let _guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        accept(listener, false)
    })?;
    crew.run()
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let mutex = Mutex::new(());
    pools::threads(service, endpoint, move |clerk, socket| {
        let _guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        clerk.take(socket, Wait::Socket)
    })
}
