//! The connections that a multi-threaded server has open, so that it can be stopped. Touched when a connection opens and closes,
//! never per request. Not here: event loops with one thread, which know their connections.

use super::blocking::Watch;
use slab::Slab;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Release, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use sys::socket::{Side, shutdown_number};

/// All open connections.
#[derive(Debug, Default)]
pub struct Roster {
    stopping: AtomicBool,
    open: Mutex<Slab<Open>>,
    empty: Condvar,
}

#[derive(Debug)]
struct Open {
    fd: RawFd,
    idle: Arc<AtomicBool>,
}

/// One connection's entry; leaves the roster when dropped, which must be before the descriptor is closed.
#[derive(Debug)]
pub struct Entry {
    roster: Arc<Roster>,
    key: usize,
    idle: Arc<AtomicBool>,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, Slab<Open>> {
        // A thread that panicked has not left the list half-changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a connection.
    #[must_use]
    pub fn enter(self: &Arc<Self>, fd: BorrowedFd<'_>) -> Entry {
        let idle = Arc::new(AtomicBool::new(false));
        let key = self.lock().insert(Open { fd: fd.as_raw_fd(), idle: idle.clone() });
        Entry { roster: self.clone(), key, idle }
    }

    /// Ends idle connections now and the others as they become idle; after `grace`, all of them. Returns when none is left, or a
    /// little after the grace.
    pub fn stop(&self, grace: Duration) {
        self.stopping.store(true, SeqCst);
        self.shut(Side::Read, |open| open.idle.load(SeqCst));
        self.wait_empty(grace);
        self.shut(Side::Both, |_| true);
        self.wait_empty(Duration::from_millis(100));
    }

    fn shut(&self, side: Side, which: impl Fn(&Open) -> bool) {
        for (_, open) in self.lock().iter() {
            if which(open) {
                // The entry leaves the list before its descriptor is closed, so the number is still its own. A peer that has gone
                // already makes the call fail, which is as good.
                let _ = shutdown_number(open.fd, side);
            }
        }
    }

    fn wait_empty(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut open = self.lock();
        while !open.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return;
            };
            (open, _) = self.empty.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Watch for Entry {
    fn idle(&self, idle: bool) -> bool {
        if !idle {
            // Where `stop` still sees the old word, it shuts a connection for reading whose request has been read: it is answered.
            self.idle.store(false, Release);
            return false;
        }
        // Order matters: `stop` raises the flag, then looks who is idle; we say that we are idle, then look at the flag.
        self.idle.store(true, SeqCst);
        self.stopping()
    }

    fn stopping(&self) -> bool {
        self.roster.stopping.load(SeqCst)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = self.roster.lock();
        open.remove(self.key);
        if open.is_empty() {
            self.roster.empty.notify_all();
        }
    }
}
