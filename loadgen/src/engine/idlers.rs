//! The idle crowd: connections that are made before the run and say nothing. Not here: those that make requests.
//!
//! They stand outside of every result about requests. A place takes a descriptor and 16 bytes. One that the server closes is counted
//! with when, and not replaced; what the server says on it is read and dropped.

use super::Engine;
use crate::Error;
use crate::tally::{Failure, Phase, Tally};
use record::histogram::Exact;
use record::load::IdleCrowd;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::clock::monotonic_ns as clock;
use sys::epoll::Epoll;
use sys::socket;
use sys::{Event, Interest, Poller as _};

/// Marks the crowd among the keys of the poller: no slot has so large a number.
const MARK: u64 = 1 << 31;

/// Connects under way at a time.
const WAVE: usize = 64;

/// Rest after a connect that met a full queue (Unix).
const QUEUE_REST: Duration = Duration::from_micros(500);

/// What became of the crowd.
#[derive(Clone, Debug)]
pub(crate) struct IdlersSeen {
    pub(crate) wanted: u64,
    pub(crate) made: u64,
    pub(crate) refused: Tally,
    pub(crate) closed: Tally,
    /// Ages in nanoseconds at which the server closed.
    pub(crate) ages: Exact,
    /// Clock of the first and the last close.
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) received: u64,
}

impl IdlersSeen {
    /// Nothing yet, of so many.
    pub(crate) fn new(wanted: u64) -> Self {
        Self {
            wanted,
            made: 0,
            refused: Tally::new(),
            closed: Tally::new(),
            ages: Exact::default(),
            first_ns: u64::MAX,
            last_ns: 0,
            received: 0,
        }
    }

    /// Adds that of another thread.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.wanted += other.wanted;
        self.made += other.made;
        self.refused.merge(&other.refused);
        self.closed.merge(&other.closed);
        self.ages.merge(&other.ages);
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.received += other.received;
    }

    /// As the record has it, where the window opened at `open_ns`.
    pub(crate) fn record(&self, open_ns: u64) -> IdleCrowd {
        let some = self.ages.count > 0;
        let since_open = |ns: u64| some.then(|| ns as i64 - open_ns as i64);
        IdleCrowd {
            wanted: self.wanted,
            made: self.made,
            refused: self.refused.rows(),
            closed: self.closed.rows(),
            first_closed_ns: since_open(self.first_ns),
            last_closed_ns: since_open(self.last_ns),
            youngest_closed_ns: some.then_some(self.ages.min),
            oldest_closed_ns: some.then_some(self.ages.max),
            received_bytes: self.received,
        }
    }
}

/// One connection, from its connect on.
struct Place {
    fd: OwnedFd,
    /// When it was made; 0 while the connect is under way.
    since_ns: u64,
}

/// The crowd of one thread.
pub(super) struct Idlers {
    places: Vec<Option<Place>>,
    wanted: usize,
    under_way: usize,
    pub(super) seen: IdlersSeen,
}

/// What a connect came to.
enum Start {
    Decided,
    /// The listener's queue is full (Unix).
    Later,
}

impl Idlers {
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            places: Vec::with_capacity(wanted),
            wanted,
            under_way: 0,
            seen: IdlersSeen::new(wanted as u64),
        }
    }

    /// Takes the socket of a connect that was started.
    fn add(&mut self, fd: OwnedFd, epoll: &mut Epoll) {
        let key = MARK | self.places.len() as u64;
        let there = socket::is_connected(fd.as_fd());
        let interest = if there { Interest::READ } else { Interest::WRITE };
        if let Err(error) = epoll.add(fd.as_fd(), key, interest) {
            return self.seen.refused.add(Failure::system(Phase::Connect, &error), 1);
        }
        self.under_way += usize::from(!there);
        self.seen.made += u64::from(there);
        self.places.push(Some(Place { fd, since_ns: if there { clock() } else { 0 } }));
    }

    /// Something happened on one of them.
    fn on_event(&mut self, key: u64, epoll: &mut Epoll, buffer: &mut [u8]) {
        let i = (key & (MARK - 1)) as usize;
        let Some(place) = self.places.get_mut(i).and_then(Option::as_mut) else { return };
        if place.since_ns == 0 {
            self.under_way -= 1;
            let made = socket::take_error(place.fd.as_fd())
                .and_then(|()| epoll.modify(place.fd.as_fd(), key, Interest::READ));
            match made {
                Ok(()) => {
                    place.since_ns = clock();
                    self.seen.made += 1;
                }
                Err(error) => {
                    self.seen.refused.add(Failure::system(Phase::Connect, &error), 1);
                    self.places[i] = None;
                }
            }
            return;
        }
        let failure = match socket::recv(place.fd.as_fd(), buffer) {
            Ok(0) => Failure::named(Phase::Idle, "eof"),
            Ok(n) => {
                self.seen.received += n as u64;
                return;
            }
            Err(error) if sys::errno::is_retry(&error) => return,
            Err(error) => Failure::system(Phase::Idle, &error),
        };
        let now = clock();
        self.seen.closed.add(failure, 1);
        self.seen.ages.add(now.saturating_sub(place.since_ns));
        self.seen.first_ns = self.seen.first_ns.min(now);
        self.seen.last_ns = now;
        self.places[i] = None;
    }
}

impl Engine<'_> {
    /// Makes the crowd, in waves and along the connect rate, for at most `limit_ns` beyond what the rate takes.
    ///
    /// # Errors
    /// [`Error::Setup`] when the poller fails, which it does not.
    pub(crate) fn gather(&mut self, limit_ns: u64, stop: &AtomicBool) -> Result<(), Error> {
        let wanted = self.idlers.wanted;
        let deadline = clock() + limit_ns + wanted as u64 * self.connect_gap_ns;
        let mut tried = 0;
        while tried < wanted || self.idlers.under_way > 0 {
            let now = clock();
            if now >= deadline || stop.load(Relaxed) {
                break;
            }
            let mut wait = Duration::from_nanos(super::LONGEST_WAIT_NS);
            while tried < wanted && self.idlers.under_way < WAVE {
                let turn_ns = self.next_connect_ns;
                if self.connect_gap_ns > 0 && turn_ns > clock() {
                    wait = Duration::from_nanos(turn_ns.saturating_sub(clock()));
                    break;
                }
                if let Start::Later = self.start_idle() {
                    wait = QUEUE_REST;
                    break;
                }
                tried += 1;
                self.next_connect_ns = turn_ns.max(now) + self.connect_gap_ns;
            }
            if tried == wanted && self.idlers.under_way == 0 {
                break;
            }
            self.await_events(wait)?;
            self.act(false)?;
        }
        let left = (wanted - tried + self.idlers.under_way) as u64;
        if left > 0 {
            self.idlers.seen.refused.add(Failure::named(Phase::Timeout, "no-connection"), left);
        }
        Ok(())
    }

    /// Starts to connect one of the crowd.
    fn start_idle(&mut self) -> Start {
        match self.start_connect(None) {
            Ok(fd) => self.idlers.add(fd, &mut self.epoll),
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.config.is_unix() => {
                return Start::Later;
            }
            Err(error) => self.idlers.seen.refused.add(Failure::system(Phase::Connect, &error), 1),
        }
        Start::Decided
    }

    /// Hands an event to the crowd, where it is one of theirs.
    pub(super) fn on_crowd(&mut self, event: &Event) {
        if event.key & MARK != 0 && event.key < 2 * MARK {
            self.idlers.on_event(event.key, &mut self.epoll, &mut self.buffer);
        }
    }
}
