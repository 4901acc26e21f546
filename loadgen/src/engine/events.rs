//! What happens on a connection: room, bytes, ends, and what a request becomes by it. Not here: connects and planned aborts.

use super::Engine;
use super::Stage;
use super::slot::{Read, Request, State};
use crate::abort;
use crate::recorder::Times;
use crate::tally::{Failure, Phase};
use crate::tap::{Entry, Outcome};
use service::client::{Client as _, Mismatch};
use sys::clock::monotonic_ns as clock;
use sys::{Event, Interest};

impl Engine<'_> {
    /// Handles one event; returns the clock behind it.
    pub(super) fn on_event(&mut self, event: &Event) -> u64 {
        let Some(i) = self.slot_of(event.key) else {
            self.on_crowd(event);
            return clock();
        };
        match self.slots[i].state {
            State::Dialling => self.on_dialled(i),
            // Room to write is no reason to go where the reply is waited for.
            State::Leaving if self.config.is_unix() && !event.read && !event.hang_up => {}
            // A socket that is shut for reading is always readable; that the server ended it is told beside.
            State::Leaving if event.hang_up && self.slots[i].aborts_by(abort::Kind::HalfRead) => {
                self.left(i, false, clock());
            }
            State::Leaving => self.check_left(i, clock()),
            State::Free | State::Busy => {
                if event.write && self.slots[i].wants_room {
                    self.send(i);
                }
                if event.read && self.slot_of(event.key).is_some() {
                    return self.on_input(i);
                }
            }
            State::Ending => self.hear_out(i),
            State::Resting | State::Gone => {}
        }
        clock()
    }

    /// Says the request of the slot on its connection.
    pub(super) fn speak(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        let Some(request) = slot.request else { return };
        let k = request.arrival.k;
        match request.abort {
            None | Some((abort::Phase::Idle, _)) => slot.client.request(k, &mut slot.out),
            Some((abort::Phase::Connect, _)) => return self.leave(i, now),
            Some((abort::Phase::MidRequest, _)) => {
                slot.client.request(k, &mut slot.out);
                return self.send_half(i, now);
            }
            // Its reply is read and checked.
            Some((_, abort::Kind::Half)) => slot.client.request(k, &mut slot.out),
            Some((abort::Phase::AfterRequest, _)) => {
                slot.client.request_large(k, self.large, &mut slot.out);
                return self.send_and_leave(i, now);
            }
            Some((abort::Phase::MidResponse, _)) => self.ask_to_interrupt(i, k),
        }
        self.send(i);
    }

    /// Sends what is queued; what the socket does not take waits for room.
    pub(super) fn send(&mut self, i: usize) {
        let slot = &mut self.slots[i];
        let leaves = slot.aborts_in(abort::Phase::AfterRequest);
        let halves = leaves && slot.aborts_by(abort::Kind::Half);
        if leaves && !halves {
            return self.send_and_leave(i, clock());
        }
        if self.send_on_line(i) {
            return;
        }
        let slot = &mut self.slots[i];
        let result = slot.flush(false, &mut self.recorder.bytes.sent);
        if halves && result.as_ref().is_ok_and(|sent| *sent) {
            slot.halve();
        }
        match result {
            Ok(sent) if sent != slot.wants_room => {}
            Ok(sent) => {
                let _ = self.watch(i, Interest { read: true, write: !sent });
            }
            Err(error) => self.fail(i, Failure::system(Phase::Send, &error), clock()),
        }
    }

    /// Reads what has come; returns the clock behind the read.
    fn on_input(&mut self, i: usize) -> u64 {
        if self.slots[i].aborts_in(abort::Phase::MidResponse) {
            if !self.slots[i].aborts_by(abort::Kind::Half) {
                return self.interrupt(i);
            }
            self.slots[i].halve();
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let now = self.read(i, &mut buffer);
        self.buffer = buffer;
        now
    }

    /// Reads once, or for as long as `buffer` is filled; returns the clock behind the read.
    fn read(&mut self, i: usize, buffer: &mut [u8]) -> u64 {
        loop {
            let slot = &mut self.slots[i];
            let result = slot.read(buffer, &mut self.recorder.bytes.received);
            // The clock of the last byte; also the start of the next request where one follows at once.
            let now = clock();
            match result {
                Ok(Read::Nothing) => return now,
                Ok(Read::End) => {
                    self.ended(i, now);
                    return now;
                }
                Ok(Read::Bytes { count, filled }) => {
                    slot.saw_bytes(now);
                    if !self.take(i, &buffer[..count], now) || !filled {
                        return now;
                    }
                }
                Err(failure) => {
                    self.fail(i, failure, now);
                    return now;
                }
            }
        }
    }

    /// The server has closed its side.
    pub(super) fn ended(&mut self, i: usize, now: u64) {
        match self.slots[i].end() {
            Ok(()) => self.complete(i, false, now),
            Err(failure) => self.fail(i, failure, now),
        }
    }

    /// Takes the replies that `input` holds; false when the connection has ended, or has nothing more to come.
    pub(super) fn take(&mut self, i: usize, input: &[u8], now: u64) -> bool {
        let (key, mut at) = (self.slots[i].key(), 0);
        loop {
            let slot = &mut self.slots[i];
            let (used, reply) = match slot.take(&input[at..]) {
                Ok(taken) => taken,
                Err(failure) => {
                    self.fail(i, failure, now);
                    return false;
                }
            };
            at += used;
            let Some(reusable) = reply else {
                slot.keep(&input[at..]);
                // A dialogue goes on; where the socket has no room, it is watched for already.
                if !slot.out.is_empty() && !slot.wants_room {
                    self.send(i);
                }
                return self.slots[i].key() == key;
            };
            let extra = at < input.len() && slot.behind.is_empty();
            if extra {
                // The reply itself was right: the request counts as answered, the rest as an error of the connection.
                self.note(Failure::mismatch(Mismatch::Extra), false);
            }
            self.complete(i, reusable && !extra, now);
            let slot = &self.slots[i];
            if slot.key() != key || slot.state != State::Busy || at == input.len() {
                return slot.key() == key && slot.state == State::Busy;
            }
        }
    }

    /// The reply is complete and right.
    fn complete(&mut self, i: usize, reusable: bool, now: u64) {
        let slot = &mut self.slots[i];
        slot.replies += 1;
        slot.barren = 0;
        if slot.aborts_in(abort::Phase::Idle) || slot.aborts_by(abort::Kind::Half) {
            return self.leave(i, now);
        }
        let Some(request) = slot.next_reply() else { return };
        let old = now >= slot.ends_ns && slot.in_flight() == 0;
        let spent = old || slot.limit.is_some_and(|limit| slot.replies >= limit);
        if request.arrival.counted {
            let times = Times {
                latency_ns: now.saturating_sub(request.arrival.due_ns),
                service_ns: self.source.is_open().then(|| now.saturating_sub(request.begun_ns)),
                first_byte_ns: request.first_or(now).saturating_sub(request.begun_ns),
            };
            self.recorder.completed(now, times, self.course.timeout_ns);
            self.log(i, request, Outcome::Completed, now);
            self.resolved(now);
            self.course.waiting_since_ns = now;
        }
        if spent || !reusable {
            // The server has said that no reply follows.
            self.fail_all(i, Failure::mismatch(Mismatch::EarlyEnd { received: 0 }), now);
            self.disconnect(i);
        }
        self.free(i, now);
    }

    /// The connection met an error; its request, where one is out, has failed.
    pub(super) fn fail(&mut self, i: usize, failure: Failure, now: u64) {
        if self.slots[i].request.is_some() {
            self.end_failed(i, failure, now);
            return self.free(i, now);
        }
        // The slot is free already, and stays so; the next request makes a connection.
        let phase = if failure.phase == Phase::Content { Phase::Content } else { Phase::Idle };
        self.note(Failure { phase, ..failure }, false);
        self.disconnect(i);
        self.free(i, now);
    }

    /// Counts the requests of the slot as failed and lets its connection go.
    pub(super) fn end_failed(&mut self, i: usize, failure: Failure, now: u64) {
        self.fail_all(i, failure, now);
        self.disconnect(i);
    }

    fn fail_all(&mut self, i: usize, failure: Failure, now: u64) {
        if self.slots[i].halved {
            return self.ended_badly(i, failure, now);
        }
        while let Some(request) = self.slots[i].next_open() {
            if request.arrival.counted {
                self.recorder.failed(now);
                self.recorder.error(failure, request.abort.is_some());
                self.log(i, request, Outcome::Failed, now);
                self.resolved(now);
            }
        }
    }

    /// Counts an error that belongs to no request.
    pub(super) fn note(&mut self, failure: Failure, chosen: bool) {
        if self.course.stage == Stage::Window {
            self.recorder.error(failure, chosen);
        }
    }

    /// Logs how a request of the window ended, where a log is kept.
    pub(super) fn log(&mut self, i: usize, request: Request, outcome: Outcome, now: u64) {
        let slot = &self.slots[i];
        let Request { arrival, begun_ns, first_ns, .. } = request;
        let first_ns = if outcome == Outcome::Completed { request.first_or(now) } else { first_ns };
        self.recorder.tap.ended(Entry {
            k: arrival.k,
            due_ns: arrival.due_ns,
            begun_ns,
            first_ns,
            done_ns: now,
            connection: super::connection_number(self.config, self.index, slot.index) as u32,
            generation: slot.generation,
            outcome,
        });
    }

    /// A request of the window has found its end.
    pub(super) fn resolved(&mut self, now: u64) {
        self.outstanding -= 1;
        self.course.last_resolved_ns = now;
    }
}
