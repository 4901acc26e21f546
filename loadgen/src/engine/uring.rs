//! The engine over io_uring: which connections are on the ring, and what happens on them. Not here: the ring itself (see `lines`).
//!
//! A connection is on the ring while its requests are plain ones. One that is to be given up in the middle is taken off, so that
//! nothing is read or sent but by the calls that the abort consists of, and stays off until it ends.

use super::lines::{Came, Event, Lines};
use super::slot::State;
use super::{Engine, clock};
use crate::Error;
use crate::tally::{Failure, Phase};
use std::os::fd::AsFd as _;
use std::time::Duration;
use sys::{Interest, Poller as _, socket};

impl Engine<'_> {
    /// Waits for something to happen, for at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Setup`] when the mechanism fails, which it does not.
    pub(super) fn await_events(&mut self, timeout: Duration) -> Result<(), Error> {
        match &mut self.lines {
            None => self.epoll.wait(&mut self.events, Some(timeout)),
            Some(lines) => lines.wait(self.epoll.as_fd(), timeout),
        }
        .map_err(Error::Setup)
    }

    /// Acts on what has happened; where `running`, requests begin in between as connections get free.
    ///
    /// # Errors
    /// As [`await_events`](Self::await_events).
    pub(super) fn act(&mut self, running: bool) -> Result<(), Error> {
        while let Some(came) = self.lines.as_mut().and_then(Lines::next) {
            match came {
                Came::Readiness => {
                    self.epoll.wait(&mut self.events, Some(Duration::ZERO)).map_err(Error::Setup)?;
                    self.act_on_epoll(running);
                }
                Came::On(key, event) => {
                    let now = self.on_line(key, event);
                    if running {
                        self.pump(now);
                    }
                }
            }
        }
        self.act_on_epoll(running);
        Ok(())
    }

    fn act_on_epoll(&mut self, running: bool) {
        let mut events = std::mem::take(&mut self.events);
        for event in &events {
            let now = self.on_event(event);
            if running {
                self.pump(now);
            }
        }
        events.clear();
        self.events = events;
    }

    /// Begins to hear of a new connection: by the ring where there is one and the connection is not to be given up; false when that
    /// failed, and the connection is given up.
    pub(super) fn hear(&mut self, i: usize) -> bool {
        let slot = &mut self.slots[i];
        let (Some(lines), Some(fd)) = (&mut self.lines, slot.fd.as_ref()) else {
            return self.watch(i, Interest::READ);
        };
        if slot.request.is_some_and(|request| request.abort.is_some()) {
            return self.watch(i, Interest::READ);
        }
        if std::mem::take(&mut slot.watched) {
            // It cannot fail for a descriptor that was added.
            let _ = self.epoll.remove(fd.as_fd());
        }
        match socket::set_blocking(fd.as_fd()).and_then(|()| lines.add(fd.as_fd(), slot.key())) {
            Ok(line) => {
                slot.line = Some(line);
                true
            }
            Err(error) => {
                self.fail(i, Failure::system(Phase::Connect, &error), clock());
                false
            }
        }
    }

    /// Takes a connection off the ring, for calls made one by one; false when there is none any more.
    pub(super) fn take_off(&mut self, i: usize) -> bool {
        let slot = &mut self.slots[i];
        let (Some(lines), Some(line), Some(fd)) = (&mut self.lines, slot.line, slot.fd.as_ref()) else {
            return slot.fd.is_some();
        };
        if lines.is_sending(line) || socket::set_nonblocking(fd.as_fd()).is_err() {
            // The server answered before it had the whole request: what is still being sent would get in between.
            self.disconnect(i);
            return false;
        }
        let released = lines.release(line);
        slot.line = None;
        if released.is_err() {
            self.disconnect(i);
            return false;
        }
        self.watch(i, Interest::READ)
    }

    /// Starts to send what is queued; false where the connection is not on the ring.
    pub(super) fn send_on_line(&mut self, i: usize) -> bool {
        let slot = &mut self.slots[i];
        let (Some(lines), Some(line), Some(fd)) = (&mut self.lines, slot.line, slot.fd.as_ref()) else {
            return false;
        };
        if let Err(error) = lines.send(line, fd.as_fd(), &mut slot.out) {
            self.fail(i, Failure::system(Phase::Send, &error), clock());
        }
        true
    }

    /// Something happened on a connection of the ring; returns the clock behind it.
    fn on_line(&mut self, key: u64, event: Event) -> u64 {
        let now = clock();
        let Some(i) = self.slot_of(key) else { return now };
        let again = matches!(event, Event::Stopped | Event::Bytes(_, true));
        match event {
            Event::Bytes(bytes, _) => {
                self.recorder.bytes.received += bytes.len() as u64;
                self.arrived(i, &bytes, now);
            }
            Event::Stopped => {}
            Event::End => self.ended(i, now),
            Event::ReceiveFailed(error) => self.fail(i, Failure::system(Phase::Receive, &error), now),
            Event::Sent(bytes) => {
                self.recorder.bytes.sent += bytes;
                self.send_on_line(i);
            }
            Event::SendFailed(error) => self.fail(i, Failure::system(Phase::Send, &error), now),
        }
        if again {
            self.receive_again(key);
        }
        now
    }

    /// The client gets to see what came, behind what was kept.
    fn arrived(&mut self, i: usize, bytes: &[u8], now: u64) {
        let slot = &mut self.slots[i];
        debug_assert!(
            matches!(slot.state, State::Free | State::Busy),
            "a connection on the ring is made, and not being left"
        );
        slot.saw_bytes(now);
        match slot.behind_leftover(bytes) {
            None => self.take(i, bytes, now),
            Some(all) => self.take(i, &all, now),
        };
    }

    /// The kernel has stopped to receive on a connection, which may be gone by now.
    fn receive_again(&mut self, key: u64) {
        let Some(i) = self.slot_of(key) else { return };
        let slot = &self.slots[i];
        let (Some(lines), Some(line), Some(fd)) = (&mut self.lines, slot.line, slot.fd.as_ref()) else {
            return;
        };
        if let Err(error) = lines.receive(line, fd.as_fd()) {
            self.fail(i, Failure::system(Phase::Receive, &error), clock());
        }
    }

    /// The end of the run: connections on the ring are closed when their operations are over, and that is waited for.
    pub(super) fn hang_up(&mut self) {
        if self.lines.is_none() {
            return;
        }
        for i in 0..self.slots.len() {
            self.disconnect(i);
        }
        if let Some(lines) = &mut self.lines {
            lines.finish();
        }
    }
}
