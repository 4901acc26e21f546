//! `async-per-core`: single-threaded tokio runtimes, one a worker, which share no connection. Not here: work stealing (see `tasks`).
//!
//! Connections come by hand-off from one acceptor, in turn, not by a SO_REUSEPORT listener a worker: the kernel's hash spreads a few
//! connections unevenly, and a listener that is closed resets what its queue holds, so a drain would lose connections.

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::idle::Idle;
use crate::drive::lanes::{Handed, Lane, Lanes};
use crate::drive::limit::Entrance;
use crate::drive::roster::Roster;
use crate::drive::tasks::Task;
use crate::{Endpoint, Model, counters};
use service::{Protocol, Service};
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use sys::Family;
use sys::stop;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Builder;

/// What it is.
pub static MODEL: Model = Model {
    name: "async-per-core",
    summary: "single-threaded tokio runtimes, each with its own connections: shared-nothing over epoll",
    origin: "actix-server; Seastar over epoll",
    axes: Axes {
        accept: "one acceptor, blocking, in a thread of its own; hands connections to the workers in turn",
        isolation: "none",
        lifetime: "a task a connection, a fixed number of threads",
        multiplexing: "async tasks over an edge-triggered epoll a thread, no stealing",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of the runtimes and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()>
where
    S::Conn: Protocol + Unpin,
{
    stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
    let entrance = Entrance::new(endpoint.options.limit)?;
    let roster = Arc::new(Roster::default());
    let (family, idle) = (endpoint.url.family, endpoint.options.idle);
    // Where nothing is counted it costs the thread a look at its own variable.
    let build = move || {
        Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .on_thread_unpark(|| counters::woken(true))
            .build()
    };
    let mut lanes =
        Lanes::start(endpoint.options.workers, endpoint.options.counters, build, move |runtime, lane| {
            runtime.block_on(work(&service, family, idle, lane));
        })?;
    endpoint.ready();
    while let Some((connection, ticket)) = entrance.next_as(endpoint.listener.as_fd(), true)? {
        lanes.give(connection, ticket, &roster);
    }
    roster.stop(endpoint.options.grace);
    Ok(())
}

async fn work<S: Service>(service: &S, family: Family, idle: Idle, mut lane: Lane)
where
    S::Conn: Protocol + Unpin,
{
    while let Some(Handed { entry, connection, ticket }) = lane.recv().await {
        // No room in epoll: this client sees a close, the others go on.
        if family == Family::Unix {
            if let Ok(stream) = UnixStream::from_std(connection.into()) {
                drop(tokio::spawn(Task::new(stream, service.open(), entry, idle, ticket)));
            }
        } else if let Ok(stream) = TcpStream::from_std(connection.into()) {
            drop(tokio::spawn(Task::new(stream, service.open(), entry, idle, ticket)));
        }
    }
    // No more come; those that are open are served until the process ends.
    std::future::pending().await
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the runtimes and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::tasks::per_core(service, endpoint)
}
