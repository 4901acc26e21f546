//! `async-current`: a task a connection on tokio's single-threaded runtime. Not here: several of them (see `async_per_core`).

use super::tasks::accept_until_stopped;
use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{self, Both};
use crate::drive::drain::drain;
use crate::drive::roster::Roster;
use crate::{Endpoint, Model, counters};
use service::{Protocol, Service};
use std::io;
use std::sync::Arc;

/// What it is.
pub static MODEL: Model = Model {
    name: "async-current",
    summary: "a task a connection on tokio's single-threaded runtime: `async` without stealing and cross-thread wake-ups",
    origin: "tokio, current_thread; Node.js",
    axes: Axes {
        accept: "one acceptor, a task",
        isolation: "none",
        lifetime: "a task a connection, one thread",
        multiplexing: "async tasks over edge-triggered epoll",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of the runtime and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()>
where
    S::Conn: Protocol + Unpin,
{
    endpoint.set_nonblocking()?;
    let counters = endpoint.options.counters;
    counters.workers(1);
    counters.enter(0);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    if counters.on() {
        builder.on_thread_unpark(|| counters::woken(true));
    }
    let runtime = builder.build()?;
    let roster = Arc::new(Roster::default());
    let grace = endpoint.options.grace;
    runtime.block_on(async {
        let served = accept_until_stopped(service, endpoint, Arc::clone(&roster)).await;
        drain(roster, grace).await?;
        served
    })
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the runtime and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(datagram::tasks::serve_until_stopped(service, endpoint))
}
