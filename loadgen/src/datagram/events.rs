//! What happens on a socket: room, answers, refusals, and what a request becomes by it. Not here: answers that do not come.

use super::Engine;
use super::socket::{Found, Request, State};
use crate::abort;
use crate::engine::{Stage, think_ns};
use crate::recorder::Times;
use crate::tally::{Failure, Phase};
use crate::tap::Outcome;
use service::client::Mismatch;
use service::datagram::client::Seen;
use std::io;
use std::os::fd::AsFd as _;
use sys::clock::monotonic_ns as clock;
use sys::{Event, Family, Interest, Poller as _};

impl Engine<'_> {
    /// True where what happens counts.
    pub(super) fn counting(&self) -> bool {
        self.course.stage != Stage::WarmUp
    }

    /// Handles one event; returns the clock behind it.
    pub(super) fn on_event(&mut self, event: &Event) -> u64 {
        let i = (event.key & u64::from(u32::MAX)) as usize;
        if self.sockets[i].key() != event.key {
            return clock();
        }
        if event.hang_up {
            self.take_refusals(i, Phase::Receive, clock());
        }
        if event.write && self.sockets[i].key() == event.key && self.sockets[i].wants_room {
            self.watch(i, Interest::READ);
            self.flush(i);
        }
        if event.read && self.sockets[i].key() == event.key { self.receive(i) } else { clock() }
    }

    fn watch(&mut self, i: usize, interest: Interest) {
        let socket = &mut self.sockets[i];
        let key = socket.key();
        socket.wants_room = interest.write;
        if let Some(fd) = socket.fd.as_ref() {
            // A descriptor that is watched stays so: epoll_ctl(2) has no error for that.
            let _ = self.epoll.modify(fd.as_fd(), key, interest);
        }
    }

    /// Sends what is staged; what the socket does not take waits for room.
    pub(super) fn flush(&mut self, i: usize) {
        loop {
            let socket = &mut self.sockets[i];
            let Some(fd) = socket.fd.as_ref().filter(|_| !socket.wants_room) else { return };
            let count = socket.staged.len().min(self.messages.len());
            if count == 0 {
                return;
            }
            for (message, &place) in self.messages.iter_mut().zip(&socket.staged) {
                let seq = socket.seq(place as usize);
                socket.speaker.request(seq, message);
            }
            match self.burst.send(fd.as_fd(), &self.messages[..count]) {
                Ok(sent) => self.on_sent(i, sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.watch(i, Interest { read: true, write: true });
                }
                Err(error) => self.on_error(i, Phase::Send, &error, clock()),
            }
        }
    }

    /// The first `count` of what is staged are on their way.
    fn on_sent(&mut self, i: usize, count: usize) {
        let mut leaves = None;
        for message in &self.messages[..count] {
            let socket = &mut self.sockets[i];
            let Some(place) = socket.staged.pop_front() else { return };
            let there = &mut socket.places[place as usize];
            there.state = State::Out;
            leaves = there.request.abort.map(|how| (place as usize, how));
            if there.request.arrival.counted {
                self.recorder.datagrams.sent += 1;
            }
            if self.course.stage != Stage::WarmUp {
                self.recorder.bytes.sent += message.len() as u64;
            }
        }
        // An abort has its socket for itself.
        if let Some((place, how)) = leaves {
            self.leave(i, place, how, clock());
        }
    }

    /// The socket is closed behind its datagram: the answer finds nobody, and the server hears of it (ICMP; Unix: ECONNREFUSED).
    fn leave(&mut self, i: usize, place: usize, how: (abort::Phase, abort::Kind), now: u64) {
        let request = self.sockets[i].vacate(place, State::Over);
        if request.arrival.counted {
            self.recorder.aborted(how, false);
            self.log(i, &request, Outcome::Aborted, now);
            self.resolved(now);
        }
        self.renew(i, now);
    }

    /// Reads what has come, as far as one call brings it; returns the clock behind the read.
    fn receive(&mut self, i: usize) -> u64 {
        let socket = &self.sockets[i];
        let Some(fd) = socket.fd() else { return clock() };
        // One more than is awaited, where several are: a double is seen without a further call.
        let want = if self.depth == 1 { 1 } else { socket.busy + 1 };
        let result = self.burst.recv(fd, want.min(self.burst.count()));
        // The clock of all that came with this call; also the start of the requests that follow at once.
        let now = clock();
        match result {
            Ok(count) => {
                self.last_heard_ns = now;
                let key = socket.key();
                for at in 0..count {
                    if self.sockets[i].key() == key {
                        self.take(i, at, now);
                    }
                }
            }
            Err(error) if sys::errno::is_retry(&error) => {}
            Err(error) => self.on_error(i, Phase::Receive, &error, now),
        }
        now
    }

    /// Takes datagram `at` of those that were read.
    fn take(&mut self, i: usize, at: usize, now: u64) {
        self.ever_answered = true;
        let socket = &mut self.sockets[i];
        let answer = self.burst.get(at);
        if self.course.stage != Stage::WarmUp {
            self.recorder.bytes.received += answer.len() as u64;
            self.recorder.datagrams.received += 1;
        }
        socket.refusals = 0;
        let oldest = if self.tagged { None } else { socket.oldest() };
        let awaited = oldest.map_or(0, |place| socket.seq(place));
        match socket.speaker.check(awaited, answer) {
            Ok(Seen::Answer(seq)) => match socket.find(seq) {
                Found::Out(place) => self.answered(i, place, now),
                Found::Over => self.doubled(),
                Found::Past => self.past(i, seq, now),
                Found::Unknown => self.stray(),
            },
            Ok(Seen::Untagged) => match oldest {
                Some(place) => self.answered(i, place, now),
                None => self.doubled(),
            },
            Err(mismatch) => {
                let place = match socket.speaker.names(answer).map(|seq| socket.find(seq)) {
                    Some(Found::Out(place)) => Some(place),
                    Some(_) => None,
                    // Whose it was to be cannot be read.
                    None if mismatch != Mismatch::Crossed => socket.oldest(),
                    None => None,
                };
                self.wrong(i, place, mismatch, now);
            }
        }
    }

    /// An answer that is as it should be, to a request that is out.
    fn answered(&mut self, i: usize, place: usize, now: u64) {
        let reordered = self.sockets[i].is_reordered(place);
        let request = self.sockets[i].vacate(place, State::Over);
        if request.arrival.counted {
            self.recorder.datagrams.reordered += u64::from(reordered);
            self.complete(i, &request, now);
            self.resolved(now);
        } else {
            self.uncount();
        }
        if self.config.think.is_some() {
            self.pause(i, now + think_ns(self.config, request.arrival.k));
        }
        self.offer(i, now);
    }

    /// Records an answer, in time or late.
    fn complete(&mut self, i: usize, request: &Request, now: u64) {
        let service_ns = now.saturating_sub(request.begun_ns);
        let latency_ns = now.saturating_sub(request.arrival.due_ns);
        self.recorder.datagrams.late += u64::from(service_ns > self.course.timeout_ns);
        let times = Times { latency_ns, service_ns: Some(service_ns), first_byte_ns: service_ns };
        self.recorder.completed(now, times, self.course.timeout_ns);
        self.log(i, request, Outcome::Completed, now);
        self.course.waiting_since_ns = now;
        self.silent = false;
    }

    /// An answer to a request that was given up, or that has ended long ago.
    fn past(&mut self, i: usize, seq: u64, now: u64) {
        match self.given_up.take((self.sockets[i].index, seq)) {
            Some(request) if request.arrival.counted => self.complete(i, &request, now),
            Some(_) => self.uncount(),
            None if self.given_up.forgot => self.stray(),
            None => self.doubled(),
        }
    }

    fn doubled(&mut self) {
        if self.counting() {
            self.recorder.datagrams.duplicated += 1;
            self.note(Failure::mismatch(Mismatch::Duplicated));
        }
    }

    fn stray(&mut self) {
        if self.counting() {
            self.recorder.datagrams.stray += 1;
            self.note(Failure::named(Phase::Content, "stray-reply"));
        }
    }

    /// An answer that is not what was asked for.
    fn wrong(&mut self, i: usize, place: Option<usize>, mismatch: Mismatch, now: u64) {
        let failure = match mismatch {
            // No end of anything: a datagram that is shorter than what was asked for.
            Mismatch::EarlyEnd { .. } => Failure::named(Phase::Content, "truncated-reply"),
            other => Failure::mismatch(other),
        };
        let counted = place.is_none_or(|place| self.sockets[i].places[place].request.arrival.counted);
        if counted && self.counting() {
            let datagrams = &mut self.recorder.datagrams;
            match mismatch {
                Mismatch::EarlyEnd { .. } => datagrams.truncated += 1,
                Mismatch::Crossed => datagrams.crossed += 1,
                _ => {}
            }
        }
        if !counted {
            self.uncount();
        }
        match place {
            Some(place) => self.end_failed(i, place, failure, now),
            None => self.note(failure),
        }
    }

    /// A call on the socket failed.
    fn on_error(&mut self, i: usize, phase: Phase, error: &io::Error, now: u64) {
        let refused = error.raw_os_error().is_some_and(sys::errno::is_refusal);
        if refused && self.take_refusals(i, phase, now) {
            return;
        }
        if self.sockets[i].keeps_refusals && error.kind() == io::ErrorKind::ConnectionRefused {
            // The kernel keeps the message first and sets the error then: what came on another processor may have been taken in between.
            return;
        }
        let failure = Failure::system(phase, error);
        let unix = self.config.url.family == Family::Unixgram;
        if refused && self.counting() {
            self.recorder.datagrams.refused += 1;
        }
        if refused && unix {
            // The server's socket is gone for good: neither will what is out be answered, nor can anything be sent.
            self.fail_all(i, failure, now);
            self.close_socket(i);
            return self.rest(i, now);
        }
        // UDP: what was sent before has found nobody, and it is not known which. The call itself is as good as new.
        let socket = &mut self.sockets[i];
        let place = if refused { socket.oldest() } else { None };
        if let Some(place) = place {
            self.end_failed(i, place, failure, now);
        } else if let Some(place) =
            socket.staged.front().copied().filter(|_| phase == Phase::Send && !refused)
        {
            socket.staged.pop_front();
            self.end_failed(i, place as usize, failure, now);
        } else {
            self.note(failure);
        }
        if refused {
            self.rest(i, now);
        }
    }

    fn fail_all(&mut self, i: usize, failure: Failure, now: u64) {
        self.sockets[i].staged.clear();
        for place in 0..self.sockets[i].places.len() {
            if matches!(self.sockets[i].places[place].state, State::Staged | State::Out) {
                self.end_failed(i, place, failure, now);
            }
        }
    }

    /// The request in a place has failed.
    pub(super) fn end_failed(&mut self, i: usize, place: usize, failure: Failure, now: u64) {
        let request = self.sockets[i].vacate(place, State::Over);
        if request.arrival.counted {
            self.recorder.failed(now);
            self.recorder.error(failure, request.abort.is_some());
            self.log(i, &request, Outcome::Failed, now);
            self.resolved(now);
        }
        self.offer(i, now);
    }

    /// An answer to a request of the warm-up came in the window.
    fn uncount(&mut self) {
        if self.counting() {
            let datagrams = &mut self.recorder.datagrams;
            datagrams.received = datagrams.received.saturating_sub(1);
        }
    }

    /// Counts an error that belongs to no request.
    pub(super) fn note(&mut self, failure: Failure) {
        if self.counting() {
            self.recorder.error(failure, false);
        }
    }

    /// A request of the window has found its end.
    fn resolved(&mut self, now: u64) {
        self.open -= 1;
        self.course.last_resolved_ns = now;
    }
}
