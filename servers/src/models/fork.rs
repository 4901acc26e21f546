//! `fork`: a process for each connection. Not here: pools of processes made beforehand.

use crate::axes::{Axes, Capacity, everything};
use crate::drive::blocking::{Buffers, serve as converse};
use crate::drive::datagram::{self, Both};
use crate::drive::forking::{self, Child};
use crate::drive::serial::InHand;
use crate::{Endpoint, Model, Options};
use service::Service;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use sys::process;
use sys::signal::{self, Signals};
use sys::stop;

/// What it is.
pub static MODEL: Model = Model {
    name: "fork",
    summary: "a process a connection: the strongest isolation, at the price of fork(2)",
    origin: "UNP chapter 30, server 1; socketserver.ForkingTCPServer",
    axes: Axes {
        accept: "one acceptor",
        isolation: "process",
        lifetime: "per connection",
        multiplexing: "none: one connection a process",
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
    let options = endpoint.options;
    let buffers = Buffers::default();
    forking::run(endpoint, Handler { service, options, own_id: process::own_id(), buffers })
}

struct Handler<S> {
    service: S,
    options: Options,
    own_id: i32,
    /// Made by the parent: a child that allocated them would copy the pages of the heap that malloc(3) has its lists on.
    buffers: Buffers,
}

impl<S: Service> Child for Handler<S> {
    /// The handlers are a child's, which unblocks the signals; in the parent they never run.
    fn prepare(&mut self) -> io::Result<()> {
        stop::install(None, self.options.grace)
    }

    fn be(&mut self, connection: OwnedFd, listener: &OwnedFd, signals: &Signals) -> ! {
        let service = self.service.clone();
        let idle = self.options.idle;
        // A panic must not unwind into the parent's code: the child would go on as a second server.
        let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| -> io::Result<()> {
            process::die_with(self.own_id)?;
            // A child that kept them would keep the port busy, and would eat its parent's signals.
            process::close_inherited(listener.as_fd());
            process::close_inherited(signals.as_fd());
            let in_hand = InHand::take(connection.as_fd());
            signal::unblock_all()?;
            converse(connection, service.open(), &mut self.buffers, idle, in_hand);
            Ok(())
        }));
        process::exit_now(if matches!(served, Ok(Ok(()))) { 0 } else { 4 })
    }
}

/// Serves datagrams until it is told to stop.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub fn serve_datagrams<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    datagram::forking::serve(service, endpoint)
}
