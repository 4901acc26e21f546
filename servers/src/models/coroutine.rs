//! `coroutine`: blocking code, a stack a connection, in one thread over epoll. Not here: the coroutines (see `drive::coroutines`) and the
//! loop (see `drive::reactor`).

use crate::axes::{Axes, Capacity, Support};
use crate::drive::coroutines::Parked;
use crate::drive::reactor;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::Family;
use sys::epoll::Epoll;

/// What it is.
pub static MODEL: Model = Model {
    name: "coroutine",
    summary: "a stackful coroutine a connection: the blocking code of thread, in the one thread and epoll of the event loop",
    origin: "Capriccio (von Behren 2003), State Threads; corosensei",
    axes: Axes {
        accept: "one acceptor, in the loop",
        isolation: "none",
        lifetime: "a coroutine a connection, stacks used again",
        multiplexing: "stackful coroutines over epoll, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports,
};

fn supports(family: Family) -> Support {
    match family {
        Family::Tcp | Family::Unix => Support::Yes,
        Family::Udp | Family::Unixgram => Support::No(
            "no code waits in the midst of a datagram: what is left to wait for is a timer, as in epoll",
        ),
    }
}

/// Serves until it is told to stop.
///
/// A stack takes two of the mappings that a process may have: with vm.max_map_count at 65,530 that is some 32,000 connections, and what
/// comes beyond is closed.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    reactor::run_as::<S, Epoll, Parked>(service, endpoint, Epoll::new()?, |_| Ok(None))
}
