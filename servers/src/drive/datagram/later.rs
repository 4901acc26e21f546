//! Answers whose work sleeps, for loops that do not: kept with their message until their time has come. Not here: the loop.

use service::datagram::Reply;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};
use sys::datagram::Route;

/// Answers that may wait at a time; one more is not given, and counted.
const MOST: usize = 16 * 1_024;

/// An answer that waits.
#[derive(Debug)]
pub struct Waiting {
    /// What it answers.
    pub message: Vec<u8>,
    /// The answer.
    pub reply: Reply,
    /// The way back.
    pub route: Route,
}

/// Answers by the time at which they are due.
#[derive(Debug, Default)]
pub struct Later {
    /// When, and which place.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    places: slab::Slab<Waiting>,
}

impl Later {
    /// Keeps an answer for `time`; false where there is no room.
    pub fn keep(&mut self, time: Duration, waiting: Waiting) -> bool {
        if self.places.len() >= MOST {
            return false;
        }
        let place = self.places.insert(waiting);
        self.due.push(Reverse((Instant::now() + time, place)));
        true
    }

    /// When the first is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// The next one whose time has come.
    pub fn take(&mut self, now: Instant) -> Option<Waiting> {
        self.next().filter(|at| *at <= now)?;
        let Reverse((_, place)) = self.due.pop()?;
        self.places.try_remove(place)
    }

    /// True where none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::datagram::Route;

    #[test]
    fn gives_each_when_its_time_has_come_and_keeps_a_bounded_number() {
        let mut later = Later::default();
        let waiting = |byte| Waiting { message: vec![byte], reply: Reply::Same, route: Route::CONNECTED };
        for (byte, ms) in [(3, 30), (1, 10), (2, 20)] {
            assert!(later.keep(Duration::from_millis(ms), waiting(byte)));
        }
        let first = later.next().unwrap();
        assert!(later.take(first - Duration::from_nanos(1)).is_none());
        let end = Instant::now() + Duration::from_secs(1);
        let order: Vec<u8> = std::iter::from_fn(|| later.take(end)).map(|w| w.message[0]).collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(later.is_empty() && later.next().is_none());
        for _ in 0..MOST {
            assert!(later.keep(Duration::ZERO, waiting(0)));
        }
        assert!(!later.keep(Duration::ZERO, waiting(0)));
    }
}
