//! `epoll-reuseport`: a loop and a listener a worker; the kernel spreads the connections. Not here: the listeners (see
//! `sys::listen::listen_group`) and the loops (see `drive::loops`).

use crate::axes::{Axes, Capacity, tcp_by_port};
use crate::drive::datagram::{self, Both};
use crate::drive::loops;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use sys::epoll::Epoll;

/// What it is.
pub static MODEL: Model = Model {
    name: "epoll-reuseport",
    summary: "N event loops with a listener each on one port: nothing shared, spread by a hash whatever the load",
    origin: "Linux 3.9, SO_REUSEPORT; nginx, listen reuseport",
    axes: Axes {
        accept: "listener per worker, SO_REUSEPORT: the kernel chooses by a hash of the addresses",
        isolation: "thread",
        lifetime: "static pool",
        multiplexing: "epoll, level-triggered",
        work: "spin inline, sleep by a timer",
    },
    capacity: Capacity::System,
    supports: tcp_by_port,
};

/// Serves until it is told to stop.
///
/// A listener that is closed takes its queue with it: what a client connects between a loop's last accept(2) and its close is
/// reset, unless net.ipv4.tcp_migrate_req moves it to another loop.
///
/// # Errors
/// Those of epoll(7) and accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    loops::run(service, endpoint, Epoll::new)
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of the mechanism and of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::loops::run_shared(service, endpoint, Epoll::new)
}
