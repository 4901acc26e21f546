//! Which of several loops gets the next connection. Not here: how it gets there (see `sys::inbox`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// How it is chosen who gets a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum HandOff {
    /// The first in the list that has none (UNP, server 5): under little load the first does all the work.
    FirstFree,
    /// In turn.
    RoundRobin,
    /// The one with the fewest connections, asked of all: open ones where there may be several, served ones where there is one.
    LeastConnections,
    /// The one with fewer open connections of two that are drawn (Mitzenmacher 2001; haproxy's listener queues).
    TwoChoices,
}

/// One loop as the acceptor sees it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Seat {
    /// Connections handed over and not closed yet.
    load: AtomicUsize,
    gone: AtomicBool,
}

impl Seat {
    /// Connections that are open there, or on their way.
    #[must_use]
    pub fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    /// One more: called before it is handed over, so that a loop never ends with one on its way.
    pub fn enter(&self) {
        self.load.fetch_add(1, Relaxed);
    }

    /// One fewer.
    pub fn leave(&self) {
        self.load.fetch_sub(1, Relaxed);
    }

    /// The loop has ended, and takes no more.
    pub fn vacate(&self) {
        self.gone.store(true, Relaxed);
    }

    fn taken(&self) -> bool {
        !self.gone.load(Relaxed)
    }
}

/// Chooses among loops.
#[derive(Debug)]
pub struct Chooser {
    policy: HandOff,
    seats: Vec<Arc<Seat>>,
    turn: usize,
    random: u64,
}

impl Chooser {
    /// Chooses among `seats` by `policy`.
    #[must_use]
    pub fn new(policy: HandOff, seats: Vec<Arc<Seat>>) -> Self {
        Self { policy, seats, turn: 0, random: 0x9E37_79B9_7F4A_7C15 }
    }

    /// The seat for the next connection; `None` when every loop has ended.
    pub fn choose(&mut self) -> Option<usize> {
        let chosen = match self.policy {
            HandOff::RoundRobin => None,
            HandOff::FirstFree => self.first_free().or_else(|| self.least()),
            HandOff::LeastConnections => self.least(),
            HandOff::TwoChoices => {
                let (a, b) = (self.draw(), self.draw());
                let better = if self.seats[a].load() <= self.seats[b].load() { a } else { b };
                self.seats[better].taken().then_some(better)
            }
        };
        // In turn otherwise, which is also what is left when those that were drawn have ended.
        chosen.or_else(|| self.next_in_turn())
    }

    fn next_in_turn(&mut self) -> Option<usize> {
        for _ in 0..self.seats.len() {
            let at = self.turn;
            self.turn = (at + 1) % self.seats.len();
            if self.seats[at].taken() {
                return Some(at);
            }
        }
        None
    }

    fn first_free(&self) -> Option<usize> {
        (0..self.seats.len()).find(|&at| self.seats[at].taken() && self.seats[at].load() == 0)
    }

    fn least(&self) -> Option<usize> {
        (0..self.seats.len()).filter(|&at| self.seats[at].taken()).min_by_key(|&at| self.seats[at].load())
    }

    /// xorshift64 (Marsaglia 2003): which loop comes is to be spread, not to be secret.
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % self.seats.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(loads: &[usize]) -> Vec<Arc<Seat>> {
        let seat = |&load: &usize| Arc::new(Seat { load: AtomicUsize::new(load), ..Seat::default() });
        loads.iter().map(seat).collect()
    }

    #[test]
    fn each_policy_chooses_as_it_says() {
        let mut turns = Chooser::new(HandOff::RoundRobin, seats(&[9, 0, 0]));
        assert_eq!([(); 4].map(|()| turns.choose()), [Some(0), Some(1), Some(2), Some(0)]);
        let mut first = Chooser::new(HandOff::FirstFree, seats(&[3, 0, 0]));
        assert_eq!((first.choose(), first.choose()), (Some(1), Some(1)));
        let mut least = Chooser::new(HandOff::LeastConnections, seats(&[3, 1, 2]));
        assert_eq!([(); 2].map(|()| least.choose()), [Some(1), Some(1)]);
        let mut two = Chooser::new(HandOff::TwoChoices, seats(&[0, 0, 1000]));
        let worst = (0..900).filter(|_| two.choose() == Some(2)).count();
        // Only when both draws are the loaded one: a ninth of 900.
        assert!((40..=180).contains(&worst), "{worst}");
    }

    #[test]
    fn a_loop_that_has_ended_gets_nothing() {
        for policy in
            [HandOff::FirstFree, HandOff::RoundRobin, HandOff::LeastConnections, HandOff::TwoChoices]
        {
            let seats = seats(&[0, 5]);
            let mut chooser = Chooser::new(policy, seats.clone());
            seats[0].vacate();
            assert!((0..20).all(|_| chooser.choose() == Some(1)), "{policy:?}");
            seats[1].vacate();
            assert_eq!(chooser.choose(), None);
        }
    }
}
