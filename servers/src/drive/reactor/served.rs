//! What a loop has on each connection: something that is told what is ready and says what to wait for. Not here: how it does so (see
//! `conn`, a state machine, and `coroutines`, blocking code on a stack of its own).

use crate::counters::Fate;
use crate::drive::conn::{Conn, Io, Next};
use service::{Service, Work};
use std::borrow::Borrow;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use sys::Event;

/// A connection being served.
pub trait Served<S: Service>: Sized {
    /// Its descriptor, which is the loop's and perhaps its own too.
    type Handle: AsFd + Borrow<OwnedFd> + From<OwnedFd>;
    /// What connections leave to those that come after them.
    type Store: Default;

    /// Before its first step; for a loop with helpers or without. `None` where there is no room for it.
    fn new(service: &S, fd: &Self::Handle, offload: bool, store: &mut Self::Store) -> Option<Self>;

    /// The first step: a server that speaks first does so here.
    fn on_open(&mut self, io: &mut impl Io) -> Next;

    /// Something is ready. `scratch` is lent for the call.
    fn on_event(&mut self, event: Event, io: &mut impl Io, scratch: &mut [u8]) -> Next;

    /// The moment of [`Next::WaitUntil`] has come.
    fn on_time(&mut self, now: Instant, io: &mut impl Io) -> Next;

    /// Work for a helper, after a step.
    fn take_work(&mut self) -> Option<Work>;

    /// A helper has done the work.
    fn on_done(&mut self, io: &mut impl Io) -> Next;

    /// True between requests.
    fn is_idle(&self) -> bool;

    /// True while it is the peer's turn: to send, or to take what it is sent.
    fn waits_for_peer(&self) -> bool;

    /// How it will have ended.
    fn fate(&mut self) -> &mut Fate;

    /// It is over, by itself or not.
    fn leave(self, _store: &mut Self::Store) {}
}

impl<S: Service> Served<S> for Conn<S::Conn> {
    type Handle = OwnedFd;
    type Store = ();

    fn new(service: &S, _fd: &OwnedFd, offload: bool, _store: &mut ()) -> Option<Self> {
        Some(if offload { Self::offloading(service.open()) } else { Self::new(service.open()) })
    }

    fn on_open(&mut self, io: &mut impl Io) -> Next {
        self.on_open(io)
    }

    fn on_event(&mut self, event: Event, io: &mut impl Io, scratch: &mut [u8]) -> Next {
        self.on_event(event, io, scratch)
    }

    fn on_time(&mut self, now: Instant, io: &mut impl Io) -> Next {
        self.on_time(now, io)
    }

    fn take_work(&mut self) -> Option<Work> {
        self.take_work()
    }

    fn on_done(&mut self, io: &mut impl Io) -> Next {
        self.on_done(io)
    }

    fn is_idle(&self) -> bool {
        self.is_idle()
    }

    fn waits_for_peer(&self) -> bool {
        self.waits_for_peer()
    }

    fn fate(&mut self) -> &mut Fate {
        &mut self.fate
    }
}
