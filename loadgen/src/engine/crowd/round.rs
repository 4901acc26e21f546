//! What one client of the crowd does: connect, send and take at its pace, and what comes of it. Not here: the thread and its clock.

use super::{BUFFER, Run};
use crate::engine::slot::{Read, Request, State};
use crate::engine::source::Arrival;
use crate::limits;
use crate::misfit::Family;
use crate::tally::{Failure, Phase};
use service::client::{Client as _, Mismatch};
use std::cmp::Reverse;
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use sys::clock::monotonic_ns as clock;
use sys::{Interest, Poller as _, socket};

/// Before a connection is made anew.
const REST_NS: u64 = 100_000_000;

/// Before a full queue is tried again.
const QUEUE_REST_NS: u64 = 5_000_000;

/// Receive buffer of a slow reader, in bytes: what it does not take is the server's to keep.
const SMALL_BUFFER: usize = 4096;

impl Run {
    /// What the clock has a client do next.
    pub(super) fn act(&mut self, i: usize, now: u64) {
        match self.members[i].slot.state {
            State::Free if self.members[i].slot.fd.is_some() => self.begin(i, now),
            State::Resting | State::Free => self.dial(i, now),
            State::Busy if self.members[i].family == Family::SlowRead => self.take_some(i, now),
            State::Busy => self.send_some(i, now),
            State::Dialling | State::Leaving | State::Ending | State::Gone => {}
        }
    }

    fn set_timer(&mut self, i: usize, at_ns: u64) {
        self.timers.push(Reverse((at_ns, self.members[i].slot.key())));
    }

