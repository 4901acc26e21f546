//! A pool of processes: forks the workers, keeps their number, tells them to stop. Not here: where a worker's connections come
//! from, which is the model's.

use super::idle::Idle;
use super::{BACK_OFF, acceptor, serial};
use crate::counters::Counters;
use crate::endpoint::{Endpoint, Options, announce};
use service::Service;
use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::epoll::Epoll;
use sys::process::{self, Forked};
use sys::signal::{self, Received, Signals};
use sys::socket::{Accepted, Side, set_nonblocking, shutdown};
use sys::{Event, Interest, Poller as _, Url, stop};

/// Key of the signals in the parent's epoll; a pool's own are below.
const SIGNALS: u64 = u64::MAX;

/// Workers that may be started anew within [`PERIOD`]: one that dies at once shall not take the machine with it.
const RESTARTS: usize = 5;
const PERIOD: Duration = Duration::from_secs(1);

/// How long past the grace workers may take: their own timers end them a little earlier (see `sys::stop`).
const SLACK: Duration = Duration::from_millis(100);

/// Where connections come from, for the worker of a place.
pub trait Pool {
    /// Called in the parent before the worker of `place` is made.
    ///
    /// # Errors
    /// What keeps the worker from being made now; it is tried again later.
    fn before(&mut self, place: usize, poller: &mut Epoll) -> io::Result<()> {
        let _ = (place, poller);
        Ok(())
    }

    /// Called in the new worker: keeps what is its own, and closes what is the parent's or another worker's. The worker then asks
    /// what is returned for connections, until there is none.
    ///
    /// # Errors
    /// What keeps the worker from serving; it ends.
    fn enter(&mut self, place: usize) -> io::Result<impl FnMut() -> io::Result<Option<OwnedFd>>>;

    /// The worker of `place` has ended.
    ///
    /// # Errors
    /// Those after which the pool cannot go on.
    fn ended(&mut self, place: usize, poller: &mut Epoll, stopping: bool) -> io::Result<()>;

    /// A descriptor that the pool watches is ready.
    ///
    /// # Errors
    /// Those after which the pool cannot go on.
    fn on_event(&mut self, event: Event, poller: &mut Epoll) -> io::Result<()> {
        let _ = (event, poller);
        Ok(())
    }

    /// The server is to stop; called before the workers are told.
    ///
    /// # Errors
    /// Those after which the pool cannot drain.
    fn stop(&mut self, poller: &mut Epoll) -> io::Result<()>;
}

/// Serves with `pool` until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// Those of fork(2) at the start, and those of the pool.
pub fn run<S: Service>(service: S, url: &Url, options: Options, pool: impl Pool) -> io::Result<()> {
    let signals = Signals::new(true)?;
    let mut poller = Epoll::new()?;
    poller.add(signals.as_fd(), SIGNALS, Interest::READ)?;
    let mut supervisor = Supervisor {
        service,
        pool,
        signals,
        poller,
        own_id: process::own_id(),
        grace: options.grace,
        counters: options.counters,
        idle: options.idle,
        workers: vec![None; options.workers],
        restarts: VecDeque::with_capacity(RESTARTS),
        told: false,
        stopping: false,
    };
    options.counters.workers(options.workers);
    supervisor.start()?;
    announce(url);
    supervisor.watch()?;
    supervisor.drain()
}

struct Supervisor<S, P> {
    service: S,
    pool: P,
    signals: Signals,
    poller: Epoll,
    own_id: i32,
    grace: Duration,
    counters: Counters,
    idle: Idle,
    /// Process ids, not yet reaped: the numbers are the workers' until then.
    workers: Vec<Option<i32>>,
    /// When workers were last started in the place of others.
    restarts: VecDeque<Instant>,
    /// It was said that they die too fast.
    told: bool,
    stopping: bool,
}

impl<S: Service, P: Pool> Supervisor<S, P> {
    /// Makes all workers and waits until each can serve.
    fn start(&mut self) -> io::Result<()> {
        let (mut reader, writer) = io::pipe()?;
        for place in 0..self.workers.len() {
            self.fork(place, Some((&reader, &writer)))?;
        }
        drop(writer);
        // Each worker holds the other end until it is up or dead, so the end of input comes in any case.
        let mut up = Vec::with_capacity(self.workers.len());
        reader.read_to_end(&mut up)?;
        if up.len() < self.workers.len() {
            return Err(io::Error::other("a worker ended before it could serve"));
        }
        Ok(())
    }

    fn fork(&mut self, place: usize, up: Option<(&PipeReader, &PipeWriter)>) -> io::Result<()> {
        self.pool.before(place, &mut self.poller)?;
        match process::fork()? {
            Forked::Parent(pid) => self.workers[place] = Some(pid),
            Forked::Child => self.be_the_worker(place, up),
        }
        Ok(())
    }

