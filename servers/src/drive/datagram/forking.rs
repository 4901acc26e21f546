//! A process for each datagram: receives, forks, reaps, bounds the number (socketserver.ForkingUDPServer). Not here: pools.

use super::{Both, Clerk, Taken};
use crate::drive::BACK_OFF;
use crate::endpoint::Endpoint;
use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Instant;
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
    let mut parent = Parent { own_id: process::own_id(), signals, children: HashSet::new(), stopping: false };
    let mut clerk = Clerk::new(service, endpoint.url.family);
    let (mut not_before, mut stop_at): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        let may =
            not_before.is_none_or(|at| Instant::now() >= at) && parent.children.len() < options.max_children;
        let until = if may { stop_at } else { [not_before, stop_at].into_iter().flatten().min() };
        let wait = until.map(|at| at.saturating_duration_since(Instant::now()));
        let watched = [parent.signals.as_fd(), endpoint.listener.as_fd()];
        let ready = wait_readable(&watched[..1 + usize::from(may)], wait)?;
        if ready[0] {
            parent.on_signals()?;
        }
        let mut took = Took::Some;
        if may {
            took = parent.take_some(&mut clerk, &endpoint)?;
            not_before = (took == Took::Short).then(|| Instant::now() + BACK_OFF);
        }
        if parent.stopping {
            // What was queued before the order to stop is still answered.
            let end = *stop_at.get_or_insert_with(|| Instant::now() + options.grace);
            if took == Took::All || Instant::now() >= end {
                break;
            }
        }
    }
    parent.drain(stop_at.unwrap_or_else(Instant::now))?;
    clerk.figures.report(0);
    Ok(())
}

/// How far a look at the queue came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Took {
    /// It is empty.
    All,
    /// No more children may be made now.
    Some,
    /// No process was to be had.
    Short,
}

struct Parent {
    own_id: i32,
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

    /// Has a child answer each datagram that is there, as long as children may be made.
    fn take_some<S: Both>(&mut self, clerk: &mut Clerk<S>, endpoint: &Endpoint) -> io::Result<Took> {
        while self.children.len() < endpoint.options.max_children {
            let fd = endpoint.listener.as_fd();
            let received = match clerk.take(fd, Wait::No)? {
                Taken::Datagram(received) => received,
                Taken::Empty => return Ok(Took::All),
                Taken::Interrupted => continue,
            };
            if received.truncated {
                clerk.figures.note(&received);
                continue;
            }
            match process::fork() {
                Ok(Forked::Parent(pid)) => {
                    self.children.insert(pid);
                    // The child answers, and counts; whether it could is not told to the parent.
                    clerk.figures.received += 1;
                }
                Ok(Forked::Child) => {
                    endpoint.options.counters.enter_shared();
                    let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        // One that cannot be sure to go with its parent would keep the address busy.
                        if process::die_with(self.own_id).is_ok() {
                            clerk.answer(fd, &received);
                        }
                    }));
                    process::exit_now(if answered.is_ok() { 0 } else { 4 });
                }
                // This datagram is lost, as datagrams are; the server goes on.
                Err(_) => {
                    clerk.figures.unsendable += 1;
                    return Ok(Took::Short);
                }
            }
            self.on_signals()?;
        }
        Ok(Took::Some)
    }

    /// Waits for the children; those that outstay the grace are killed.
    fn drain(&mut self, end: Instant) -> io::Result<()> {
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
