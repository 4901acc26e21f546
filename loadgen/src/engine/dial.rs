//! Making connections: before the run, and for the requests that need one. Not here: what is said on them.

use super::slot::State;
use super::{Engine, Stage};
use crate::Error;
use crate::life::Reconnect;
use crate::tally::{Failure, Phase};
use service::client::Client as _;
use std::cmp::Reverse;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::clock::monotonic_ns as clock;
use sys::socket;
use sys::{Interest, Poller as _};

/// Connects under way at a time before the run. A listener's queue is short; what overflows it comes again after a second.
const WAVE: usize = 64;

/// Receive buffer of a connection that will not read its reply, in bytes: the less it takes, the sooner the server's write blocks.
const SMALL_BUFFER: usize = 4096;

/// First wait after a connect that met a full queue (Unix), in nanoseconds, and how often it doubles: up to 6.4 ms. Short beside
/// what fills a queue, and long enough that a thousand clients who wait do not take the processor from the server.
const QUEUE_REST_NS: u64 = 100_000;
const QUEUE_DOUBLINGS: u32 = 6;

/// First wait after a connect that failed, and the longest; it doubles in between. A dead server is not to be hammered.
const REST_NS: u64 = 1_000_000;
const LONGEST_REST_NS: u64 = 500_000_000;

/// How long to leave a server alone that has turned us away so many times, one behind the other.
pub(crate) fn rest_ns(refusals: u32) -> u64 {
    REST_NS.checked_shl(refusals.saturating_sub(1)).unwrap_or(LONGEST_REST_NS).min(LONGEST_REST_NS)
}

