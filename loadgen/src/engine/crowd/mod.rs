//! The clients that are slow or mute by plan, all on one thread beside the run. Not here: who they are (see `misfit`), and the load.
//!
//! Each goes round by itself: it connects, makes its exchange at its pace, and makes the next. A server that ends such a connection
//! is within its rights; that is counted, and the client comes again after a rest. A reply that is wrong is an error as anywhere.
//! What one does in its rounds is in `round`.

mod round;

use super::slot::Slot;
use crate::Error;
use crate::config::Config;
use crate::misfit::{self, Family, Step};
use crate::recorder::Track;
use crate::tally::Tally;
use record::misfit::Misfits;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use sys::clock::monotonic_ns as clock;
use sys::epoll::Epoll;
use sys::{Event, Poller as _};

/// Longest wait, so that the end of the run is noticed.
const LONGEST_WAIT_NS: u64 = 20_000_000;

/// Most bytes read at a time.
const BUFFER: usize = 64 * 1024;

/// What they did.
#[derive(Default)]
pub(crate) struct Told {
    /// A family an entry.
    pub(crate) families: Vec<Misfits>,
    /// Errors of the generator's own machine among theirs.
    pub(crate) local: u64,
}

/// The thread of the misfits.
pub(crate) struct Crowd {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Told, Error>>>,
}

impl Crowd {
    /// Lets them begin, and waits until each has done what it is there for, or has failed to, at most for the run's time-out. `None`
    /// where the plan has none.
    ///
    /// # Errors
    /// [`Error::Setup`] without a thread or an epoll instance.
    pub(crate) fn start(config: &Config) -> Result<Option<Self>, Error> {
        if config.misfits.is_empty() {
            return Ok(None);
        }
        let over = Arc::new(AtomicBool::new(false));
        let (settled, all_settled) = channel();
        let mut run = Run::new(config.clone(), Arc::clone(&over), settled)?;
        let thread = std::thread::Builder::new().name("misfits".to_owned()).spawn(move || run.run());
        let thread = Some(thread.map_err(Error::Setup)?);
        // Nothing is said: the other end is dropped when they have begun.
        let _ = all_settled.recv_timeout(config.timeout);
        Ok(Some(Self { over, thread }))
    }

    /// Ends them.
    ///
    /// # Errors
    /// What ended them early.
    pub(crate) fn end(mut self) -> Result<Told, Error> {
        self.stop().unwrap_or_else(|| Ok(Told::default()))
    }

    fn stop(&mut self) -> Option<Result<Told, Error>> {
        self.over.store(true, Relaxed);
        let ended = self.thread.take()?.join();
        Some(ended.unwrap_or_else(|_| Err(Error::Thread("the thread of the slow clients".to_owned()))))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // After a run that could not be made.
        drop(self.stop());
    }
}

/// One client.
struct Member {
    /// Which of the plan's shares.
    which: usize,
    family: Family,
    step: Step,
    slot: Slot,
    /// Number of its next request.
    k: u64,
    /// Bytes of the request that are still to be sent; more are queued where it is to stay half.
    to_send: u64,
    /// Bytes of it at a time: a short request goes in two pieces at the least.
    piece: usize,
    begun_ns: u64,
    /// It has been what it is there for.
    reached: bool,
    /// It has failed to, for now.
    tried: bool,
}

/// What one family did.
struct Account {
    connections: u64,
    exchanges: u64,
    ended_by_server: u64,
    errors: Tally,
    latency: Track,
}

struct Run {
    config: Config,
    over: Arc<AtomicBool>,
    settled: Option<Sender<()>>,
    epoll: Epoll,
    members: Vec<Member>,
    timers: BinaryHeap<Reverse<(u64, u64)>>,
    accounts: Vec<Account>,
    buffer: Vec<u8>,
    bytes: u64,
}

impl Run {
    fn new(config: Config, over: Arc<AtomicBool>, settled: Sender<()>) -> Result<Self, Error> {
        let client = config.clients(config.ask.clone());
        let chosen = misfit::members(&config.misfits, config.connections, config.ask.seed);
        let member = |(i, (place, which)): (usize, (u32, usize))| Member {
            which,
            family: config.misfits[which].family,
            step: config.misfits[which].step(),
            slot: Slot::new(i as u32, client(config.number_of_place(place)), 1),
            k: 0,
            to_send: 0,
            piece: 0,
            begun_ns: 0,
            reached: false,
            tried: false,
        };
        let members: Vec<_> = chosen.into_iter().enumerate().map(member).collect();
        let account = |_: &misfit::Misfit| {
            Ok::<_, Error>(Account {
                connections: 0,
                exchanges: 0,
                ended_by_server: 0,
                errors: Tally::new(),
                latency: Track::new()?,
            })
        };
        Ok(Self {
            accounts: config.misfits.iter().map(account).collect::<Result<_, _>>()?,
            timers: (0..members.len()).map(|i| Reverse((0, i as u64))).collect(),
            config,
            over,
            settled: Some(settled),
            epoll: Epoll::new().map_err(Error::Setup)?,
            members,
            buffer: vec![0; BUFFER],
            bytes: 0,
        })
    }

    fn run(&mut self) -> Result<Told, Error> {
        let mut events: Vec<Event> = Vec::new();
        while !self.over.load(Relaxed) {
            let now = clock();
            while let Some(&Reverse((at, key))) = self.timers.peek()
                && at <= now
            {
                self.timers.pop();
                let i = (key & u64::from(u32::MAX)) as usize;
                if self.members[i].slot.key() == key {
                    self.act(i, now);
                }
            }
            if self.settled.is_some() && self.members.iter().all(|m| m.reached || m.tried) {
                self.settled = None;
            }
            let next = self.timers.peek().map_or(u64::MAX, |Reverse((at, _))| at.saturating_sub(now));
            let wait = Duration::from_nanos(next.min(LONGEST_WAIT_NS));
            self.epoll.wait(&mut events, Some(wait)).map_err(Error::Setup)?;
            for event in &events {
                let i = (event.key & u64::from(u32::MAX)) as usize;
                if self.members[i].slot.key() == event.key {
                    self.on_event(i);
                }
            }
        }
        self.report()
    }

    fn report(&self) -> Result<Told, Error> {
        let one = |(which, misfit): (usize, &misfit::Misfit)| {
            let (account, all) = (&self.accounts[which], || self.members.iter().filter(|m| m.which == which));
            let (planned, done) = (all().count() as u64, all().filter(|m| m.reached).count() as u64);
            Ok(Misfits {
                family: misfit.family.name().to_owned(),
                planned,
                done,
                not_reached: planned - done,
                connections: account.connections,
                exchanges: account.exchanges,
                ended_by_server: account.ended_by_server,
                errors: account.errors.rows(),
                latency_ns: account.latency.summary(),
                latency: record::histogram::encode(&account.latency.histogram)?,
            })
        };
        let families: Result<_, Error> = self.config.misfits.iter().enumerate().map(one).collect();
        let local = self.accounts.iter().map(|account| account.errors.local()).sum();
        Ok(Told { families: families?, local })
    }
}
