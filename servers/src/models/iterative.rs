//! `iterative`: accept, serve, close, repeat. Not here: any concurrency; that is the point.

use crate::axes::{Axes, Capacity, streams};
use crate::drive::blocking::{Buffers, Watch, serve as converse};
use crate::{Endpoint, Model, drive::acceptor};
use service::Service;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
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
    supports: streams,
};

/// The connection in hand, as the signal handler sees it.
pub(super) struct InHand(());

impl InHand {
    /// Takes `connection` in hand, until dropped.
    pub(super) fn take(connection: BorrowedFd<'_>) -> Self {
        stop::set_connection(Some(connection));
        Self(())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        stop::set_connection(None);
    }
}

impl Watch for InHand {
    fn idle(&self, idle: bool) -> bool {
        stop::set_idle(idle)
    }
}

/// Serves until it is told to stop.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    stop::install(Some(endpoint.listener.as_fd()), endpoint.options.grace)?;
    endpoint.ready();
    let mut buffers = Buffers::default();
    while let Some(connection) = acceptor::next(endpoint.listener.as_fd())? {
        let in_hand = InHand::take(connection.as_fd());
        converse(connection, service.open(), &mut buffers, in_hand);
    }
    Ok(())
}
