//! `fork`: a process for each connection. Not here: pools of processes made beforehand.

use super::iterative::InHand;
use crate::axes::{Axes, Capacity, streams};
use crate::drive::BACK_OFF;
use crate::drive::blocking::{Buffers, serve as converse};
use crate::{Endpoint, Model, Options};
use service::Service;
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::process::{self, Forked};
use sys::signal::{self, Received, Signals};
use sys::socket::{Accepted, accept, wait_readable};
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
    supports: streams,
};

/// Serves until it is told to stop.
///
/// The parent waits on the listener and on a signalfd together. That is one poll(2) a connection, beside a fork little, and it
/// leaves no moment in which a child's end or the order to stop could be slept through.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(true)?;
    endpoint.ready();
    let mut parent =
        Parent { service, options: endpoint.options, signals, children: HashSet::new(), stopping: false };
    let mut listener = Some(endpoint.listener);
    let mut not_before: Option<Instant> = None;
    while let Some(open) = &listener {
        let wait = not_before.map(|at| at.saturating_duration_since(Instant::now()));
        let may_accept =
            wait.is_none_or(|w| w.is_zero()) && parent.children.len() < parent.options.max_children;
        let watched = [parent.signals.as_fd(), open.as_fd()];
        let ready =
            wait_readable(&watched[..1 + usize::from(may_accept)], if may_accept { None } else { wait })?;
        if ready[0] {
            parent.on_signals()?;
        }
        if may_accept && (ready.get(1) == Some(&true) || parent.stopping) {
            not_before = parent.accept_some(open)?.then(|| Instant::now() + BACK_OFF);
        }
        if parent.stopping {
            listener = None;
        }
    }
    parent.drain()
}

struct Parent<S> {
    service: S,
    options: Options,
    signals: Signals,
    /// Not yet reaped: the numbers are the children's until then.
    children: HashSet<i32>,
    stopping: bool,
}

impl<S: Service> Parent<S> {
    fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.next()? {
            self.stopping |= signal == Received::Stop;
        }
        // One SIGCHLD may stand for many children.
        while let Some((pid, _)) = process::reap_any()? {
            self.children.remove(&pid);
        }
        Ok(())
    }

    /// Accepts what is queued, as long as children may be made; true when resources ran out.
    fn accept_some(&mut self, listener: &OwnedFd) -> io::Result<bool> {
        while self.children.len() < self.options.max_children {
            match accept(listener.as_fd(), false) {
                Accepted::Connection(connection) => match process::fork() {
                    Ok(Forked::Parent(pid)) => {
                        self.children.insert(pid);
                    }
                    Ok(Forked::Child) => self.be_the_child(connection, listener),
                    // No process to be had: this client sees a close, the server goes on.
                    Err(_) => return Ok(true),
                },
                Accepted::Empty => return Ok(false),
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) => return Ok(true),
                Accepted::Failed(error) => return Err(error),
            }
            // Otherwise a steady stream of clients would let zombies pile up.
            self.on_signals()?;
        }
        Ok(false)
    }

    fn be_the_child(&self, connection: OwnedFd, listener: &OwnedFd) -> ! {
        let service = self.service.clone();
        let grace = self.options.grace;
        // A panic must not unwind into the parent's code: the child would go on as a second server.
        let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| -> io::Result<()> {
            process::die_with_parent()?;
            // A child that kept them would keep the port busy, and would eat its parent's signals.
            process::close_inherited(listener.as_fd());
            process::close_inherited(self.signals.as_fd());
            stop::install(None, grace)?;
            let in_hand = InHand::take(connection.as_fd());
            signal::unblock_all()?;
            converse(connection, service.open(), &mut Buffers::default(), in_hand);
            Ok(())
        }));
        process::exit_now(if matches!(served, Ok(Ok(()))) { 0 } else { 4 })
    }

    /// Waits for the children; those that outstay the grace are killed.
    fn drain(&mut self) -> io::Result<()> {
        self.tell_children(process::SIGTERM);
        let end = Instant::now() + self.options.grace + Duration::from_millis(100);
        while !self.children.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                break;
            };
            wait_readable(&[self.signals.as_fd()], Some(left))?;
            self.on_signals()?;
        }
        self.tell_children(process::SIGKILL);
        Ok(())
    }

    fn tell_children(&self, signal: i32) {
        for &pid in &self.children {
            // One that has ended and is not reaped yet takes no notice.
            let _ = process::kill(pid, signal);
        }
    }
}
