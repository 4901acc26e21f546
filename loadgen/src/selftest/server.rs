//! A server whose every answer is due at a time that can be computed: a fixed service time, one request after the other, in the order
//! in which they came, and stalls on a schedule. Not here: what the generator makes of it.

use crate::Error;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;
use sys::affinity;
use sys::clock::{self, monotonic_ns};
use sys::epoll::Epoll;
use sys::socket::{self, Accepted};
use sys::{Event, Interest, Poller as _};

/// Bytes of a message.
pub(super) const MESSAGE: usize = 64;

/// The epoll key of the listener; connections are numbered.
const LISTENER: u64 = u64::MAX;

/// How long it polls where nothing is to be done, in nanoseconds, and how long it waits at a time after that. With a processor of its own it
/// polls always: what a virtual machine takes to wake an idle processor is more than all else that an exchange takes, and never the same.
const POLL_NS: u64 = 50_000;
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// An answer that leaves later than this after it was due has been held up by the machine, not by the loop around the service.
const HELD_UP_NS: u64 = 20_000;

/// When answers are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// What each request takes, in nanoseconds of spinning.
    pub(super) service_ns: u64,
    /// From the start on, in each of the first so many nanoseconds no service begins for the second number of them; none where 0.
    pub(super) period_ns: u64,
    pub(super) stall_ns: u64,
}

impl Timing {
    /// When a service may begin that could begin at `at_ns`; the schedule of stalls began at `start_ns`.
    pub(super) fn begin(&self, at_ns: u64, start_ns: u64) -> u64 {
        let into = at_ns.saturating_sub(start_ns).checked_rem(self.period_ns).unwrap_or(u64::MAX);
        if into < self.stall_ns { at_ns + (self.stall_ns - into) } else { at_ns }
    }
}

/// What the server did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    /// Requests answered.
    pub(super) requests: u64,
    /// Time by which answers left late since the machine gave the processor to somebody else.
    pub(super) held_up_ns: u64,
}

/// The server, on a thread of its own.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// When its schedule began.
    pub(super) start_ns: u64,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<Served>>>,
}

