//! `thread`: a thread for each connection. Not here: pools, which bound the threads.

use crate::axes::{Axes, Capacity, everything};
use crate::counters::{self, Why};
use crate::drive::BACK_OFF;
use crate::drive::blocking::{Buffers, serve as converse};
use crate::drive::datagram::{self, Both};
use crate::drive::limit::Entrance;
use crate::drive::roster::Roster;
use crate::drive::threads::STACK;
use crate::{Endpoint, Model};
use service::Service;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::Builder;
use sys::stop;

/// What it is.
pub static MODEL: Model = Model {
    name: "thread",
    summary: "a thread a connection: blocking code, concurrency by the kernel's scheduler",
    origin: "UNP chapter 30, server 6; socketserver.ThreadingTCPServer",
    axes: Axes {
        accept: "one acceptor, blocking",
        isolation: "thread",
        lifetime: "per connection",
        multiplexing: "none: one connection a thread",
        work: "inline",
    },
    capacity: Capacity::System,
    supports: everything,
};

/// Serves until it is told to stop.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
    let roster = Arc::new(Roster::default());
    let entrance = Entrance::new(endpoint.options.limit)?;
    let (counters, idle) = (endpoint.options.counters, endpoint.options.idle);
    counters.shared();
    counters.enter_shared();
    endpoint.ready();
    while let Some((connection, ticket)) = entrance.next_as(endpoint.listener.as_fd(), false)? {
        let protocol = service.open();
        let roster = Arc::clone(&roster);
        // No signal mask is needed: the kernel gives a process-wide signal to the main thread, which is the one in accept.
        let thread = Builder::new().stack_size(STACK).spawn(move || {
            counters.enter_shared();
            let entry = roster.enter(connection.as_fd());
            converse(connection, protocol, &mut Buffers::default(), idle, entry);
            drop(ticket);
        });
        if thread.is_err() {
            // No thread to be had: this client sees a close, the others go on.
            counters::accepted();
            counters::ended(Why::Refused);
            sys::clock::pause(BACK_OFF);
        }
    }
    roster.stop(endpoint.options.grace);
    Ok(())
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::threads::receive(&service, endpoint, |task| {
        // Without a thread to be had, the datagram is lost.
        Builder::new().stack_size(STACK).spawn(move || task.run()).is_ok()
    })
}
