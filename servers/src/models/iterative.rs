//! `iterative`: accept, serve, close, repeat. Not here: any concurrency; that is the point.

use crate::axes::{Axes, Capacity, everything};
use crate::drive::datagram::{Both, pools};
use crate::drive::{acceptor, serial};
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::os::fd::AsFd as _;
use sys::stop;

/// What it is.
pub static MODEL: Model = Model {
    name: "iterative",
    summary: "one connection at a time: the baseline of what a connection costs",
    origin: "UNP chapter 30, server 0; socketserver.TCPServer",
    axes: Axes {
        accept: "one acceptor, blocking",
        isolation: "none",
        lifetime: "one worker for all connections",
        multiplexing: "none: one connection at a time",
        work: "inline",
    },
    capacity: Capacity::One,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
    endpoint.options.counters.workers(1);
    endpoint.options.counters.enter(0);
    endpoint.ready();
    serial::serve(&service, endpoint.options.idle, || acceptor::next(endpoint.listener.as_fd()))
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    pools::serial(service, &endpoint)
}
