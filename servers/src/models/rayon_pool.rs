//! `rayon-pool`: rayon's thread pool, misused for blocking conversations. Not here: rayon's own purpose, parallel computation.
//!
//! Its limits, which are why it is shown: a worker that blocks in a read cannot steal, so a pool of N holds N connections and the next
//! waits, however little the N say; and its queue has no bound, so what waits costs a descriptor each and the kernel's own
//! back-pressure, a full accept queue, never comes (rayon issues 779, 835, 904).

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::blocking::{Buffers, serve as converse};
use crate::drive::datagram::{self, Both};
use crate::drive::limit::Entrance;
use crate::drive::roster::Roster;
use crate::{Endpoint, Model};
use service::Service;
use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use sys::socket::{Side, shutdown};
use sys::stop;

/// What it is.
pub static MODEL: Model = Model {
    name: "rayon-pool",
    summary: "rayon's thread pool as workers, first in first out: blocked workers cannot steal",
    origin: "rayon, ThreadPool::spawn_fifo",
    axes: Axes {
        accept: "one acceptor, blocking; an unbounded queue",
        isolation: "thread",
        lifetime: "a fixed number of threads",
        multiplexing: "none: one connection a thread at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: everything,
};

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Serves until it is told to stop.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served; EAGAIN when the pool's threads are not to be had.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
    let entrance = Entrance::new(endpoint.options.limit)?;
    let (counters, idle) = (endpoint.options.counters, endpoint.options.idle);
    counters.workers(endpoint.options.workers);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(endpoint.options.workers)
        .thread_name(|_| "worker".to_owned())
        .start_handler(move |worker| counters.enter(worker))
        // Without one, a panic on one connection would end the process. It has been said on stderr.
        .panic_handler(drop)
        .build()
        .map_err(io::Error::other)?;
    let roster = Arc::new(Roster::default());
    endpoint.ready();
    while let Some((connection, ticket)) = entrance.next_as(endpoint.listener.as_fd(), false)? {
        let protocol = service.open();
        // Here, not by the worker: one that waits in the queue is open too, and a stop waits for it.
        let entry = roster.enter(connection.as_fd());
        pool.spawn_fifo(move || {
            BUFFERS.with_borrow_mut(|buffers| converse(connection, protocol, buffers, idle, entry));
            drop(ticket);
        });
    }
    // The queue is empty: whoever comes now is refused, and does not wait for those that are busy. Fails for no listener.
    let _ = shutdown(endpoint.listener.as_fd(), Side::Read);
    roster.stop(endpoint.options.grace);
    Ok(())
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served; EAGAIN when the pool's threads are not to be had.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(endpoint.options.workers)
        .thread_name(|_| "worker".to_owned())
        .panic_handler(drop)
        .build()
        .map_err(io::Error::other)?;
    datagram::threads::receive(&service, endpoint, |task| {
        pool.spawn_fifo(|| task.run());
        true
    })
}
