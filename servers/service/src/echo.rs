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

/// The client side: sends a message of the payload text, expects it back.
#[derive(Debug)]
pub struct EchoClient {
    seed: u64,
    connection: u64,
    size: u64,
    /// Position in the payload text of the next expected byte.
    at: u64,
    left: u64,
    received: u64,
}

impl EchoClient {
    /// A client that sends messages of `ask.size` bytes.
    #[must_use]
    pub fn new(ask: &Ask, connection: u64) -> Self {
        Self { seed: ask.seed, connection, size: ask.size.max(1), at: 0, left: 0, received: 0 }
    }

    /// Where in the payload text the message of request `seq` begins.
    fn text_of(&self, seq: u64) -> u64 {
        mix(self.seed, self.connection, seq) % pattern::PERIOD as u64
    }

    fn await_text(&mut self, seq: u64, size: u64) {
        self.at = self.text_of(seq);
        self.left = size;
        self.received = 0;
    }
}

impl Client for EchoClient {
    fn write(&mut self, seq: u64, out: &mut Output) {
        out.pattern(self.text_of(seq), self.size);
    }

    fn expect(&mut self, seq: u64) {
        self.await_text(seq, self.size);
    }

    fn request_large(&mut self, seq: u64, bytes: u64, out: &mut Output) -> bool {
        let size = bytes.max(self.size);
        out.pattern(self.text_of(seq), size);
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
            return Err(Mismatch::Content { offset: self.received + i as u64 });
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
            Err(Mismatch::EarlyEnd { received: self.received })
        }
    }
}
