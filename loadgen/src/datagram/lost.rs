//! Requests whose answer is awaited for longer than the timeout: they free their places, and are remembered, since an answer may still
//! come. Not here: answers that come in time.

use super::Engine;
use super::socket::{Request, State};
use crate::tap::Outcome;
use std::collections::{HashMap, VecDeque};

/// Requests of one thread that are remembered beyond their timeout. Where a server loses more within a run, the oldest are counted as
/// lost at once: memory does not grow with the length of the run. 64 bytes each.
pub(super) const REMEMBERED: usize = 1 << 16;

/// Least time between two looks at the places, in nanoseconds, and what is added for each place: the looks together take some
/// hundredths of the time at most.
const GRAIN_NS: u64 = 1_000_000;
const PLACE_NS: u64 = 100;

/// The requests that were given up, by socket and number.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    by_number: HashMap<(u32, u64), Request>,
    /// In the order in which they were given up; some of them were answered since.
    order: VecDeque<(u32, u64)>,
    /// Some were forgotten: who names an old request now may be a late answer or a double.
    pub(super) forgot: bool,
}

impl GivenUp {
    /// Remembers a request; returns one that is forgotten for it.
    fn add(&mut self, key: (u32, u64), request: Request) -> Option<Request> {
        let mut forgotten = None;
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            forgotten = self.by_number.remove(&oldest);
            self.forgot |= forgotten.is_some();
        }
        self.by_number.insert(key, request);
        self.order.push_back(key);
        forgotten
    }

    /// The request that is answered after all.
    pub(super) fn take(&mut self, key: (u32, u64)) -> Option<Request> {
        self.by_number.remove(&key)
    }

    /// All that are still unanswered, with their sockets.
    pub(super) fn into_unanswered(self) -> impl Iterator<Item = (u32, Request)> {
        self.by_number.into_iter().map(|((socket, _), request)| (socket, request))
    }
}

impl Engine<'_> {
    /// Gives up what has been out for longer than the timeout.
    pub(super) fn sweep(&mut self, now: u64) {
        if now < self.next_sweep_ns {
            return;
        }
        let (mut next, mut places) = (u64::MAX, 0);
        for i in 0..self.sockets.len() {
            places += self.sockets[i].places.len() as u64;
            let mut renew = false;
            for place in 0..self.sockets[i].places.len() {
                let there = &self.sockets[i].places[place];
                if there.state != State::Out {
                    continue;
                }
                let due = there.request.begun_ns.saturating_add(self.course.timeout_ns);
                if due > now {
                    next = next.min(due);
                    continue;
                }
                self.give_up(i, place, now);
                renew = !self.tagged;
            }
            if renew {
                // Without a tag, the answer that comes late would be taken for the next request's.
                self.renew(i, now);
            }
        }
        let grain = GRAIN_NS + places * PLACE_NS;
        // What begins from now on is not due before a timeout from now.
        self.next_sweep_ns = next.min(now.saturating_add(self.course.timeout_ns)).max(now + grain);
    }

    fn give_up(&mut self, i: usize, place: usize, now: u64) {
        let socket = &mut self.sockets[i];
        let key = (socket.index, socket.seq(place));
        let request = socket.vacate(place, State::GivenUp);
        if request.arrival.counted {
            self.open -= 1;
            self.course.last_resolved_ns = now;
            self.silent = true;
        }
        if !self.tagged {
            self.lose(i, &request, now);
        } else if let Some(forgotten) = self.given_up.add(key, request) {
            self.lose(i, &forgotten, now);
        }
        self.offer(i, now);
    }

    /// Counts a request that was sent and has no answer: lost, where the answer was awaited for the timeout.
    pub(super) fn lose(&mut self, i: usize, request: &Request, now: u64) {
        // By the age that `Recorder::unanswered` goes by: a run that was cut short has lost nothing yet.
        let age_ns = now.saturating_sub(request.arrival.due_ns);
        let lost = request.arrival.counted && age_ns >= self.course.timeout_ns;
        self.recorder.datagrams.lost += u64::from(lost);
        self.unanswered(i, request, now);
    }

    /// Counts a request that is not answered at the end.
    pub(super) fn unanswered(&mut self, i: usize, request: &Request, now: u64) {
        if !request.arrival.counted {
            return;
        }
        let age_ns = now.saturating_sub(request.arrival.due_ns);
        // A datagram may be lost, whoever else misbehaves: that is shown as loss, and laid at nobody's door.
        self.recorder.unanswered(age_ns, self.course.timeout_ns, false, true);
        self.log(i, request, Outcome::Unanswered, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Arrival;

    #[test]
    fn what_is_forgotten_is_the_oldest_that_was_not_answered() {
        let request =
            |k| Request { arrival: Arrival { k, due_ns: 0, counted: true }, begun_ns: 0, abort: None };
        let mut given_up = GivenUp::default();
        for k in 0..REMEMBERED as u64 {
            assert!(given_up.add((0, k), request(k)).is_none());
        }
        assert_eq!(given_up.take((0, 0)).map(|r| r.arrival.k), Some(0));
        assert!(given_up.add((1, 0), request(7)).is_none() && !given_up.forgot);
        assert_eq!(given_up.add((1, 1), request(8)).map(|r| r.arrival.k), Some(1));
        assert!(given_up.forgot && given_up.take((0, 1)).is_none());
        assert_eq!(given_up.into_unanswered().count(), REMEMBERED);
    }
}
