//! A process for each connection: accepts, forks, reaps, bounds the number, drains; and one process at a time for a socket of datagrams.
//! Not here: what a child does, which is the model's; pools of processes made beforehand.

use super::BACK_OFF;
use crate::counters::{self, Why};
use crate::{Endpoint, Options};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::process::{self, Forked};
use sys::signal::{Received, Signals};
use sys::socket::{Accepted, accept, wait_each};

/// What a child does.
pub trait Child {
    /// In the child, with one thread: serves `connection`, or becomes a program that does. What else it has inherited, it closes.
    fn be(&mut self, connection: OwnedFd, listener: &OwnedFd, signals: &Signals) -> !;

    /// In the parent, once, with the signals blocked: what a child would otherwise do for itself each time.
    ///
    /// # Errors
    /// What keeps children from serving.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// In the parent: tells a child to finish what is in flight and end.
    fn finish(&self, pid: i32) {
        // One that has ended and is not reaped yet takes no notice.
        let _ = process::kill(pid, process::SIGTERM);
    }
}

/// Serves until it is told to stop.
///
/// The parent waits on the listener and on a signalfd together. That is one poll(2) for each connection and each child's end, beside a
/// fork little, and it leaves no moment in which a child's end or the order to stop could be slept through.
///
/// # Errors
/// Those of accept(2) after which nothing more can be served.
pub fn run(endpoint: Endpoint, mut child: impl Child) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(true)?;
    child.prepare()?;
    endpoint.options.counters.shared();
    endpoint.options.counters.enter_shared();
    endpoint.ready();
    let mut parent =
        Parent { child, options: endpoint.options, signals, children: HashSet::new(), stopping: false };
    let mut listener = Some(endpoint.listener);
    let mut not_before: Option<Instant> = None;
    while let Some(open) = &listener {
        let wait = not_before.map(|at| at.saturating_duration_since(Instant::now()));
        let may_accept =
            wait.is_none_or(|w| w.is_zero()) && parent.children.len() < parent.options.max_children;
        let [signal, connection] = parent.wait(may_accept.then_some(open), wait.filter(|_| !may_accept))?;
        if signal {
            parent.on_signals()?;
        }
        if may_accept && (connection || parent.stopping) {
            not_before = parent.accept_some(open)?.then(|| Instant::now() + BACK_OFF);
        }
        if parent.stopping {
            listener = None;
        }
    }
    parent.drain()
}

/// Processes that a socket of datagrams may have within a second. A program that ends without taking what wakes it would be started
/// for ever (inetd(8) allows 256 a minute, and then ends the service for ten).
const A_SECOND: u32 = 64;

/// Serves datagrams until it is told to stop: whenever some are there and no child is, one is made and given the socket, which is its
/// own until it ends (inetd(8), "wait"). With `drains`, a child that is told to finish answers what is queued, and one is made for that
/// if need be.
///
/// # Errors
/// Those of poll(2).
pub fn run_waiting(endpoint: Endpoint, child: impl Child, drains: bool) -> io::Result<()> {
    let signals = Signals::new(true)?;
    endpoint.options.counters.shared();
    endpoint.options.counters.enter_shared();
    endpoint.ready();
    let socket = endpoint.listener;
    let mut parent =
        Parent { child, options: endpoint.options, signals, children: HashSet::new(), stopping: false };
    let (mut second, mut made) = (Instant::now(), 0);
    while !parent.stopping {
        let rest = Duration::from_secs(1).saturating_sub(second.elapsed());
        if rest.is_zero() {
            (second, made) = (Instant::now(), 0);
        }
        let (free, may) = (parent.children.is_empty(), made < A_SECOND);
        let [signal, datagram] =
            parent.wait((free && may).then_some(&socket), (free && !may).then_some(rest))?;
        if signal {
            parent.on_signals()?;
        } else if datagram {
            made += 1;
            parent.give(&socket)?;
        }
    }
    if drains && parent.children.is_empty() && wait_each([socket.as_fd()], Some(Duration::ZERO))?[0] {
        parent.give(&socket)?;
    }
    parent.drain()
}

struct Parent<C> {
    child: C,
    options: Options,
    signals: Signals,
    /// Not yet reaped: the numbers are the children's until then.
    children: HashSet<i32>,
    stopping: bool,
}

impl<C: Child> Parent<C> {
    /// Waits for a signal, and for `socket` where one is given; says which of the two is there.
    fn wait(&self, socket: Option<&OwnedFd>, timeout: Option<Duration>) -> io::Result<[bool; 2]> {
        let signals = self.signals.as_fd();
        match socket {
            Some(socket) => wait_each([signals, socket.as_fd()], timeout),
            None => Ok([wait_each([signals], timeout)?[0], false]),
        }
    }

    fn on_signals(&mut self) -> io::Result<()> {
        // One of them: while there are more, the descriptor stays ready.
        if let Some(signal) = self.signals.next()? {
            self.stopping |= signal == Received::Stop;
        }
        // One SIGCHLD may stand for many children.
        while !self.children.is_empty()
            && let Some((pid, _)) = process::reap_any()?
        {
            self.children.remove(&pid);
        }
        Ok(())
    }

    /// Accepts the first that is queued, and all of them before a stop, as long as children may be made; true when resources ran out.
    ///
    /// One at a time: the next wait finds out in one call whether there are more, and whether children have ended meanwhile.
    fn accept_some(&mut self, listener: &OwnedFd) -> io::Result<bool> {
        while self.children.len() < self.options.max_children {
            match accept(listener.as_fd(), false) {
                Accepted::Connection(connection) => match process::fork() {
                    Ok(Forked::Parent(pid)) => {
                        self.children.insert(pid);
                    }
                    Ok(Forked::Child) => {
                        self.options.counters.enter_shared();
                        self.child.be(connection, listener, &self.signals)
                    }
                    // No process to be had: this client sees a close, the server goes on.
                    Err(_) => {
                        counters::accepted();
                        counters::ended(Why::Refused);
                        return Ok(true);
                    }
                },
                Accepted::Empty => return Ok(false),
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) => return Ok(true),
                Accepted::Failed(error) => return Err(error),
            }
            if !self.stopping {
                break;
            }
            self.on_signals()?;
        }
        Ok(false)
    }

    /// Makes a child that has the socket to itself.
    fn give(&mut self, socket: &OwnedFd) -> io::Result<()> {
        match process::fork() {
            Ok(Forked::Parent(pid)) => {
                self.children.insert(pid);
            }
            Ok(Forked::Child) => {
                self.options.counters.enter_shared();
                // Without a descriptor there is nothing to be done here; the parent makes another.
                let own = socket.try_clone().unwrap_or_else(|_| process::exit_now(1));
                self.child.be(own, socket, &self.signals)
            }
            // What is queued waits, and so do we, for as long as descriptors would be waited for.
            Err(_) => {
                self.wait(None, Some(BACK_OFF))?;
            }
        }
        Ok(())
    }

    /// Waits for the children; those that outstay the grace are killed.
    fn drain(&mut self) -> io::Result<()> {
        for &pid in &self.children {
            self.child.finish(pid);
        }
        let end = Instant::now() + self.options.grace + Duration::from_millis(100);
        while !self.children.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                break;
            };
            self.wait(None, Some(left))?;
            self.on_signals()?;
        }
        for &pid in &self.children {
            let _ = process::kill(pid, process::SIGKILL);
        }
        Ok(())
    }
}
