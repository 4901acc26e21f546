//! One client socket: the requests that are out on it, and what is still to be sent. Not here: when to send, and what a result
//! counts as.

use super::speaker::Speaker;
use crate::abort;
use crate::engine::Arrival;
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Bits of a request's number on its socket that say in which place it is; the others say which of the place's requests it is.
const PLACE_BITS: u32 = 24;

/// Most places of a socket.
pub(super) const MOST_PLACES: usize = 1 << PLACE_BITS;

/// A request that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) arrival: Arrival,
    /// When it was to be sent.
    pub(super) begun_ns: u64,
    /// Its socket is to be closed when it is sent.
    pub(super) abort: Option<(abort::Phase, abort::Kind)>,
}

/// How far the request in a place has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The socket has no room for it yet.
    Staged,
    /// It is sent, and the answer is awaited.
    Out,
    /// The answer was awaited for longer than the timeout.
    GivenUp,
    /// It has ended: answered, or failed.
    Over,
}

/// Room for one request that is out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) state: State,
    pub(super) request: Request,
    /// Requests that this place has had before.
    turn: u64,
    /// Which of the socket's requests it is, in the order of sending.
    pub(super) order: u64,
}

/// What a number that came back stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The request in this place, which is out.
    Out(usize),
    /// A request that has ended.
    Over,
    /// A request that was given up, or whose place has another one by now.
    Past,
    /// None that was ever sent.
    Unknown,
}

/// A socket and its places. Its number outlives it; `generation` tells the sockets apart.
pub(super) struct Socket {
    pub(super) index: u32,
    pub(super) generation: u32,
    pub(super) fd: Option<OwnedFd>,
    pub(super) speaker: Speaker,
    pub(super) places: Vec<Place>,
    free: Vec<u32>,
    /// Places whose datagram is still to be sent, in order.
    pub(super) staged: VecDeque<u32>,
    /// Requests that are staged or out.
    pub(super) busy: usize,
    /// The next request's order, and one more than that of the latest that was answered.
    next_order: u64,
    answered: u64,
    /// It stands among those that can take a request.
    pub(super) offered: bool,
    pub(super) free_since_ns: u64,
    /// It stands among those with something to send.
    pub(super) dirty: bool,
    pub(super) wants_room: bool,
    /// No request until the timer says so.
    pub(super) resting: bool,
    /// Each refusal comes by itself.
    pub(super) keeps_refusals: bool,
    /// Refusals since the last answer.
    pub(super) refusals: u32,
    /// Requests that have ended on this socket.
    pub(super) ended: u64,
    /// Requests after which another socket takes its place.
    pub(super) limit: u64,
    /// What the kernel had dropped of this socket's before the window, and on the sockets before it since.
    pub(super) dropped_before: u64,
    pub(super) dropped: u64,
}

impl Socket {
    pub(super) fn new(index: u32, speaker: Speaker, depth: usize) -> Self {
        Self {
            index,
            generation: 0,
            fd: None,
            speaker,
            places: Vec::with_capacity(depth),
            free: Vec::with_capacity(depth),
            staged: VecDeque::with_capacity(depth),
            busy: 0,
            next_order: 0,
            answered: 0,
            offered: false,
            free_since_ns: 0,
            dirty: false,
            wants_room: false,
            resting: false,
            keeps_refusals: false,
            refusals: 0,
            ended: 0,
            limit: u64::MAX,
            dropped_before: 0,
            dropped: 0,
        }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(|fd| fd.as_fd())
    }

    /// What the poller calls it.
    pub(super) fn key(&self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Gives `request` a place; it is sent with the next flush.
    pub(super) fn stage(&mut self, request: Request) {
        let order = self.next_order;
        self.next_order += 1;
        let place = self.free.pop().map_or(self.places.len(), |place| place as usize);
        match self.places.get_mut(place) {
            Some(old) => *old = Place { state: State::Staged, request, turn: old.turn + 1, order },
            None => self.places.push(Place { state: State::Staged, request, turn: 0, order }),
        }
        self.staged.push_back(place as u32);
        self.busy += 1;
    }

    /// The number that the request in a place goes by.
    pub(super) fn seq(&self, place: usize) -> u64 {
        self.places[place].turn << PLACE_BITS | place as u64
    }

    /// What the number stands for.
    pub(super) fn find(&self, seq: u64) -> Found {
        let (place, turn) = ((seq & (MOST_PLACES as u64 - 1)) as usize, seq >> PLACE_BITS);
        match self.places.get(place) {
            Some(there) if there.turn > turn => Found::Past,
            Some(there) if there.turn == turn => match there.state {
                State::Out => Found::Out(place),
                State::Over => Found::Over,
                State::GivenUp => Found::Past,
                // A datagram that was never sent cannot be answered; the next of its place can be foreseen by nobody but a liar.
                State::Staged => Found::Unknown,
            },
            _ => Found::Unknown,
        }
    }

    /// The place whose request has been out longest.
    pub(super) fn oldest(&self) -> Option<usize> {
        let out = self.places.iter().enumerate().filter(|(_, place)| place.state == State::Out);
        out.min_by_key(|(_, place)| place.order).map(|(at, _)| at)
    }

    /// The request in a place has ended, or is given up; the place is free. It must be staged or out.
    pub(super) fn vacate(&mut self, place: usize, state: State) -> Request {
        self.places[place].state = state;
        self.free.push(place as u32);
        self.busy -= 1;
        self.ended += 1;
        self.places[place].request
    }

    /// The request in a place was answered; true where one that was sent later was answered before it.
    pub(super) fn is_reordered(&mut self, place: usize) -> bool {
        let order = self.places[place].order;
        let late = order < self.answered;
        self.answered = self.answered.max(order + 1);
        late
    }
}