impl Server {
    /// Starts it on a port of this machine, and on `processor` where one is its own.
    ///
    /// # Errors
    /// [`Error::Setup`].
    pub(super) fn start(timing: Timing, processor: Option<usize>) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::Setup)?;
        listener.set_nonblocking(true).map_err(Error::Setup)?;
        let address = listener.local_addr().map_err(Error::Setup)?;
        let over = Arc::new(AtomicBool::new(false));
        let start_ns = monotonic_ns();
        let mut served =
            Loop::new(listener.into(), timing, start_ns, processor.is_some()).map_err(Error::Setup)?;
        let seen = Arc::clone(&over);
        let run = move || {
            if let Some(processor) = processor {
                affinity::pin_self(&[processor])?;
            }
            served.run(&seen)
        };
        let thread = std::thread::Builder::new().name("self-test".to_owned()).spawn(run);
        Ok(Self { address, start_ns, over, thread: Some(thread.map_err(Error::Setup)?) })
    }

    /// Ends it; what it did.
    ///
    /// # Errors
    /// [`Error::Setup`] with what ended it early.
    pub(super) fn end(mut self) -> Result<Served, Error> {
        self.over.store(true, Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        match ended {
            Some(Ok(served)) => served.map_err(Error::Setup),
            _ => Err(Error::Thread("the server of the self-test".to_owned())),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

struct Loop {
    /// It has a processor of its own.
    alone: bool,
    listener: OwnedFd,
    timing: Timing,
    start_ns: u64,
    epoll: Epoll,
    connections: HashMap<u64, OwnedFd>,
    accepted: u64,
    served: Served,
    /// When the last answer was due.
    done_ns: u64,
}

impl Loop {
    fn new(listener: OwnedFd, timing: Timing, start_ns: u64, alone: bool) -> io::Result<Self> {
        let mut epoll = Epoll::new()?;
        epoll.add_listener(listener.as_fd(), LISTENER)?;
        let (connections, served) = (HashMap::new(), Served::default());
        Ok(Self { alone, listener, timing, start_ns, epoll, connections, accepted: 0, served, done_ns: 0 })
    }

    fn run(&mut self, over: &AtomicBool) -> io::Result<Served> {
        let mut events: Vec<Event> = Vec::new();
        let mut idle_since_ns = monotonic_ns();
        while !over.load(Relaxed) {
            // A wake-up is late, so it polls for a while; for longer, that would take the processor from the generator.
            let polls = self.alone || monotonic_ns() - idle_since_ns < POLL_NS;
            self.epoll.wait(&mut events, Some(if polls { Duration::ZERO } else { LONGEST_WAIT }))?;
            if events.is_empty() || !polls {
                // What comes now finds the server idle.
                self.done_ns = 0;
            }
            if events.is_empty() {
                continue;
            }
            for event in &events {
                if event.key == LISTENER { self.accept()? } else { self.serve(event.key)? }
            }
            idle_since_ns = monotonic_ns();
        }
        Ok(self.served)
    }

    fn accept(&mut self) -> io::Result<()> {
        match socket::accept(self.listener.as_fd(), true) {
            Accepted::Connection(fd) => {
                let key = self.accepted;
                self.accepted += 1;
                self.epoll.add(fd.as_fd(), key, Interest::READ)?;
                self.connections.insert(key, fd);
                Ok(())
            }
            Accepted::Failed(error) | Accepted::Exhausted(error) => Err(error),
            Accepted::Empty | Accepted::Interrupted | Accepted::Aborted => Ok(()),
        }
    }

    fn serve(&mut self, key: u64) -> io::Result<()> {
        let Some(fd) = self.connections.get(&key) else { return Ok(()) };
        let mut message = [0; MESSAGE];
        match socket::recv(fd.as_fd(), &mut message) {
            Ok(MESSAGE) => {}
            Err(error) if sys::errno::is_retry(&error) => return Ok(()),
            // A message this small comes whole on one machine; what does not is no message of ours.
            _ => {
                self.connections.remove(&key);
                return Ok(());
            }
        }
        // A request that was there when the last answer was due is served from then on, whatever the loop itself takes.
        let at_ns = if self.done_ns > 0 { self.done_ns } else { monotonic_ns() };
        self.done_ns = self.timing.begin(at_ns, self.start_ns) + self.timing.service_ns;
        wait_until(self.done_ns);
        self.served.requests += 1;
        let late_ns = monotonic_ns() - self.done_ns;
        if late_ns > HELD_UP_NS {
            self.served.held_up_ns += late_ns;
        }
        match socket::send(fd.as_fd(), &message) {
            Ok(_) => Ok(()),
            // The client has gone, with the run.
            Err(_) => {
                self.connections.remove(&key);
                Ok(())
            }
        }
    }
}

/// Sleeps through most of a long wait, so that a stall leaves the processor to others, and spins through the rest.
fn wait_until(at_ns: u64) {
    const SPIN_NS: u64 = 2_000_000;
    let left_ns = at_ns.saturating_sub(monotonic_ns());
    if left_ns > 2 * SPIN_NS {
        clock::sleep(Duration::from_nanos(left_ns - SPIN_NS));
    }
    while monotonic_ns() < at_ns {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_begins_when_the_stall_is_over() {
        let timing = Timing { service_ns: 1, period_ns: 500, stall_ns: 100 };
        for (at, begins) in [(1_000, 1_100), (1_099, 1_100), (1_100, 1_100), (1_499, 1_499), (1_500, 1_600)] {
            assert_eq!(timing.begin(at, 1_000), begins);
        }
        let steady = Timing { period_ns: 0, stall_ns: 0, ..timing };
        assert_eq!(steady.begin(1_050, 1_000), 1_050);
    }
}
