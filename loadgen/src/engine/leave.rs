//! Planned aborts, carried out. Not here: which requests they meet (see `abort`), and those after which the connection lives on
//! (`linger`).
//!
//! The abort after the request with FIN is the one that kills servers: the server has the whole request and the FIN, is about
//! to write a reply larger than any buffer, and the client is gone. So the request is held back (MSG_MORE) until the shutdown
//! sends it and the FIN together; the client then waits until the FIN is acknowledged (TCP_INFO: FIN_WAIT2), which is counted
//! as proven; only then it closes. From then on, whatever the close itself sends, the server is in CLOSE_WAIT, where an RST
//! turns its next write into EPIPE, with SIGPIPE where it did not ask otherwise.
//!
//! A Unix socket has neither RST nor acknowledgements. The end is with the server when shutdown(2) or close(2) returns, so its first
//! write is the deadly one and nothing is left to prove. What comes nearest to a reset is a close with input unread, which the
//! server's next read meets as ECONNRESET; it can be had where a reply is on its way, and else the close is a plain one.

use super::Engine;
use super::slot::State;
use crate::abort::{Kind, Phase};
use crate::tally::{self, Failure};
use crate::tap::Outcome;
use service::client::{Client as _, Mismatch};
use std::time::Duration;
use sys::Interest;
use sys::clock::monotonic_ns as clock;
use sys::socket::{self, Side, TcpState};

/// How often the acknowledgement of the FIN is looked for, and for how long: a delayed one takes 40 ms.
const LOOK_NS: u64 = 1_000_000;
const LONGEST_LOOK_NS: u64 = 100_000_000;

/// Most bytes of half a request: a server's receive buffer takes them at once.
const HALF: usize = 16 * 1024;

