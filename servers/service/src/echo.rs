//! `echo`: what comes goes back (RFC 862). Not here: anything that looks at the bytes.

use crate::client::{Ask, Client, Mismatch, Progress, mix};
use crate::{Output, Protocol, Service, Step, Work, pattern};

/// The server side; handler work, where set, is done once for each piece of input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo {
    /// Work done before each reply.
    pub work: Option<Work>,
}

impl Service for Echo {
    type Conn = EchoConn;

    fn open(&self) -> EchoConn {
        EchoConn { work: self.work, ready: false }
    }
}

/// One connection of [`Echo`].
#[derive(Debug)]
pub struct EchoConn {
    work: Option<Work>,
    /// The work for what comes next is done.
    ready: bool,
}

impl Protocol for EchoConn {
    // Of another crate than the drivers, and shorter than a call.
    #[inline]
    fn on_input(&mut self, input: &[u8], out: &mut Output) -> (usize, Step) {
        if let Some(work) = self.work
            && !std::mem::take(&mut self.ready)
        {
            return (0, Step::Work(work));
        }
        out.input(0, input.len());
        (input.len(), Step::Read)
    }

    fn on_work_done(&mut self, _out: &mut Output) -> Step {
        self.ready = true;
        Step::Read
    }
}

/// Bytes at the head of a reply that tell whose it is. The payload text has 65,521 positions, so 16 bytes of it stand in one place.
const HEAD: usize = 16;

/// Requests that a client remembers, to tell replies apart.
const REMEMBERED: usize = 64;

/// The client side: sends a message of the payload text, expects it back.
///
/// The payload of each request begins at a position of its own, so a reply that is not the one that is due can be told: an
/// earlier one again, a later one too early (of the last 64 requests), or another connection's. That takes its first 16 bytes;
/// with messages shorter than that, a wrong byte is a wrong byte.
#[derive(Debug)]
pub struct EchoClient {
    seed: u64,
    connection: u64,
    size: u64,
    /// Where the message begins whose reply is due.
    text: u16,
    /// Position in the payload text of the next expected byte.
    at: u64,
    left: u64,
    received: u64,
    /// Bytes shown and not used.
    held: u64,
    /// Where the messages of the last requests begin in the payload text, in a ring.
    asked: Box<[u16; REMEMBERED]>,
    count: usize,
}

impl EchoClient {
    /// A client that sends messages of `ask.size` bytes.
    #[must_use]
    pub fn new(ask: &Ask, connection: u64) -> Self {
        Self {
            seed: ask.seed,
            connection,
            size: ask.size.max(1),
            text: 0,
            at: 0,
            left: 0,
            received: 0,
            held: 0,
            asked: Box::new([0; REMEMBERED]),
            count: 0,
        }
    }

    /// Where in the payload text the message of request `seq` begins; its period is just below 2^16.
    fn text_of(&self, seq: u64) -> u16 {
        (mix(self.seed, self.connection, seq) % pattern::PERIOD as u64) as u16
    }

    fn write_text(&mut self, seq: u64, size: u64, out: &mut Output) {
        let text = self.text_of(seq);
        self.asked[self.count % REMEMBERED] = text;
        self.count += 1;
        out.pattern(text.into(), size);
    }

    fn await_text(&mut self, seq: u64, size: u64) {
        self.text = self.text_of(seq);
        self.at = self.text.into();
        self.left = size;
        self.received = 0;
        self.held = 0;
    }

    /// What a reply is that differs at `offset`; `None` while too little of it is there to say. Off the hot path.
    fn diagnose(&self, offset: u64, input: &[u8]) -> Option<Mismatch> {
        let wrong = Mismatch::Content { offset };
        let whole = self.received + self.left;
        if offset >= HEAD as u64 || whole < HEAD as u64 {
            return Some(wrong);
        }
        let right = self.received as usize;
        if right + input.len() < HEAD {
            return None;
        }
        let mut head = [0; HEAD];
        for (i, byte) in head[..right].iter_mut().enumerate() {
            *byte = pattern::piece(u64::from(self.text) + i as u64, 1)[0];
        }
        head[right..].copy_from_slice(&input[..HEAD - right]);
        let kept = self.count.min(REMEMBERED);
        let asked = (self.count - kept..self.count).map(|i| self.asked[i % REMEMBERED]);
        let mut later = false;
        for text in asked.clone() {
            if text == self.text {
                later = true;
            } else if pattern::first_difference(text.into(), &head).is_none() {
                return Some(if later { Mismatch::Reordered } else { Mismatch::Duplicated });
            }
        }
        let Some(at) = pattern::position(&head) else { return Some(wrong) };
        // Text from within a message of our own: some of the stream was lost, and nothing crossed.
        let period = pattern::PERIOD as u64;
        let is_ours = |text: u16| (at + period - u64::from(text)) % period < whole;
        Some(if asked.clone().any(is_ours) { wrong } else { Mismatch::Crossed })
    }
}

impl Client for EchoClient {
    fn write(&mut self, seq: u64, out: &mut Output) {
        self.write_text(seq, self.size, out);
    }

    fn expect(&mut self, seq: u64) {
        self.await_text(seq, self.size);
    }

    fn request_large(&mut self, seq: u64, bytes: u64, out: &mut Output) -> bool {
        let size = bytes.max(self.size);
        self.write_text(seq, size, out);
        self.await_text(seq, size);
        true
    }

    fn on_reply(&mut self, input: &[u8]) -> Result<(usize, Progress), Mismatch> {
        if self.left == 0 {
            return if input.is_empty() {
                Ok((0, Progress::Done { reusable: true }))
            } else {
                Err(Mismatch::Extra)
            };
        }
        let take = (input.len() as u64).min(self.left) as usize;
        if let Some(i) = pattern::first_difference(self.at, &input[..take]) {
            self.held = input.len() as u64;
            return self.diagnose(self.received + i as u64, input).map_or(Ok((0, Progress::More)), Err);
        }
        self.at += take as u64;
        self.left -= take as u64;
        self.received += take as u64;
        let progress = if self.left == 0 { Progress::Done { reusable: true } } else { Progress::More };
        Ok((take, progress))
    }

    fn on_end(&mut self) -> Result<Progress, Mismatch> {
        if self.left == 0 {
            Ok(Progress::Done { reusable: false })
        } else {
            Err(Mismatch::EarlyEnd { received: self.received + self.held })
        }
    }
}
