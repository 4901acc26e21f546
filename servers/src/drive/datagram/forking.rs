//! A process for each datagram: receives, forks, reaps, bounds the number (socketserver.ForkingUDPServer). Not here: pools.

use super::{Both, Clerk, Taken};
use crate::drive::BACK_OFF;
use crate::endpoint::Endpoint;
use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};
use sys::datagram::Wait;
use sys::process::{self, Forked};
use sys::signal::{Received, Signals};
use sys::socket::wait_readable;

/// Serves until it is told to stop.
///
/// # Errors
/// Those of recvmsg(2) after which nothing more can be served.
pub fn serve<S: Both>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(true)?;
    endpoint.options.counters.shared();
    endpoint.options.counters.enter_shared();
    endpoint.ready();
    let options = endpoint.options;
    let mut parent = Parent { signals, children: HashSet::new(), stopping: false };
    let mut clerk = Clerk::new(service, endpoint.url.family);
    let mut not_before: Option<Instant> = None;
    loop {
        let wait = not_before.map(|at| at.saturating_duration_since(Instant::now()));
        let may = wait.is_none_or(|w| w.is_zero()) && parent.children.len() < options.max_children;
        let watched = [parent.signals.as_fd(), endpoint.listener.as_fd()];
        let ready = wait_readable(&watched[..1 + usize::from(may)], if may { None } else { wait })?;
        if ready[0] {
            parent.on_signals()?;
        }
        if may {
            let short = parent.take_some(&mut clerk, &endpoint)?;
            not_before = short.then(|| Instant::now() + BACK_OFF);
        }
        if parent.stopping {
            break;
        }
    }
    parent.drain(options.grace)?;
    clerk.figures.report(0);
    Ok(())
}

struct Parent {
    signals: Signals,
    /// Not yet reaped: the numbers are the children's until then.
    children: HashSet<i32>,
    stopping: bool,
}

impl Parent {
    fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.next()? {
            self.stopping |= signal == Received::Stop;
        }
        while let Some((pid, _)) = process::reap_any()? {
            self.children.remove(&pid);
        }
        Ok(())
    }

    /// Has a child answer each datagram that is there, as long as children may be made; true when no process was to be had.
    fn take_some<S: Both>(&mut self, clerk: &mut Clerk<S>, endpoint: &Endpoint) -> io::Result<bool> {
        while self.children.len() < endpoint.options.max_children {
            let fd = endpoint.listener.as_fd();
            let received = match clerk.take(fd, Wait::No)? {
                Taken::Datagram(received) => received,
                Taken::Empty => return Ok(false),
                Taken::Interrupted => continue,
            };
            match process::fork() {
                Ok(Forked::Parent(pid)) => {
                    self.children.insert(pid);
                    // The child answers, and counts; whether it could is not told to the parent.
                    clerk.figures.received += 1;
                }
                Ok(Forked::Child) => {
                    endpoint.options.counters.enter_shared();
                    let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        clerk.answer(fd, &received);
                    }));
                    process::exit_now(if answered.is_ok() { 0 } else { 4 });
                }
                // This datagram is lost, as datagrams are; the server goes on.
                Err(_) => {
                    clerk.figures.unsendable += 1;
                    return Ok(true);
                }
            }
            self.on_signals()?;
        }
        Ok(false)
    }

    /// Waits for the children; those that outstay the grace are killed.
    fn drain(&mut self, grace: Duration) -> io::Result<()> {
        let end = Instant::now() + grace;
        while !self.children.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                break;
            };
            wait_readable(&[self.signals.as_fd()], Some(left))?;
            self.on_signals()?;
        }
        for &pid in &self.children {
            let _ = process::kill(pid, process::SIGKILL);
        }
        Ok(())
    }
}
