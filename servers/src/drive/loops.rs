//! Several event loops, a thread each: started together, stopped together. Not here: the loop (see `reactor`).
//!
//! The main thread serves nobody: it has the signals, wakes for nothing else, and rings for the loops when one comes. A loop that
//! panics or fails ends alone: its connections are closed, the others serve on and still hear the order to stop, and the server
//! says at its end, by its exit code, that one was lost. When all are gone, it ends.

use super::limit::Limit;
use super::reactor::{Parts, Reactor, Stop};
use crate::counters::Counters;
use crate::endpoint::{Endpoint, announce};
use service::Service;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use sys::signal::{Received, Signals};
use sys::socket::wait_readable;
use sys::{Bell, Poller, Url};

/// Threads with a loop each.
#[derive(Debug)]
pub struct Team {
    /// Rings when all are to stop.
    stop: Arc<Bell>,
    /// Rings when one has ended.
    ended: Arc<Bell>,
    left: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    counters: Counters,
    ready: (Sender<()>, Receiver<()>),
}

/// Said by a loop when it watches everything.
#[derive(Debug)]
pub struct Waiting(Sender<()>);

impl Waiting {
    /// The loop misses nothing from here on.
    pub fn say(self) {
        // Nobody listens any more when another loop could not start.
        let _ = self.0.send(());
    }
}

/// Counts a thread out, also when it panics.
struct Leave(Arc<AtomicUsize>, Arc<Bell>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
        self.1.ring();
    }
}

impl Team {
    /// Nobody yet of `workers`, each of which counts in a line of its own. Signals must be blocked before the first thread is made.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub fn new(counters: Counters, workers: usize) -> io::Result<Self> {
        counters.workers(workers);
        Ok(Self {
            counters,
            stop: Arc::new(Bell::new()?),
            ended: Arc::new(Bell::new()?),
            left: Arc::default(),
            threads: Vec::new(),
            ready: channel(),
        })
    }

    /// The bell that tells a loop to stop.
    #[must_use]
    pub fn stop_bell(&self) -> Arc<Bell> {
        Arc::clone(&self.stop)
    }

    /// The bell that says that a loop has ended.
    #[must_use]
    pub fn ended_bell(&self) -> &Bell {
        &self.ended
    }

    /// True when no loop is left.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    /// Starts a thread; it says when its loop waits.
    ///
    /// # Errors
    /// Those of clone(2).
    pub fn start(&mut self, body: impl FnOnce(Waiting) -> io::Result<()> + Send + 'static) -> io::Result<()> {
        self.left.fetch_add(1, SeqCst);
        let leave = Leave(Arc::clone(&self.left), Arc::clone(&self.ended));
        let waiting = Waiting(self.ready.0.clone());
        let (worker, counters) = (self.threads.len(), self.counters);
        let name = format!("loop-{worker}");
        self.threads.push(Builder::new().name(name).spawn(move || {
            let _leave = leave;
            counters.enter(worker);
            body(waiting)
        })?);
        Ok(())
    }

    /// Waits until every loop waits.
    ///
    /// # Errors
    /// That of the first loop that could not start.
    pub fn await_ready(&mut self) -> io::Result<()> {
        let (own, ready) = std::mem::replace(&mut self.ready, channel());
        // Only the loops hold the other end now: one that ends without a word is noticed.
        drop(own);
        if (0..self.threads.len()).all(|_| ready.recv().is_ok()) {
            return Ok(());
        }
        self.end().and(Err(io::Error::other("a loop did not start")))
    }

    /// Says that the server at `url` can serve once every loop waits, then waits for the signal and stops all.
    ///
    /// # Errors
    /// Those of [`await_ready`](Self::await_ready) and [`supervise`](Self::supervise).
    pub fn open(mut self, url: &Url, signals: &Signals) -> io::Result<()> {
        self.await_ready()?;
        announce(url);
        self.supervise(signals)
    }

    /// Waits for the signal, then stops all; ends earlier when no loop is left.
    ///
    /// # Errors
    /// That of the first loop that failed.
    pub fn supervise(mut self, signals: &Signals) -> io::Result<()> {
        loop {
            let ready = wait_readable(&[signals.as_fd(), self.ended.as_fd()], None)?;
            self.ended.hush()?;
            let mut stop = self.is_gone();
            while ready[0]
                && let Some(signal) = signals.next()?
            {
                stop |= signal == Received::Stop;
            }
            if stop {
                return self.end();
            }
        }
    }

    /// Stops all, each within its grace.
    ///
    /// # Errors
    /// As [`supervise`](Self::supervise).
    pub fn end(&mut self) -> io::Result<()> {
        self.stop.ring();
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("a loop panicked")));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

/// What wakes a loop of several when there is room, if room is limited.
///
/// # Errors
/// Those of eventfd(2).
pub fn room(limit: Limit) -> io::Result<Option<Arc<Bell>>> {
    if limit.on() { Bell::new().map(Arc::new).map(Some) } else { Ok(None) }
}

/// Serves with a loop a worker, each over a poller of its own and with `listeners` in turn: one for all, or one each.
///
/// # Errors
/// Those of the mechanism and of accept(2) after which nothing more can be served.
pub fn run<S: Service, P: Poller + 'static>(
    service: S,
    endpoint: Endpoint,
    poller: fn() -> io::Result<P>,
) -> io::Result<()> {
    endpoint.set_nonblocking()?;
    let signals = Signals::new(false)?;
    let Endpoint { listener, siblings, url, options, .. } = endpoint;
    let listeners: Vec<Arc<OwnedFd>> = std::iter::once(listener).chain(siblings).map(Arc::new).collect();
    let mut team = Team::new(options.counters, options.workers)?;
    for worker in 0..options.workers {
        let parts = Parts {
            listener: Some(Arc::clone(&listeners[worker % listeners.len()])),
            stop: Stop::Bell(team.stop_bell()),
            grace: options.grace,
            helpers: None,
            seat: None,
            limit: options.limit,
            room: room(options.limit)?,
            idle: options.idle,
        };
        let service = service.clone();
        team.start(move |waiting| {
            let reactor = Reactor::new(service, poller()?, parts)?;
            waiting.say();
            reactor.serve()
        })?;
    }
    // The last loop that leaves closes the listener, not this thread at the end.
    drop(listeners);
    team.open(&url, &signals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_panics_leaves_the_others_their_order_to_stop_and_is_told_of_at_the_end() {
        let mut team = Team::new(Counters::OFF, 2).unwrap();
        team.start(|waiting| {
            waiting.say();
            std::panic::resume_unwind(Box::new("no message on standard error"));
        })
        .unwrap();
        let stop = team.stop_bell();
        team.start(move |waiting| {
            waiting.say();
            wait_readable(&[stop.as_fd()], None).map(|_| ())
        })
        .unwrap();
        team.await_ready().unwrap();
        wait_readable(&[team.ended_bell().as_fd()], None).unwrap();
        assert!(!team.is_gone());
        assert_eq!(team.end().unwrap_err().to_string(), "a loop panicked");
        assert!(team.is_gone());
    }

    #[test]
    fn a_loop_that_cannot_start_ends_the_others() {
        let mut team = Team::new(Counters::OFF, 2).unwrap();
        let stop = team.stop_bell();
        team.start(move |waiting| {
            waiting.say();
            wait_readable(&[stop.as_fd()], None).map(|_| ())
        })
        .unwrap();
        team.start(|_| Err(io::Error::other("no descriptor"))).unwrap();
        assert_eq!(team.await_ready().unwrap_err().to_string(), "no descriptor");
    }
}