    fn dial(&mut self, i: usize, now: u64) {
        let member = &mut self.members[i];
        let buffer = (member.family == Family::SlowRead).then_some(SMALL_BUFFER);
        let fd = match socket::connect_start(&self.config.url.address, buffer) {
            Ok(fd) => fd,
            // The queue of a Unix listener is full: see `dial`.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return self.set_timer(i, now + QUEUE_REST_NS);
            }
            Err(error) => return self.fail(i, Failure::system(Phase::Connect, &error), now),
        };
        member.slot.state = State::Dialling;
        let there = socket::is_connected(fd.as_fd());
        member.slot.fd = Some(fd);
        if there {
            self.connected(i);
        } else {
            self.watch(i, Interest::WRITE);
        }
    }

    fn watch(&mut self, i: usize, interest: Interest) {
        let slot = &mut self.members[i].slot;
        let key = slot.key();
        let Some(fd) = slot.fd.as_ref().map(|fd| fd.as_fd()) else { return };
        let result = match slot.watched {
            true => self.epoll.modify(fd, key, interest),
            false => self.epoll.add(fd, key, interest),
        };
        slot.watched = true;
        if let Err(error) = result {
            self.fail(i, Failure::system(Phase::Connect, &error), clock());
        }
    }

    fn connected(&mut self, i: usize) {
        let member = &mut self.members[i];
        self.accounts[member.which].connections += 1;
        member.slot.client.open();
        // A slow reader looks when its time has come, and not when something is there.
        let slow = member.family == Family::SlowRead;
        self.watch(i, if slow { Interest::NONE } else { Interest::READ });
        if self.members[i].slot.fd.is_some() {
            self.begin(i, clock());
        }
    }

    /// The next exchange begins.
    fn begin(&mut self, i: usize, now: u64) {
        let member = &mut self.members[i];
        let (k, slot) = (member.k, &mut member.slot);
        member.k += 1;
        if member.family == Family::SlowRead {
            slot.client.request_large(k, limits::large_request(&self.config), &mut slot.out);
        } else {
            slot.client.request(k, &mut slot.out);
        }
        member.to_send = match member.family {
            Family::Partial => slot.out.len() / 2,
            _ => slot.out.len(),
        };
        member.piece = member.step.bytes.min(member.to_send.div_ceil(2).max(1) as usize);
        let arrival = Arrival { k, due_ns: now, counted: true };
        slot.request = Some(Request { arrival, begun_ns: now, first_ns: 0, abort: None });
        slot.state = State::Busy;
        member.begun_ns = now;
        self.act(i, now);
    }

    /// Sends what is due of the request.
    fn send_some(&mut self, i: usize, now: u64) {
        let member = &mut self.members[i];
        let most = match member.family {
            Family::Partial => member.to_send as usize,
            _ => member.to_send.min(member.piece as u64) as usize,
        };
        let first = member.slot.out.first(&[]);
        let part = &first[..first.len().min(most)];
        if part.is_empty() {
            // A request of one byte has no half, and a client that has sent its half has nothing more to say.
            member.tried = true;
            return;
        }
        let Some(result) = member.slot.fd().map(|fd| socket::send(fd, part)) else { return };
        match result {
            Ok(n) => {
                member.slot.out.advance(n);
                member.to_send -= n as u64;
            }
            Err(error) if sys::errno::is_retry(&error) => {}
            Err(error) => return self.ended(i, Failure::system(Phase::Send, &error), now),
        }
        let (step, left) = (member.step, member.to_send > 0);
        member.reached |= if member.family == Family::Partial { !left } else { left };
        match member.family {
            Family::Partial if left => self.set_timer(i, now + super::LONGEST_WAIT_NS),
            _ if left => self.set_timer(i, now.saturating_add(step.rest_ns(most))),
            // The reply is waited for, or nothing ever.
            _ => self.members[i].tried = true,
        }
    }

    /// Takes what is due of the reply.
    fn take_some(&mut self, i: usize, now: u64) {
        let member = &mut self.members[i];
        // An echo takes more than one send, and none where the server takes nothing while it is not read.
        if let Err(error) = member.slot.flush(false, &mut self.bytes) {
            return self.ended(i, Failure::system(Phase::Send, &error), now);
        }
        let (step, most) = (member.step, (member.slot.kept() + member.step.bytes).min(BUFFER));
        self.receive(i, most);
        let member = &mut self.members[i];
        if member.slot.state == State::Busy {
            member.reached |= member.slot.request.is_some_and(|r| r.first_ns > 0);
            self.set_timer(i, now.saturating_add(step.every_ns));
        }
    }

    pub(super) fn on_event(&mut self, i: usize) {
        match self.members[i].slot.state {
            State::Dialling => match self.members[i].slot.fd().map(socket::take_error) {
                Some(Err(error)) => self.fail(i, Failure::system(Phase::Connect, &error), clock()),
                _ => self.connected(i),
            },
            State::Busy => self.receive(i, BUFFER),
            _ => {}
        }
    }

    /// Reads once, at most so that `most` bytes are at hand.
    fn receive(&mut self, i: usize, most: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.members[i].slot.read(&mut buffer[..most], &mut self.bytes);
        let now = clock();
        match result {
            Ok(Read::Nothing) => {}
            Ok(Read::Bytes { count, .. }) => self.take(i, &buffer[..count], now),
            Ok(Read::End) => match self.members[i].slot.end() {
                Ok(()) if self.members[i].family != Family::Partial => self.complete(i, false, now),
                Ok(()) => self.ended(i, Failure::named(Phase::Receive, "eof"), now),
                Err(failure) => self.ended(i, failure, now),
            },
            Err(failure) => self.ended(i, failure, now),
        }
        self.buffer = buffer;
    }

    fn take(&mut self, i: usize, input: &[u8], now: u64) {
        let member = &mut self.members[i];
        if member.family == Family::Partial {
            // What a server says to half a request is its own affair.
            return;
        }
        member.slot.saw_bytes(now);
        match member.slot.take(input) {
            Err(failure) => self.fail(i, failure, now),
            Ok((used, None)) => {
                member.slot.keep(&input[used..]);
                // A dialogue goes on, at the same pace.
                if member.to_send == 0 && !member.slot.out.is_empty() {
                    member.to_send = member.slot.out.len();
                    self.set_timer(i, now);
                }
            }
            Ok((used, Some(_))) if used < input.len() => {
                self.fail(i, Failure::mismatch(Mismatch::Extra), now);
            }
            Ok((_, Some(reusable))) => self.complete(i, reusable, now),
        }
    }

    fn complete(&mut self, i: usize, reusable: bool, now: u64) {
        let member = &mut self.members[i];
        member.slot.request = None;
        member.tried = true;
        let account = &mut self.accounts[member.which];
        account.exchanges += 1;
        account.latency.add(now.saturating_sub(member.begun_ns));
        if !reusable {
            member.slot.disconnect();
        }
        member.slot.state = State::Free;
        // Not faster than its pace where a reply is shorter than a step.
        let rest_ns = if member.family == Family::SlowRead { member.step.every_ns } else { 0 };
        self.set_timer(i, now.saturating_add(rest_ns));
    }

    /// The server ended the connection.
    fn ended(&mut self, i: usize, failure: Failure, now: u64) {
        if failure.is_local() {
            return self.fail(i, failure, now);
        }
        self.accounts[self.members[i].which].ended_by_server += 1;
        self.rest(i, now);
    }

    fn fail(&mut self, i: usize, failure: Failure, now: u64) {
        self.accounts[self.members[i].which].errors.add(failure, 1);
        self.rest(i, now);
    }

    fn rest(&mut self, i: usize, now: u64) {
        let member = &mut self.members[i];
        member.tried = true;
        member.slot.request = None;
        member.slot.disconnect();
        member.slot.state = State::Resting;
        self.set_timer(i, now + REST_NS);
    }
}