    fn be_the_worker(&mut self, place: usize, up: Option<(&PipeReader, &PipeWriter)>) -> ! {
        // A panic must not unwind into the parent's code: the worker would go on as a second supervisor.
        let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| -> io::Result<()> {
            process::die_with(self.own_id)?;
            process::close_inherited(self.signals.as_fd());
            process::close_inherited(self.poller.as_fd());
            stop::install(None, self.grace)?;
            // The line of the one before it, if it is not the first of its place.
            self.counters.enter(place);
            let next = self.pool.enter(place)?;
            if let Some((reader, mut writer)) = up {
                writer.write_all(b"u")?;
                process::close_inherited(reader.as_fd());
                process::close_inherited(writer.as_fd());
            }
            signal::unblock_all()?;
            serial::serve(&self.service, self.idle, next)
        }));
        process::exit_now(if matches!(served, Ok(Ok(()))) { 0 } else { 4 })
    }

    fn watch(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        while !self.stopping {
            let wait = self.fill();
            self.turn(&mut events, wait)?;
        }
        Ok(())
    }

    /// Starts workers for empty places; says when to come back where the rate or the system does not let it now.
    fn fill(&mut self) -> Option<Duration> {
        for place in 0..self.workers.len() {
            if self.workers[place].is_some() {
                continue;
            }
            let now = Instant::now();
            if self.restarts.len() == RESTARTS {
                let wait =
                    self.restarts.front().map(|&first| (first + PERIOD).saturating_duration_since(now));
                if wait.is_some_and(|wait| !wait.is_zero()) {
                    if !std::mem::replace(&mut self.told, true) {
                        let _ = writeln!(
                            io::stderr(),
                            "server: workers end too fast: at most {RESTARTS} are started anew in a second"
                        );
                    }
                    return wait;
                }
                self.restarts.pop_front();
            }
            if self.fork(place, None).is_err() {
                return Some(BACK_OFF);
            }
            self.restarts.push_back(now);
        }
        None
    }

    fn turn(&mut self, events: &mut Vec<Event>, wait: Option<Duration>) -> io::Result<()> {
        self.poller.wait(events, wait)?;
        for &event in &*events {
            if event.key == SIGNALS {
                self.on_signals()?;
            } else {
                self.pool.on_event(event, &mut self.poller)?;
            }
        }
        Ok(())
    }

    fn on_signals(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.next()? {
            self.stopping |= signal == Received::Stop;
        }
        // One SIGCHLD may stand for many children.
        while let Some((pid, how)) = process::reap_any()? {
            let Some(place) = self.workers.iter().position(|worker| *worker == Some(pid)) else { continue };
            self.workers[place] = None;
            if !self.stopping {
                let _ =
                    writeln!(io::stderr(), "server: worker {pid} ended ({how:?}); another takes its place");
            }
            self.pool.ended(place, &mut self.poller, self.stopping)?;
        }
        Ok(())
    }

    /// Lets the workers finish; those that outstay the grace are killed.
    fn drain(&mut self) -> io::Result<()> {
        self.pool.stop(&mut self.poller)?;
        for (signal, time) in [(process::SIGTERM, self.grace + SLACK), (process::SIGKILL, SLACK)] {
            for &pid in self.workers.iter().flatten() {
                // One that has ended and is not reaped yet takes no notice.
                let _ = process::kill(pid, signal);
            }
            let (end, mut events) = (Instant::now() + time, Vec::new());
            while self.workers.iter().any(Option::is_some) {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                self.turn(&mut events, Some(left))?;
            }
        }
        Ok(())
    }
}

/// A pool whose workers accept for themselves: from one listener, or each from its own.
struct Listening<F> {
    listeners: Vec<OwnedFd>,
    accept: F,
}

/// Serves with workers that accept for themselves until SIGTERM or SIGINT, then drains. `accept` is called once in each worker and
/// makes its accept(2), with a lock round it where the model has one. With as many listeners as workers each has its own.
///
/// # Errors
/// As [`run`].
pub fn listening<S: Service, A>(
    service: S,
    endpoint: Endpoint,
    accept: impl Fn() -> io::Result<A>,
) -> io::Result<()>
where
    A: FnMut(BorrowedFd<'_>) -> Accepted,
{
    let Endpoint { listener, siblings: more, url, options, .. } = endpoint;
    let listeners = std::iter::once(listener).chain(more).collect();
    run(service, &url, options, Listening { listeners, accept })
}

impl<F> Listening<F> {
    /// Which listener is that of `place`.
    fn own(&self, place: usize) -> usize {
        place % self.listeners.len()
    }
}

impl<A, F> Pool for Listening<F>
where
    F: Fn() -> io::Result<A>,
    A: FnMut(BorrowedFd<'_>) -> Accepted,
{
    fn enter(&mut self, place: usize) -> io::Result<impl FnMut() -> io::Result<Option<OwnedFd>>> {
        let own = self.listeners.swap_remove(self.own(place));
        // The others' are closed: a queue lasts as long as the parent and its own worker.
        self.listeners.clear();
        let mut accept = (self.accept)()?;
        Ok(move || acceptor::shared(own.as_fd(), &mut accept))
    }

    fn ended(&mut self, place: usize, _: &mut Epoll, stopping: bool) -> io::Result<()> {
        if stopping {
            // It has found the queue empty: whoever comes now is refused, and does not wait for workers that are busy with others.
            // shutdown(2) fails where another has done it.
            let _ = shutdown(self.listeners[self.own(place)].as_fd(), Side::Read);
        }
        Ok(())
    }

    fn stop(&mut self, _: &mut Epoll) -> io::Result<()> {
        self.listeners.iter().try_for_each(|listener| set_nonblocking(listener.as_fd()))
    }
}
