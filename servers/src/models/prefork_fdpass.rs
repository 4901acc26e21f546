//! `prefork-fdpass`: the parent accepts and passes each connection to a free process of a pool. Not here: the supervision (see
//! `drive::processes`), how a descriptor travels (see `sys::pass`).
//!
//! A worker says that it is free by a byte, and is given one connection then; while none is free the parent does not accept. It
//! ends when its channel does: on stop the parent empties the queue into workers as they become free, and closes the channels of
//! those for whom nothing is left. The parent keeps both ends of each channel: what a worker has not taken out when it dies is still
//! there, and goes to another.

use crate::axes::{Axes, Capacity, POOL, streams};
use crate::drive::BACK_OFF;
use crate::drive::processes::{self, Pool};
use crate::drive::seats::HandOff;
use crate::{Endpoint, Model};
use service::Service;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use sys::epoll::Epoll;
use sys::pass::{self, Passed};
use sys::socket::{self, Accepted, accept};
use sys::{Event, Interest, Poller as _};

/// What it is.
pub static MODEL: Model = Model {
    name: "prefork-fdpass",
    summary: "the parent accepts and passes the descriptor to a free process: it chooses who serves, and is in every connection's way",
    origin: "UNP chapter 30, server 5",
    axes: Axes {
        accept: "one acceptor, hand-off by SCM_RIGHTS to a free worker",
        isolation: "process",
        lifetime: "static pool",
        multiplexing: "none: one connection a process at a time",
        work: "inline",
    },
    capacity: Capacity::Workers(POOL),
    supports: streams,
};

const LISTENER: u64 = u64::MAX - 1;

/// Serves until it is told to stop.
///
/// # Errors
/// Those of fork(2) at the start, and of accept(2) after which nothing more can be served.
pub fn serve<S: Service>(service: S, endpoint: Endpoint) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let Endpoint { listener, url, options, .. } = endpoint;
    let workers = (0..options.workers).map(|_| Worker::default()).collect();
    let pool = Passing {
        listener: Some(listener),
        watched: false,
        workers,
        policy: options.hand_off.unwrap_or(HandOff::FirstFree),
        last: 0,
        again: VecDeque::new(),
        stopping: false,
    };
    processes::run(service, &url, options, pool)
}

/// A worker as the parent sees it.
#[derive(Default)]
struct Worker {
    /// The parent's end; `None` when the worker is to end.
    channel: Option<OwnedFd>,
    /// The worker's end, which the worker has too: as long as it is open here, what is in the channel outlives the worker.
    theirs: Option<OwnedFd>,
    free: bool,
    served: u64,
}

struct Passing {
    listener: Option<OwnedFd>,
    /// The listener is watched: while a worker is free.
    watched: bool,
    workers: Vec<Worker>,
    policy: HandOff,
    /// Who got the last connection.
    last: usize,
    /// Connections that came back.
    again: VecDeque<OwnedFd>,
    stopping: bool,
}

impl Passing {
    /// The free worker whose turn it is.
    fn choose(&self) -> Option<usize> {
        let n = self.workers.len();
        let mut order = (0..n).map(|i| match self.policy {
            HandOff::RoundRobin => (self.last + 1 + i) % n,
            HandOff::FirstFree | HandOff::LeastConnections | HandOff::TwoChoices => i,
        });
        match self.policy {
            // Of two free ones neither has a connection: with one connection a worker, two choices are as good as asking all.
            HandOff::LeastConnections | HandOff::TwoChoices => {
                order.filter(|&i| self.workers[i].free).min_by_key(|&i| self.workers[i].served)
            }
            HandOff::FirstFree | HandOff::RoundRobin => order.find(|&i| self.workers[i].free),
        }
    }

    /// Hands out what is queued as far as there are free workers.
    fn hand_out(&mut self, poller: &mut Epoll) -> io::Result<()> {
        while let Some(place) = self.choose()
            && let Some(connection) = self.next()?
        {
            self.last = place;
            if !self.give(place, connection) {
                sys::clock::pause(BACK_OFF);
                break;
            }
        }
        if self.stopping && self.choose().is_some() {
            // A worker is left over, so the queue is empty: whoever comes now is refused.
            self.unwatch(poller)?;
            self.listener = None;
            for worker in self.workers.iter_mut().filter(|worker| worker.free) {
                worker.close(poller);
            }
            return Ok(());
        }
        self.watch(poller)
    }

