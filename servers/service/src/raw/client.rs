//! A dialogue held on one connection. Not here: what the parts of a dialogue mean.

use super::expect::{Course, Expect};
use super::{Dialogue, Turn};
use crate::Output;
use crate::client::{Client, Mismatch, Progress};
use std::sync::Arc;

/// The client side of `raw` on one connection.
#[derive(Debug)]
pub struct RawClient {
    dialogue: Arc<Dialogue>,
    connection: u64,
    state: State,
    seq: u64,
    course: Course,
    /// The banner of this connection is still to come.
    banner: bool,
    /// The step whose words are to be said next.
    unsaid: bool,
    /// Bytes of the steps and the banner that are done.
    received: u64,
    /// Bytes shown and not used.
    seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// Within this step.
    Turn(usize),
}

impl RawClient {
    /// A client that holds `dialogue` for each request.
    #[must_use]
    pub fn new(dialogue: Arc<Dialogue>, connection: u64) -> Self {
        let mut client = Self {
            dialogue,
            connection,
            state: State::Idle,
            seq: 0,
            course: Course::new(),
            banner: false,
            unsaid: false,
            received: 0,
            seen: 0,
        };
        client.open();
        client
    }

    /// Gets ready for step `i`, whose words are said by the next [`say`](Client::say).
    fn turn(&mut self, i: usize) {
        self.state = State::Turn(i);
        if let Some(turn) = self.dialogue.turns.get(i) {
            self.course.begin(&turn.expect, self.seq, self.connection);
        }
        self.unsaid = true;
    }

    fn take_banner(&mut self, input: &[u8]) -> Result<usize, Mismatch> {
        let dialogue = Arc::clone(&self.dialogue);
        let Some(banner) = &dialogue.banner else {
            self.banner = false;
            return Ok(0);
        };
        let (used, complete) = self.course.take(banner, input)?;
        if complete {
            self.banner = false;
            self.received += self.course.received;
            if let State::Turn(i) = self.state {
                self.turn(i);
            }
        }
        Ok(used)
    }
}

impl Client for RawClient {
    fn open(&mut self) {
        self.state = State::Idle;
        self.banner = self.dialogue.banner.is_some();
        if let Some(banner) = &self.dialogue.banner {
            self.course.begin(banner, 0, self.connection);
        }
    }

    fn write(&mut self, seq: u64, out: &mut Output) {
        if let Some(Turn { send, .. }) = self.dialogue.turns.first() {
            send.write(seq, self.connection, out);
        }
    }

    fn expect(&mut self, seq: u64) {
        self.seq = seq;
        self.received = 0;
        self.seen = 0;
        self.turn(0);
        self.unsaid = false;
    }

    /// Queues the first words, or nothing while the banner is still to come (RFC 5321, 4.3.1: wait for the greeting).
    fn request(&mut self, seq: u64, out: &mut Output) {
        if self.banner {
            self.seq = seq;
            self.received = 0;
            self.seen = 0;
            self.state = State::Turn(0);
            return;
        }
        self.expect(seq);
        self.write(seq, out);
    }

    fn request_large(&mut self, seq: u64, _bytes: u64, out: &mut Output) -> bool {
        self.request(seq, out);
        false
    }

    fn on_idle(&mut self, input: &[u8]) -> Result<usize, Mismatch> {
        if !self.banner {
            return if input.is_empty() { Ok(0) } else { Err(Mismatch::Extra) };
        }
        let used = self.take_banner(input)?;
        if used < input.len() && !self.banner { Err(Mismatch::Extra) } else { Ok(used) }
    }

    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch> {
        let mut at = 0;
        if self.banner {
            at = self.take_banner(input)?;
        }
        let State::Turn(i) = self.state else {
            return if at < input.len() && !self.banner {
                Err(Mismatch::Extra)
            } else {
                Ok((at, Progress::Done { reusable: true }))
            };
        };
        if self.banner {
            self.seen = (input.len() - at) as u64;
            return Ok((at, Progress::More));
        }
        if self.unsaid && at < input.len() {
            // The server answers what was not said yet.
            return Err(Mismatch::Extra);
        }
        let dialogue = Arc::clone(&self.dialogue);
        let Some(Turn { expect, .. }) = dialogue.turns.get(i) else { return Err(Mismatch::Extra) };
        let (used, complete) = self.course.take(expect, &input[at..])?;
        at += used;
        self.seen = (input.len() - at) as u64;
        if !complete {
            return Ok((at, Progress::More));
        }
        self.received += self.course.received;
        if i + 1 < dialogue.turns.len() {
            self.turn(i + 1);
            return if at < input.len() { Err(Mismatch::Extra) } else { Ok((at, Progress::More)) };
        }
        self.state = State::Idle;
        Ok((at, Progress::Done { reusable: true }))
    }

    fn say(&mut self, out: &mut Output) {
        if !std::mem::take(&mut self.unsaid) {
            return;
        }
        if let State::Turn(i) = self.state
            && let Some(Turn { send, .. }) = self.dialogue.turns.get(i)
        {
            send.write(self.seq, self.connection, out);
        }
    }

    fn on_end(&mut self) -> Result<Progress, Mismatch> {
        let last = self.dialogue.turns.len() - 1;
        match self.state {
            State::Idle => Ok(Progress::Done { reusable: false }),
            State::Turn(i)
                if i == last && !self.banner && matches!(self.dialogue.turns[i].expect, Expect::End) =>
            {
                self.state = State::Idle;
                Ok(Progress::Done { reusable: false })
            }
            State::Turn(_) => {
                Err(Mismatch::EarlyEnd { received: self.received + self.course.received + self.seen })
            }
        }
    }
}
