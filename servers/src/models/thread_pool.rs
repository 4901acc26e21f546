//! `thread-pool`: one thread accepts and puts connections into a bounded queue, from which a pool of threads takes them. Not here:
//! the pool (see `drive::threads`).
//!
//! When the queue is full the acceptor waits, and clients queue in the kernel: UNP's server 8 ends itself instead. The acceptor is
//! not the main thread, as it is there: one that waits for room would not hear the order to stop.

use crate::axes::{Axes, Capacity, POOL, everything};
use crate::drive::acceptor;
use crate::drive::datagram::{self, Both};
use crate::drive::limit::Entrance;
use crate::drive::threads::Crew;
use crate::{Endpoint, Model};
use crossbeam_channel::bounded;
use service::Service;
use std::io;
use sys::socket::accept;

/// What it is.
pub static MODEL: Model = Model {
    name: "thread-pool",
    summary: "one acceptor, a bounded queue, a pool of threads: producer and consumers",
    origin: "UNP chapter 30, server 8; Apache httpd's worker MPM",
    axes: Axes {
        accept: "one acceptor, hand-off by a bounded queue",
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
    let entrance = Entrance::in_crew(endpoint.options.limit)?;
    let mut crew = Crew::new(service, endpoint)?;
    // As many may wait as are served: enough that no worker finds the queue empty while the kernel's is not.
    let (into, from) = bounded(workers);
    for _ in 0..workers {
        let from = from.clone();
        crew.hire(move |_| Ok(from.recv().ok()))?;
    }
    drop(from);
    crew.spawn("acceptor", move |listener| {
        while let Some(ticket) = entrance.pass()?
            && let Some(connection) = acceptor::shared(listener, |listener| accept(listener, false))?
        {
            if into.send((connection, ticket)).is_err() {
                break;
            }
        }
        Ok(())
    })?;
    crew.run()
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of clone(2) at the start, and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let workers = endpoint.options.workers;
    let (into, from) = bounded::<datagram::threads::Task<S>>(workers);
    for _ in 0..workers {
        let from = from.clone();
        drop(std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            for task in from {
                // A panic ends the answer and not the worker.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run()));
            }
        })?);
    }
    drop(from);
    datagram::threads::receive(&service, endpoint, |task| into.send(task).is_ok())
}