impl Engine<'_> {
    /// Sends the first half of the request, then leaves. A request of no or one byte has no middle, and is sent whole.
    pub(super) fn send_half(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        let half = (slot.out.len() / 2).min(HALF as u64) as usize;
        if half == 0 {
            return self.send_whole(i);
        }
        let first = slot.out.first(&[]);
        let part = &first[..first.len().min(half)];
        let Some(result) = slot.fd().map(|fd| socket::send(fd, part)) else { return };
        match result {
            Ok(n) => {
                self.recorder.bytes.sent += n as u64;
                self.leave(i, now);
            }
            Err(error) => self.fail(i, Failure::system(tally::Phase::Send, &error), now),
        }
    }

    /// The chosen phase cannot be had: the request goes on as any other.
    fn send_whole(&mut self, i: usize) {
        if let Some(request) = &mut self.slots[i].request {
            request.abort = None;
        }
        self.send(i);
    }

    /// Sends the request so that its end leaves together with the FIN, then leaves without reading.
    pub(super) fn send_and_leave(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        if slot.aborts_by(Kind::HalfRead)
            && let Some(fd) = slot.fd()
        {
            // Before the request: a server on a Unix socket then meets the shut side at its first write.
            let _ = socket::shutdown(fd, Side::Read);
        }
        let held = slot.aborts_by(Kind::Fin);
        match slot.flush(held, &mut self.recorder.bytes.sent) {
            Ok(true) => self.leave(i, now),
            Ok(false) => {
                // Replies are not read, so they are not watched for either.
                if !slot.wants_room && self.watch(i, Interest::WRITE) {
                    self.set_timer(i, now + LONGEST_LOOK_NS);
                }
            }
            Err(error) => self.fail(i, Failure::system(tally::Phase::Send, &error), now),
        }
    }

    /// The server does not take the rest of a request that is to be given up anyway.
    pub(super) fn give_up_sending(&mut self, i: usize, now: u64) {
        if self.slots[i].aborts_in(Phase::AfterRequest) {
            self.leave(i, now);
        }
    }

    /// Asks for a reply that will be interrupted: a large one where the service has it, so that the server is still writing.
    pub(super) fn ask_to_interrupt(&mut self, i: usize, k: u64) {
        let slot = &mut self.slots[i];
        if self.config.kind() == Some(service::Kind::Echo) {
            slot.client.request(k, &mut slot.out);
            if self.config.ask.size < 2
                && let Some(request) = &mut slot.request
            {
                request.abort = None;
            }
        } else {
            slot.client.request_large(k, self.large, &mut slot.out);
        }
    }

    /// Reads one byte of the reply, then leaves; returns the clock behind the read.
    pub(super) fn interrupt(&mut self, i: usize) -> u64 {
        let mut byte = [0];
        let Some(result) = self.slots[i].fd().map(|fd| socket::recv(fd, &mut byte)) else { return clock() };
        let now = clock();
        match result {
            Ok(0) => self.fail(i, Failure::mismatch(Mismatch::EarlyEnd { received: 0 }), now),
            Ok(_) => {
                self.recorder.bytes.received += 1;
                self.leave(i, now);
            }
            Err(error) if sys::errno::is_retry(&error) => {}
            Err(error) => self.fail(i, Failure::system(tally::Phase::Receive, &error), now),
        }
        now
    }

    /// Gives the connection up, in the way that the plan has for its request.
    pub(super) fn leave(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        let Some((_, kind)) = slot.request.and_then(|request| request.abort) else { return };
        let Some(fd) = slot.fd() else { return };
        match kind {
            Kind::Rst if self.config.is_unix() && !slot.aborts_in(Phase::AfterRequest) => {
                // Whatever there is to be unread is there: most of a reply that was begun, or nothing.
                self.left(i, false, now);
            }
            Kind::Rst if self.config.is_unix() => self.wait_to_leave(i, Interest::READ, now),
            Kind::Unread => self.wait_to_leave(i, Interest::READ, now),
            Kind::HalfRead => {
                let _ = socket::shutdown(fd, Side::Read);
                self.check_left(i, now);
            }
            Kind::Half => self.await_end(i, now),
            Kind::Vanish => self.check_left(i, now),
            Kind::Rst => {
                // Fails for no socket that is open.
                let _ = socket::reset_on_close(fd);
                self.left(i, false, now);
            }
            // ENOTCONN: the server was first, with an RST.
            Kind::Fin if socket::shutdown(fd, Side::Write).is_err() || self.config.is_unix() => {
                self.left(i, false, now);
            }
            Kind::Fin => self.check_left(i, now),
        }
    }

    /// Waits for `interest`, or for as long as a look takes.
    fn wait_to_leave(&mut self, i: usize, interest: Interest, now: u64) {
        self.begin_leaving(i, now);
        if self.watch(i, interest) {
            self.set_timer(i, now + LONGEST_LOOK_NS);
        }
    }

    fn begin_leaving(&mut self, i: usize, now: u64) {
        let slot = &mut self.slots[i];
        if slot.state != State::Leaving {
            slot.state = State::Leaving;
            slot.leave_by_ns = now + LONGEST_LOOK_NS;
        }
    }

    /// Leaves where the moment has come, or has been waited for long enough; else looks again.
    pub(super) fn check_left(&mut self, i: usize, now: u64) {
        self.begin_leaving(i, now);
        let slot = &self.slots[i];
        let Some((_, kind)) = slot.request.and_then(|request| request.abort) else { return };
        let Some(fd) = slot.fd() else { return };
        let late = now >= slot.leave_by_ns;
        let unix = self.config.is_unix();
        let (proven, over) = match kind {
            Kind::Unread => return self.check_unread(i, now),
            Kind::Vanish => {
                let heard = unix || socket::unsent(fd).is_ok_and(|bytes| bytes == 0);
                if heard || late {
                    return self.vanish(i, now);
                }
                (false, false)
            }
            Kind::HalfRead => (false, late || socket::unread(fd).is_ok_and(|bytes| bytes > 0)),
            Kind::Rst | Kind::Half => (false, true),
            Kind::Fin if unix => (false, true),
            Kind::Fin => match socket::tcp_state(fd) {
                Ok(TcpState::FIN_WAIT2 | TcpState::TIME_WAIT) => (true, true),
                // Both FINs are exchanged, or an RST ended it, which leaves an error behind.
                Ok(TcpState::CLOSE) => (socket::take_error(fd).is_ok(), true),
                Ok(_) => (false, late),
                Err(_) => (false, true),
            },
        };
        let next_ns = slot.leave_by_ns.min(now + LOOK_NS);
        if over {
            self.left(i, proven, now);
        } else if self.watch(i, Interest::NONE) {
            self.set_timer(i, next_ns);
        }
    }

    /// Closes where some of the reply lies there. A server that does not answer is waited for, as it is by other requests.
    fn check_unread(&mut self, i: usize, now: u64) {
        let Some(fd) = self.slots[i].fd() else { return };
        match (socket::unread(fd), socket::take_error(fd)) {
            (Ok(1..), _) => self.left(i, false, now),
            (_, Err(error)) => self.fail(i, Failure::system(tally::Phase::Receive, &error), now),
            // Readable, and nothing to read: an end. The timer comes here too, and finds nothing yet.
            _ if socket::wait_readable(&[fd], Some(Duration::ZERO)).is_ok_and(|ready| ready == [true]) => {
                self.fail(i, Failure::mismatch(Mismatch::EarlyEnd { received: 0 }), now);
            }
            _ => {}
        }
    }

    /// The abort is done.
    pub(super) fn left(&mut self, i: usize, proven: bool, now: u64) {
        let slot = &mut self.slots[i];
        if let Some(request) = slot.request.take()
            && let Some(abort) = request.abort
            && request.arrival.counted
        {
            self.recorder.aborted(abort, proven);
            self.log(i, request, Outcome::Aborted, now);
            self.resolved(now);
        }
        self.disconnect(i);
        self.free(i, now);
    }
}
