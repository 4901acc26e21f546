//! Planned aborts after which the connection lives on: half-closed by us until the server ends it, or deaf and dumb until the run is
//! over. Not here: those that end it (see `leave`).
//!
//! A half-close is no fault of the client: the server has the request whole and owes the whole reply (RFC 9293, 3.6). So the reply is
//! read and checked like any other, and after it the server is to end the connection, since nothing can come any more. Where it does
//! neither, that is an error of a chosen request, in the phase `close` for the end.

use super::Engine;
use super::slot::State;
use crate::abort::{Kind, Phase};
use crate::tally::{self, Failure};
use crate::tap::Outcome;
use std::os::fd::AsFd as _;
use sys::clock::monotonic_ns as clock;
use sys::{Interest, Poller as _, socket, vanish};

impl Engine<'_> {
    /// True where an abort of this kind can be carried out: there is room for what it keeps.
    pub(super) fn can(&self, kind: Kind) -> bool {
        kind != Kind::Vanish || self.vanished.len() < self.vanish_room
    }

    /// Shuts for writing, where that is not done, and waits for the server to end the connection.
    pub(super) fn await_end(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        slot.halve();
        slot.state = State::Ending;
        slot.leave_by_ns = now.saturating_add(self.course.timeout_ns);
        let until_ns = slot.leave_by_ns;
        if self.watch(i, Interest::READ) {
            self.set_timer(i, until_ns);
        }
    }

    /// Reads what the server still says, to its end.
    pub(super) fn hear_out(&mut self, i: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.slots[i].fd().map(|fd| socket::recv(fd, &mut buffer));
        self.buffer = buffer;
        match result {
            Some(Ok(0)) => self.left(i, false, clock()),
            // What it answers to half a request, or to none, is its own affair.
            Some(Ok(n)) => self.recorder.bytes.received += n as u64,
            Some(Err(error)) if sys::errno::is_retry(&error) => {}
            Some(Err(error)) => {
                let slot = &self.slots[i];
                if slot.aborts_in(Phase::Connect) || slot.aborts_in(Phase::MidRequest) {
                    // Nothing was asked for: a reset is an end as good as any.
                    return self.left(i, false, clock());
                }
                self.fail(i, Failure::system(tally::Phase::Close, &error), clock());
            }
            None => {}
        }
    }

    /// The server has not ended the connection in time.
    pub(super) fn give_up_hearing(&mut self, i: usize, now: u64) {
        // A timer of an earlier state of the connection may come first.
        if now >= self.slots[i].leave_by_ns {
            self.fail(i, Failure::named(tally::Phase::Close, "no-end"), now);
        }
    }

    /// A half-closed connection met an error: the abort was carried out, and this is what came of it.
    pub(super) fn ended_badly(&mut self, i: usize, failure: Failure, now: u64) {
        let Some(request) = self.slots[i].request.take() else { return };
        if let Some(abort) = request.abort
            && request.arrival.counted
        {
            self.recorder.error(failure, true);
            self.recorder.aborted(abort, false);
            self.log(i, request, Outcome::Aborted, now);
            self.resolved(now);
        }
    }

    /// The client vanishes: its socket hears and says nothing from here on, and is kept until the run is over.
    ///
    /// A Unix socket has no packets; it is kept and not touched any more, and the server meets a peer that takes nothing.
    pub(super) fn vanish(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        let Some(fd) = slot.fd.as_ref() else { return };
        if slot.watched {
            let _ = self.epoll.remove(fd.as_fd());
        }
        if !self.config.is_unix() {
            // Without memory for the filter it acknowledges what comes until its buffer is full.
            let _ = vanish::deafen(fd.as_fd());
        }
        // A second descriptor keeps the socket open when the slot lets go of its own. There is one: see `can`.
        if let Ok(kept) = fd.try_clone() {
            self.vanished.push(kept);
        }
        self.left(i, false, now);
    }
}