    /// The next connection: one that came back, or of the queue; `None` when there is none, or none to be had now.
    fn next(&mut self) -> io::Result<Option<OwnedFd>> {
        if let Some(connection) = self.again.pop_front() {
            return Ok(Some(connection));
        }
        let Some(listener) = &self.listener else { return Ok(None) };
        loop {
            match accept(listener.as_fd(), false) {
                Accepted::Connection(connection) => return Ok(Some(connection)),
                Accepted::Empty => return Ok(None),
                Accepted::Interrupted | Accepted::Aborted => {}
                Accepted::Exhausted(_) if self.stopping => return Ok(None),
                // The listener stays ready, so the next turn tries again.
                Accepted::Exhausted(_) => {
                    sys::clock::pause(BACK_OFF);
                    return Ok(None);
                }
                Accepted::Failed(error) => return Err(error),
            }
        }
    }

    /// False when it could not be sent: it came back.
    fn give(&mut self, place: usize, connection: OwnedFd) -> bool {
        let worker = &mut self.workers[place];
        let sent = worker.channel.as_ref().map(|channel| pass::send(channel.as_fd(), connection.as_fd()));
        if !matches!(sent, Some(Ok(()))) {
            // Too many descriptors are on their way, of all servers of the user (ETOOMANYREFS).
            self.again.push_back(connection);
            return false;
        }
        worker.free = false;
        worker.served += 1;
        true
    }

    /// Takes back what the worker of `place`, which has died, had not taken out of its channel.
    fn take_back(&mut self, place: usize) -> io::Result<()> {
        let Some(theirs) = &self.workers[place].theirs else { return Ok(()) };
        // The worker is gone, so nobody else reads there.
        socket::set_nonblocking(theirs.as_fd())?;
        while let Ok(Passed::Descriptor(connection)) = pass::receive(theirs.as_fd()) {
            self.again.push_back(connection);
        }
        Ok(())
    }

    fn watch(&mut self, poller: &mut Epoll) -> io::Result<()> {
        match (&self.listener, self.choose().is_some()) {
            (Some(listener), true) if !self.watched => {
                poller.add(listener.as_fd(), LISTENER, Interest::READ)?;
                self.watched = true;
                Ok(())
            }
            (_, false) => self.unwatch(poller),
            _ => Ok(()),
        }
    }

    fn unwatch(&mut self, poller: &mut Epoll) -> io::Result<()> {
        if let (Some(listener), true) = (&self.listener, self.watched) {
            poller.remove(listener.as_fd())?;
        }
        self.watched = false;
        Ok(())
    }
}

impl Worker {
    fn close(&mut self, poller: &mut Epoll) {
        self.free = false;
        self.theirs = None;
        if let Some(channel) = self.channel.take() {
            // It is watched as long as it is here; if not, there is nothing to undo.
            let _ = poller.remove(channel.as_fd());
        }
    }
}

impl Pool for Passing {
    fn before(&mut self, place: usize, poller: &mut Epoll) -> io::Result<()> {
        let (ours, theirs) = pass::channel()?;
        socket::set_nonblocking(ours.as_fd())?;
        poller.add(ours.as_fd(), place as u64, Interest::READ)?;
        let worker = &mut self.workers[place];
        *worker = Worker { channel: Some(ours), theirs: Some(theirs), free: false, served: worker.served };
        Ok(())
    }

    fn enter(&mut self, place: usize) -> io::Result<impl FnMut() -> io::Result<Option<OwnedFd>>> {
        let channel = self.workers[place].theirs.take().ok_or(io::ErrorKind::NotConnected)?;
        // With them the parent's ends of all channels: a worker learns by their closing that it is to end.
        self.workers.clear();
        self.listener = None;
        Ok(move || {
            loop {
                socket::send(channel.as_fd(), b"f")?;
                let passed = loop {
                    match pass::receive(channel.as_fd()) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        other => break other?,
                    }
                };
                match passed {
                    Passed::Descriptor(connection) => return Ok(Some(connection)),
                    Passed::Lost => sys::clock::pause(BACK_OFF),
                    Passed::End => return Ok(None),
                }
            }
        })
    }

    fn ended(&mut self, place: usize, poller: &mut Epoll, _: bool) -> io::Result<()> {
        self.take_back(place)?;
        self.workers[place].close(poller);
        self.hand_out(poller)
    }

    fn on_event(&mut self, event: Event, poller: &mut Epoll) -> io::Result<()> {
        if let Some(worker) = usize::try_from(event.key).ok().and_then(|place| self.workers.get_mut(place))
            && let Some(channel) = &worker.channel
        {
            match socket::recv_now(channel.as_fd(), &mut [0; 1]) {
                Ok(1..) => worker.free = true,
                Err(error) if sys::errno::is_retry(&error) => {}
                _ => worker.close(poller),
            }
        }
        self.hand_out(poller)
    }

    fn stop(&mut self, poller: &mut Epoll) -> io::Result<()> {
        self.stopping = true;
        self.hand_out(poller)
    }
}