impl Engine<'_> {
    /// Makes the connections of all slots before the run, in waves, for at most `limit_ns`.
    ///
    /// Slots whose connect failed or is not decided by then are left to the requests.
    ///
    /// # Errors
    /// [`Error::Setup`] when the poller fails, which it does not.
    pub(crate) fn dial_all(&mut self, limit_ns: u64, stop: &AtomicBool) -> Result<(), Error> {
        let deadline = clock() + limit_ns + self.slots.len() as u64 * self.connect_gap_ns;
        self.ahead = true;
        self.idle.clear();
        self.slots.iter_mut().for_each(|slot| slot.offered = false);
        let (mut next, count) = (0, self.slots.len());
        loop {
            let now = clock();
            while next < count && next - self.idle.len() < WAVE {
                self.slots[next].state = State::Dialling;
                self.dial(next, now);
                next += 1;
            }
            if self.idle.len() == count || now >= deadline || stop.load(Relaxed) {
                break;
            }
            self.expire(now);
            let timer = self.timers.peek().map_or(u64::MAX, |Reverse((at, _))| at.saturating_sub(now));
            let left = Duration::from_nanos((deadline - now).min(super::LONGEST_WAIT_NS).min(timer));
            self.await_events(left)?;
            self.act(false)?;
        }
        for i in next..count {
            self.free(i, clock());
        }
        self.ahead = false;
        Ok(())
    }

    /// Starts to connect, for the request of the slot or for later ones.
    pub(super) fn dial(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        slot.state = State::Dialling;
        slot.dialled_ns = now;
        slot.turned_away = 0;
        if self.connect_gap_ns > 0 {
            // Each takes the next turn; turns that nobody took are gone, so that no burst follows a pause.
            let turn_ns = self.next_connect_ns.max(now);
            self.next_connect_ns = turn_ns + self.connect_gap_ns;
            if turn_ns > now {
                return self.set_timer(i, turn_ns);
            }
        }
        self.knock(i, now);
    }

    /// The moment to connect has come: by the connect rate, or for another try at a full queue.
    pub(super) fn knock_again(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        if slot.fd.is_some() {
            return;
        }
        if slot.turned_away == 0 {
            slot.dialled_ns = now;
        }
        self.knock(i, now);
    }

    /// A place whose connection has ended: true where it can take a request, which then connects.
    pub(super) fn follow(&mut self, i: usize, now: u64) -> bool {
        let slot = &mut self.slots[i];
        if slot.fd.is_some() || !slot.lived || self.ahead || matches!(self.course.stage, Stage::Drain { .. })
        {
            return true;
        }
        match self.config.life.reconnect {
            Reconnect::Lazy => return true,
            Reconnect::Never => {
                slot.state = State::Gone;
                self.gone += 1;
            }
            Reconnect::Eager => {
                slot.barren += 1;
                match slot.barren.max(slot.refusals + 1) - 1 {
                    0 => self.dial(i, now),
                    times => self.rest(i, times, now),
                }
            }
        }
        false
    }

    /// Nothing for a while, after something has failed so many `times`.
    fn rest(&mut self, i: usize, times: u32, now: u64) {
        let rest_ns = rest_ns(times);
        self.slots[i].state = State::Resting;
        self.set_timer(i, now + rest_ns);
    }

    /// The rest is over.
    pub(super) fn wake(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        if slot.lived && self.config.life.reconnect == Reconnect::Eager && self.course.stage.is_running() {
            self.dial(i, now);
        } else {
            self.free(i, now);
        }
    }

    /// Closes a connection that is old enough and idle.
    pub(super) fn retire(&mut self, i: usize, now: u64) {
        self.disconnect(i);
        self.free(i, now);
    }

    /// Tries to connect. The queue of a Unix listener may be full, which connect(2) says at once (EAGAIN): the listener is there
    /// and busy, so this is no failure; it is tried again, and the time counts as the connect's.
    pub(super) fn knock(&mut self, i: usize, now: u64) {
        let small = self.slots[i].leaves_reply();
        let dialled = self.start_connect(small.then_some(SMALL_BUFFER));
        let slot = &mut self.slots[i];
        let fd = match dialled {
            Ok(fd) => fd,
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.config.is_unix() => {
                let rest_ns = QUEUE_REST_NS << slot.turned_away.min(QUEUE_DOUBLINGS);
                slot.turned_away += 1;
                return self.set_timer(i, now + rest_ns);
            }
            Err(error) => return self.refused(i, Failure::system(Phase::Connect, &error), now),
        };
        // On one machine the handshake is over when connect(2) returns: no need to ask the poller.
        let there = socket::is_connected(fd.as_fd());
        slot.fd = Some(fd);
        if there {
            self.connected(i, clock());
        } else {
            let _ = self.watch(i, Interest::WRITE);
        }
    }

    /// Starts to connect, from the next source address where there are several to choose from.
    pub(super) fn start_connect(&mut self, receive_buffer: Option<usize>) -> io::Result<OwnedFd> {
        let (Some(sources), Some(target)) = (&self.sources, self.config.url.ip()) else {
            return socket::connect_start(&self.config.url.address, receive_buffer);
        };
        let source = self.config.source(sources, self.index, self.dialled);
        self.dialled += 1;
        socket::connect_start_from(source, target, receive_buffer)
    }

    /// The connect that was under way is decided.
    pub(super) fn on_dialled(&mut self, i: usize) {
        let Some(result) = self.slots[i].fd().map(socket::take_error) else { return };
        match result {
            Ok(()) => self.connected(i, clock()),
            Err(error) => self.refused(i, Failure::system(Phase::Connect, &error), clock()),
        }
    }

    fn connected(&mut self, i: usize, now: u64) {
        self.ever_connected = true;
        self.live += 1;
        self.peak = self.peak.max(self.live);
        self.recorder.intervals.living(now, self.live);
        let seed = self.config.ask.seed;
        let slot = &mut self.slots[i];
        slot.refusals = 0;
        slot.client.open();
        slot.lived = true;
        let id =
            super::connection_number(self.config, self.index, slot.index) << 32 | u64::from(slot.generation);
        slot.limit = self.config.life.limit(self.config.requests_per_connection, seed, id);
        slot.ends_ns = self.config.life.ends_ns(now, seed, id);
        slot.state = State::Busy;
        if slot.ends_ns < u64::MAX {
            self.timers.push(Reverse((slot.ends_ns, slot.key())));
        }
        if self.course.stage == Stage::Window {
            self.recorder.connections_made += 1;
            self.recorder.connect.add(now.saturating_sub(slot.dialled_ns));
        }
        let spoken_for = slot.request.is_some();
        // The one call to the poller that a connection needs, unless a send does not take everything.
        if !self.hear(i) {
            return;
        }
        if spoken_for {
            self.speak(i, now);
            self.offer(i, now);
        } else {
            self.free(i, now);
        }
    }

    /// No connection was made.
    fn refused(&mut self, i: usize, failure: Failure, now: u64) {
        self.refusals += 1;
        let slot = &mut self.slots[i];
        slot.refusals += 1;
        let times = slot.refusals;
        if slot.request.is_some() {
            self.end_failed(i, failure, now);
            return self.rest(i, times, now);
        }
        self.disconnect(i);
        if self.ahead {
            self.dial_errors.add(failure, 1);
            self.free(i, now);
        } else {
            self.note(failure, false);
            self.rest(i, times, now);
        }
    }

    /// Tells the poller what to watch the connection for; false when it could not be told, and the connection is given up.
    pub(super) fn watch(&mut self, i: usize, interest: Interest) -> bool {
        debug_assert!(self.slots[i].line.is_none(), "what is on the ring is not watched");
        let slot = &mut self.slots[i];
        let key = slot.key();
        let Some(fd) = slot.fd.as_ref() else { return false };
        let result = if slot.watched {
            self.epoll.modify(fd.as_fd(), key, interest)
        } else {
            self.epoll.add(fd.as_fd(), key, interest)
        };
        slot.watched = true;
        slot.wants_room = interest.write;
        // ENOMEM and ENOSPC remain (epoll_ctl(2)): the connection would never be heard of again.
        if let Err(error) = result {
            self.fail(i, Failure::system(Phase::Connect, &error), clock());
            return false;
        }
        true
    }
}
