//! `--idle-timeout`: a connection on which no byte moved for that time, while the server had no work for it, is closed. Not here: the
//! closing, and tasks, whose runtimes have timers (see `tasks`, `waits`, `owned`).
//!
//! Blocking code has the kernel count ([`Idle::watch`]). A loop looks at all of its connections when the first could be due, at most
//! sixteen times within the timeout ([`Sweep`]): no timer and no list for each connection, and a request costs one store. So a
//! connection is closed at most a sixteenth later than asked for, and never earlier.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use sys::Interest;
use sys::socket::{wait_readable, wait_writable};

/// Looks within one timeout.
const LOOKS: u32 = 16;

/// How long a connection may be silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Idle(Option<Duration>);

impl Idle {
    /// For ever.
    pub const NEVER: Self = Self(None);

    /// For `time`.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Some(time))
    }

    /// The time, if there is one.
    #[must_use]
    pub fn time(self) -> Option<Duration> {
        self.0
    }

    /// When a connection is due on which nothing moves from now on.
    #[must_use]
    pub fn end(self) -> Option<Instant> {
        self.0.map(|time| Instant::now() + time)
    }

    /// Has calls on a blocking connection give up after that time (EAGAIN).
    pub fn watch(self, connection: BorrowedFd<'_>) {
        if let Some(time) = self.0 {
            // A socket that is none any more fails at the first call on it.
            let _ = sys::silence::give_up_after(connection, time);
        }
    }
}

/// When a loop looks for silent connections.
#[derive(Debug)]
pub struct Sweep {
    time: Duration,
    next: Option<Instant>,
}

/// One look at all of them.
#[derive(Debug)]
pub struct Look {
    time: Duration,
    now: Instant,
    first: Option<Instant>,
}

impl Sweep {
    /// Where there is a timeout.
    #[must_use]
    pub fn new(idle: Idle) -> Option<Self> {
        idle.time().map(|time| Self { time, next: None })
    }

    /// When to look next; never while there is no connection.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// A connection was opened.
    pub fn opened(&mut self, now: Instant) {
        self.next.get_or_insert(now + self.time);
    }

    /// The look that is due, if one is.
    #[must_use]
    pub fn begin(&self, now: Instant) -> Option<Look> {
        self.next.filter(|next| *next <= now).map(|_| Look { time: self.time, now, first: None })
    }

    /// All were looked at.
    pub fn end(&mut self, look: &Look) {
        self.next = look.first.map(|first| first.max(look.now + self.time / LOOKS));
    }
}

impl Look {
    /// Whether a connection has been silent for too long; `since` is when a byte moved last, or the server had work for it last.
    /// `waits` is what it waits for of its peer; `None` while the server is at work for it.
    pub fn is_over(
        &mut self,
        since: &mut Instant,
        waits: Option<Interest>,
        connection: BorrowedFd<'_>,
    ) -> bool {
        if waits.is_none() {
            *since = self.now;
        }
        if self.now.saturating_duration_since(*since) >= self.time {
            // It may be this loop that was held up, by another's work: what has come meanwhile was not silence.
            if !waits.is_some_and(|waits| is_ready(connection, waits)) {
                return true;
            }
            *since = self.now;
        }
        let due = *since + self.time;
        self.first = Some(self.first.map_or(due, |first| first.min(due)));
        false
    }
}

fn is_ready(connection: BorrowedFd<'_>, waits: Interest) -> bool {
    let at_once = Some(Duration::ZERO);
    // One of which the kernel does not know is none that anybody waits for.
    (waits.read && wait_readable(&[connection], at_once).is_ok_and(|ready| ready == [true]))
        || (waits.write && wait_writable(connection, at_once).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    #[test]
    fn who_is_silent_is_found_and_who_is_served_is_not() {
        let (mut far, near) = UnixStream::pair().unwrap();
        let (time, start) = (Duration::from_secs(8), Instant::now());
        let mut sweep = Sweep::new(Idle::after(time)).unwrap();
        assert!(Sweep::new(Idle::NEVER).is_none() && sweep.next().is_none());
        sweep.opened(start);
        sweep.opened(start + Duration::from_secs(1));
        assert_eq!(sweep.next(), Some(start + time));
        assert!(sweep.begin(start + Duration::from_secs(7)).is_none());
        let now = start + time;
        let mut look = sweep.begin(now).unwrap();
        let reads = Some(Interest::READ);
        let (mut silent, mut quick, mut busy) = (start, start + Duration::from_millis(7_900), start);
        assert!(look.is_over(&mut silent, reads, near.as_fd()));
        assert!(!look.is_over(&mut quick, reads, near.as_fd()));
        assert!(!look.is_over(&mut busy, None, near.as_fd()), "the server is at work for it");
        assert_eq!(busy, now);
        sweep.end(&look);
        assert_eq!(sweep.next(), Some(quick + time));
        far.write_all(b"x").unwrap();
        assert!(!look.is_over(&mut silent, reads, near.as_fd()), "it was not read yet");
        assert_eq!(silent, now);
    }

    #[test]
    fn looks_are_few_and_there_is_none_without_a_connection() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (time, start) = (Duration::from_secs(16), Instant::now());
        let mut sweep = Sweep::new(Idle::after(time)).unwrap();
        sweep.opened(start);
        let mut look = sweep.begin(start + time).unwrap();
        let mut due_soon = start + Duration::from_millis(1);
        assert!(!look.is_over(&mut due_soon, Some(Interest::READ), near.as_fd()));
        sweep.end(&look);
        assert_eq!(sweep.next(), Some(start + time + time / 16));
        let look = sweep.begin(start + 2 * time).unwrap();
        sweep.end(&look);
        assert_eq!(sweep.next(), None);
    }
}
